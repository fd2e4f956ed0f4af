/**
 * This node's place in its group: the shell around the replica core.
 *
 * ```text
 *  http ── commit ──▶ Commits ──▶ core loop ──▶ change log
 *                        │            │  ▲
 *                        ▼            ▼  │
 *                  RecentRecords   Sessions ◀──▶ PeerLinks ◀──▶ peers
 *                                     │                           │
 *                   OriginInbox ──▶ change log                    │
 *  http ── fetch, relay ──▶ Transfers ◀──▶ bulk connections ◀─────┘
 *  trackers ◀── Heartbeats, change-register
 * ```
 *
 * The core decides, in one place and in order; everything here only carries out
 * (`replica_messages.ts`). Nothing is acknowledged, to clients or peers, that the
 * core did not order.
 *
 * @module
 */

import type {
  GroupRegister,
  GroupSettings,
  Level,
  NodeId,
  PeerAddress,
  PeerInfo,
  SigningKey,
} from "@kedge/schema";
import { Problem } from "@kedge/schema";
import type { Change } from "@kedge/schema/change";
import type {
  Commitment,
  ContentSource,
  FetchOutcome,
  PeerListener,
  Relay,
  Replicator,
} from "../ports.ts";
import { Alarms } from "./alarms.ts";
import { Commits } from "./commits.ts";
import { CoreLoop } from "./core_loop.ts";
import { lostFiles } from "./disks_core.ts";
import { perform } from "./effects.ts";
import type { LinkIdentity } from "./greeting.ts";
import type { GroupView } from "./group_view.ts";
import { READ_LEASE_MS, type ReadVerdict, readVerdict } from "./lease_core.ts";
import { LogCutter } from "./log_cutter.ts";
import { LoopLag } from "./loop_lag.ts";
import { Membership } from "./membership.ts";
import { PeerLinks } from "./peer_links.ts";
import { RecentRecords } from "./recent_records.ts";
import { ReplicaCore } from "./replica_core.ts";
import type {
  ReplicatorOptions,
  ReplicatorStatus,
} from "./replicator_options.ts";
import { statusOf } from "./replicator_status.ts";
import { Repairer } from "./repairer.ts";
import { AppliedRate, replicationReport } from "./replication_report.ts";
import { RootHashes } from "./root_hash.ts";
import { Sessions } from "./sessions.ts";
import { Tombstones } from "./tombstones.ts";
import { Transfers } from "./transfers.ts";

/** Pause between two ticks of the core, in milliseconds. */
const TICK_MS = 100;
/** Pause between two looks at the disks, in milliseconds. */
const DISKS_MS = 1000;
/** Pause between two looks whether somebody vouched for us, in ms. */
const VOUCH_LOOK_MS = 20;
/** An event loop that stood still for longer than this is an alarm, in ms. */
const LAG_ALARM_MS = 500;

/** See the module comment. */
export class GroupReplicator implements Replicator {
  readonly #options: ReplicatorOptions;
  readonly #membership: Membership;
  readonly #alarms: Alarms;
  readonly #lag = new LoopLag(TICK_MS);
  readonly #applied: AppliedRate;
  readonly #roots: RootHashes;
  readonly #core: ReplicaCore;
  readonly #loop: CoreLoop;
  readonly #recent: RecentRecords;
  readonly #commits: Commits;
  readonly #sessions: Sessions;
  readonly #links: PeerLinks;
  readonly #transfers: Transfers;
  readonly #repairer: Repairer;
  readonly #tombstones: Tombstones;
  readonly #cutter: LogCutter;
  #listener: PeerListener | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #disksDueMs = 0;
  #stopped: string | undefined;

  /** A replicator that does nothing before {@linkcode start}. */
  constructor(options: ReplicatorOptions) {
    const { log, node, clock, logger } = options;
    const identity: LinkIdentity = {
      node,
      group: options.group,
      store: log.store,
      boot: crypto.randomUUID(),
      secretOf: (peer) => this.#view.keyOf(peer) ?? options.clusterSecret,
    };
    this.#options = options;
    this.#alarms = new Alarms(clock, logger);
    this.#applied = new AppliedRate(clock);
    this.#roots = new RootHashes(log, clock, () => options.files.fileCount());
    this.#recent = new RecentRecords(log.head());
    this.#core = new ReplicaCore({
      node,
      store: log.store,
      incarnation: log.incarnation,
      register: log.register(),
      head: log.head(),
      mayHaveLost: options.mayHaveLost,
      mayBeOld: options.run !== undefined && !options.mayHaveLost,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    });
    this.#loop = this.#makeLoop();
    this.#membership = new Membership(options, {
      alarms: this.#alarms,
      register: () => this.#core.register,
      input: (input) => this.#loop.input(input),
      replication: () => replicationReport(this.status()),
      root: () => this.#roots.current,
      peersChanged: () => this.#links.setPeers(this.#view.reachable),
    });
    this.#commits = new Commits({
      log,
      recent: this.#recent,
      lookup: (id) => options.files.lookup(id),
      input: (input) => this.#loop.input(input),
      appended: (isAwaited) => this.#sessions.poke(isAwaited),
    });
    this.#sessions = this.#makeSessions();
    this.#links = this.#makeLinks(identity);
    this.#transfers = this.#makeTransfers(identity);
    this.#repairer = new Repairer({
      log,
      logger,
      fetch: (id) => this.#transfers.fetch(id, "repair"),
    });
    this.#tombstones = this.#makeTombstones();
    this.#cutter = new LogCutter({
      node,
      log,
      logger,
      register: () => this.#core.register,
      flushedBy: (peer) => this.#sessions.flushedBy(peer),
      keepRecords: options.logKeepRecords,
      lagRecordsMax: options.logLagRecordsMax,
    });
  }

  /** Listen, report, link. */
  start(): void {
    const { transport, listen } = this.#options;
    this.#listener = transport.listen(
      listen,
      (channel) => this.#links.accept(channel),
    );
    this.#lookAtDisks();
    this.#membership.start();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Where peers connect: the real port when port 0 was asked for. */
  get address(): PeerAddress {
    return this.#listener?.address ?? this.#options.listen;
  }

  /** Answer what waits with `uncertain` and hang up. */
  async stop(): Promise<void> {
    this.#stop("this node stops");
    await this.#transfers.close("this node stops");
  }

  /** An operator accepts the register of a KV that was restored. */
  async confirm(): Promise<GroupRegister> {
    const register = await this.#options.tracker.register();
    const verdict = this.#core.mayWrite();
    const isFrozen = !verdict.ok && verdict.reason === "frozen";
    if (!isFrozen) return register;
    const epoch = this.#core.register?.epoch ?? 0;
    if (register.epoch <= epoch) {
      throw new Problem(
        "register-refused",
        `The register is at epoch ${register.epoch}, this node at ${epoch}: ` +
          "declare a node in sync with `kedge group force` first, then confirm",
      );
    }
    this.#loop.input({ kind: "confirm", register });
    return register;
  }

  /** Records may be gone here and the group has not made up for them yet. */
  get isSuspect(): boolean {
    return this.#core.isSuspect;
  }

  /** What `kedge status` shows. */
  status(): ReplicatorStatus {
    return statusOf({
      options: this.#options,
      view: this.#view,
      core: this.#core,
      sessions: this.#sessions,
      links: this.#links,
      pending: this.#commits.size,
      readOnly: this.#whyReadOnly(),
      catchUp: this.#transfers.progress ?? null,
      appliedPerS: this.#appliedPerS(),
      root: this.#roots.current ?? null,
      tombstones: this.#tombstones.status(),
      log: this.#cutter.status(),
      trackerFailure: this.#membership.trackerFailure,
      loopLagMs: this.#lag.peakMs,
      alarms: this.#alarms.current(),
    });
  }

  /**
   * Resolve once somebody has vouched for our data, or after `patienceMs`: until
   * then everybody would be refused.
   */
  async untilVouched(patienceMs: number): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + patienceMs;
    while (this.#core.mayBeOld && this.#stopped === undefined) {
      if (clock.monotonicMs() >= untilMs) return;
      await new Promise((resolve) => setTimeout(resolve, VOUCH_LOOK_MS));
    }
  }

  register(): GroupRegister {
    const register = this.#core.register;
    if (register !== undefined) return register;
    throw new Problem("not-in-sync", "No tracker has told the group yet");
  }

  settings(): GroupSettings {
    return this.#view.settings;
  }

  peers(): readonly PeerInfo[] {
    return this.#view.peers;
  }

  signingKeys(): readonly SigningKey[] {
    return this.#view.signingKeys;
  }

  commit(
    change: Change,
    content: ContentSource,
    level: Level,
    idempotencyKey?: string,
  ): Promise<Commitment> {
    if (this.#stopped !== undefined || this.#view.mode === "read-only") {
      const why = this.#whyReadOnly() ?? "This node takes no changes";
      return Promise.reject(new Problem("read-only", why));
    }
    return this.#commits.commit(change, content, level, idempotencyKey);
  }

  fetch(
    id: string,
    purpose: "repair" | "confirm" = "repair",
  ): Promise<FetchOutcome> {
    return this.#transfers.fetch(id, purpose);
  }

  openRelay(): Relay | undefined {
    const linked = this.#core.requiredPeers().filter((peer) =>
      this.#sessions.get(peer) !== undefined
    );
    return this.#transfers.relay(linked);
  }

  ownerOf(origin: NodeId): NodeId | undefined {
    return this.#view.ownerOf(origin);
  }

  mayRead(): ReturnType<Replicator["mayRead"]> {
    const verdict = this.#readVerdict();
    if (verdict.kind === "refuse") return { ok: false, why: verdict.why };
    return verdict.kind === "confirm"
      ? { ok: true, confirm: true }
      : { ok: true };
  }

  mayWrite(): ReturnType<Replicator["mayWrite"]> {
    const why = this.#whyReadOnly();
    return why === null ? { ok: true } : { ok: false, why };
  }

  /** Nothing is decided any more: better to stop than to go on halfway. */
  #loopFailed(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#alarms.raise(`replication stopped: ${why}`);
    this.#stop(`replication stopped: ${why}`);
  }

  #makeLoop(): CoreLoop {
    return new CoreLoop({
      core: this.#core,
      perform: (effect) =>
        perform(effect, {
          commits: this.#commits,
          sessions: this.#sessions,
          membership: this.#membership,
          transfers: this.#transfers,
          alarms: this.#alarms,
          input: (input) => this.#loop.input(input),
          restartLog: (why) => this.#options.onRestartLog(why),
        }),
      save: (register) => this.#membership.save(register),
      failed: (error) => this.#loopFailed(error),
    });
  }

  #makeSessions(): Sessions {
    const { group, log, logger } = this.#options;
    return new Sessions({
      group,
      log,
      recent: this.#recent,
      logger,
      input: (input) => this.#loop.input(input),
      content: (peer, record) => this.#transfers.content(peer, record),
      missing: (peer, entries) => this.#transfers.missing(peer, entries),
      pace: (peer, bytes) =>
        // What an answer waits for is never slowed down.
        this.#core.requiredPeers().includes(peer)
          ? Promise.resolve()
          : this.#transfers.pace(bytes),
      onReport: (peer, frame) => this.#tombstones.take(peer, frame),
      storeFailed: (peer, why) =>
        this.#alarms.raise(`cannot store changes of node ${peer}: ${why}`),
    });
  }

  #makeLinks(identity: LinkIdentity): PeerLinks {
    const { transport, clock, logger } = this.#options;
    return new PeerLinks({
      identity,
      transport,
      clock,
      log: logger,
      events: {
        isMember: (peer) => this.#view.isMember(peer),
        stateFor: (peer) => this.#stateFor(peer),
        epoch: () => this.#view.epoch,
        linked: (control, theirs, ours) => {
          logger.info("linked", { peer: control.peer });
          this.#sessions.linked(control, theirs, ours);
        },
        frame: (control, frame) => this.#sessions.frame(control, frame),
        confirmed: (peer, epoch, sinceMs) =>
          this.#membership.confirmed(peer, epoch, sinceMs),
        unlinked: (control, why) => {
          logger.warn("link lost", { peer: control.peer, why });
          this.#sessions.unlinked(control);
          this.#tombstones.unlinked(control.peer);
        },
        bulk: (peer, link) => this.#transfers.serve(peer.node, link),
        stranger: () => this.#membership.soon(),
      },
    });
  }

  #makeTransfers(identity: LinkIdentity): Transfers {
    return new Transfers(this.#options, {
      identity,
      address: (peer) => this.#links.address(peer)?.peerAddress,
      epoch: () => this.#view.epoch,
      isWhole: () => this.#core.isWhole(),
      serves: () => this.#readVerdict().kind === "serve",
      register: () => this.#view.saved,
      fileBytesMax: () => this.#view.settings.fileBytesMax,
      broken: (id) => {
        this.#commits.broken(id);
        this.#alarms.raise(`the copy of ${id} here is damaged`);
      },
      alarm: (why) => this.#alarms.raise(why),
    });
  }

  #makeTombstones(): Tombstones {
    const { node, log, clock, logger, tombstoneAgeMs } = this.#options;
    return new Tombstones({
      node,
      log,
      clock,
      logger,
      ageMs: tombstoneAgeMs,
      open: this.#transfers.open,
      lastGiven: () => this.#recent.last,
      register: () => this.#core.register,
      mayCollect: () =>
        this.#core.isWhole() && this.#membership.trackerFailure === "",
      say: (peer, kind, body) => this.#sessions.sayReport(peer, kind, body),
    });
  }

  async #stateFor(peer: NodeId) {
    const { log } = this.#options;
    const register = this.#view.saved;
    if (register === undefined) throw new Error("no register is known yet");
    const positions = log.positions().filter(({ origin }) => origin === peer);
    const cut = log.cut();
    // What is told must be flushed: the peer counts it as durable.
    await log.flush();
    const { incarnation } = log;
    return cut === undefined
      ? { register, positions, incarnation }
      : { register, positions, incarnation, cut };
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#lag.tick(nowMs);
    if (this.#lag.peakMs > LAG_ALARM_MS) {
      this.#alarms.raise("the event loop stood still: see loopLagMs");
    }
    this.#links.tick(nowMs);
    this.#transfers.tick(nowMs);
    if (this.#core.register !== undefined) this.#repairer.tick(nowMs);
    this.#tombstones.tick(nowMs);
    this.#roots.tick(nowMs);
    this.#cutter.tick(nowMs);
    if (nowMs >= this.#disksDueMs) this.#lookAtDisks();
    this.#loop.input({ kind: "tick", nowMs });
  }

  #lookAtDisks(): void {
    const { files, clock } = this.#options;
    this.#disksDueMs = clock.monotonicMs() + DISKS_MS;
    const why = lostFiles(files.storePaths(), files.fileCount());
    this.#loop.input({ kind: "files-lost", why });
  }

  get #view(): GroupView {
    return this.#membership.view;
  }

  #readVerdict(): ReadVerdict {
    const register = this.#core.register;
    return readVerdict({
      register,
      node: this.#options.node,
      required: this.#core.requiredPeers(),
      isWhole: this.#core.isWhole() || this.#servesAnyway(),
      nowMs: this.#options.clock.monotonicMs(),
      ...this.#view.confirmations,
      leaseMs: READ_LEASE_MS,
      isolatedReads: this.#options.isolatedReads ?? "refuse",
    });
  }

  /** An operator prefers what may be old to nothing. */
  #servesAnyway(): boolean {
    return this.#core.mayBeOld && this.#options.isolatedReads === "serve";
  }

  #appliedPerS(): number {
    return this.#applied.look(this.#options.log.positions());
  }

  #whyReadOnly(): string | null {
    if (this.#stopped !== undefined) return this.#stopped;
    if (this.#view.mode === "read-only") {
      return "an operator made this node read-only";
    }
    const verdict = this.#core.mayWrite();
    return verdict.ok ? null : verdict.why;
  }

  #stop(why: string): void {
    this.#stopped ??= why;
    this.#listener?.close();
    this.#membership.stop();
    clearInterval(this.#timer);
    this.#loop.stop();
    this.#commits.close(why);
    this.#links.close(why);
    this.#sessions.close();
  }
}
