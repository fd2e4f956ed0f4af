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
import { lostFiles } from "./disks_core.ts";
import type {
  ReplicatorOptions,
  ReplicatorStatus,
} from "./replicator_options.ts";
import { statusOf } from "./replicator_status.ts";
import { ReplicatorParts, TICK_MS } from "./replicator_parts.ts";

/** Pause between two looks at the disks, in milliseconds. */
const DISKS_MS = 1000;
/** Pause between two looks whether somebody vouched for us, in ms. */
const VOUCH_LOOK_MS = 20;
/** An event loop that stood still for longer than this is an alarm, in ms. */
const LAG_ALARM_MS = 500;

/** See the module comment. */
export class GroupReplicator implements Replicator {
  readonly #parts: ReplicatorParts;
  #listener: PeerListener | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #disksDueMs = 0;
  #stopped: string | undefined;

  /** A replicator that does nothing before {@linkcode start}. */
  constructor(options: ReplicatorOptions) {
    this.#parts = new ReplicatorParts(options, {
      status: () => this.status(),
      failed: (error) => this.#loopFailed(error),
    });
  }

  /** Listen, report, link. */
  start(): void {
    const { transport, listen } = this.#parts.options;
    this.#listener = transport.listen(
      listen,
      (channel) => this.#parts.links.accept(channel),
    );
    this.#lookAtDisks();
    this.#parts.membership.start();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Where peers connect: the real port when port 0 was asked for. */
  get address(): PeerAddress {
    return this.#listener?.address ?? this.#parts.options.listen;
  }

  /** Answer what waits with `uncertain` and hang up. */
  async stop(): Promise<void> {
    this.#stop("this node stops");
    await this.#parts.transfers.close("this node stops");
  }

  /** An operator accepts the register of a KV that was restored. */
  async confirm(): Promise<GroupRegister> {
    const parts = this.#parts;
    const register = await parts.options.tracker.register();
    const verdict = parts.core.mayWrite();
    const isFrozen = !verdict.ok && verdict.reason === "frozen";
    if (!isFrozen) return register;
    const epoch = parts.core.register?.epoch ?? 0;
    if (register.epoch <= epoch) {
      throw new Problem(
        "register-refused",
        `The register is at epoch ${register.epoch}, this node at ${epoch}: ` +
          "declare a node in sync with `kedge group force` first, then confirm",
      );
    }
    parts.loop.input({ kind: "confirm", register });
    return register;
  }

  /**
   * Our log takes no more records: take no changes, and leave the set to whoever
   * can. What was answered before it was in the database learns of it only so.
   */
  logFailed(why: string): void {
    this.#parts.loop.input({ kind: "log-failed", why });
  }

  /** Records may be gone here and the group has not made up for them yet. */
  get isSuspect(): boolean {
    return this.#parts.core.isSuspect;
  }

  /** What `kedge status` shows. */
  status(): ReplicatorStatus {
    const parts = this.#parts;
    return statusOf({
      options: parts.options,
      view: parts.view,
      core: parts.core,
      sessions: parts.sessions,
      links: parts.links,
      pending: parts.commits.size,
      readOnly: this.#whyReadOnly(),
      catchUp: parts.transfers.progress ?? null,
      appliedPerS: parts.applied.look(
        parts.options.log.positions(),
      ),
      root: parts.roots.current ?? null,
      tombstones: parts.tombstones.status(),
      log: parts.cutter.status(),
      trackerFailure: parts.membership.trackerFailure,
      loopLagMs: parts.lag.peakMs,
      alarms: parts.alarms.current(),
    });
  }

  /**
   * Resolve once somebody has vouched for our data, or after `patienceMs`: until
   * then everybody would be refused.
   */
  async untilVouched(patienceMs: number): Promise<void> {
    const { clock } = this.#parts.options;
    const untilMs = clock.monotonicMs() + patienceMs;
    while (this.#parts.core.mayBeOld && this.#stopped === undefined) {
      if (clock.monotonicMs() >= untilMs) return;
      await new Promise((resolve) => setTimeout(resolve, VOUCH_LOOK_MS));
    }
  }

  register(): GroupRegister {
    const register = this.#parts.core.register;
    if (register !== undefined) return register;
    throw new Problem("not-in-sync", "No tracker has told the group yet");
  }

  settings(): GroupSettings {
    return this.#parts.view.settings;
  }

  peers(): readonly PeerInfo[] {
    return this.#parts.view.peers;
  }

  signingKeys(): readonly SigningKey[] {
    return this.#parts.view.signingKeys;
  }

  commit(
    change: Change,
    content: ContentSource,
    level: Level,
    idempotencyKey?: string,
  ): Promise<Commitment> {
    if (this.#stopped !== undefined || this.#parts.view.mode === "read-only") {
      const why = this.#whyReadOnly() ?? "This node takes no changes";
      return Promise.reject(new Problem("read-only", why));
    }
    return this.#parts.commits.commit(change, content, level, idempotencyKey);
  }

  fetch(
    id: string,
    purpose: "repair" | "confirm" = "repair",
  ): Promise<FetchOutcome> {
    return this.#parts.transfers.fetch(id, purpose);
  }

  openRelay(): Relay | undefined {
    const linked = this.#parts.core.requiredPeers().filter((peer) =>
      this.#parts.sessions.get(peer) !== undefined
    );
    return this.#parts.transfers.relay(linked);
  }

  ownerOf(origin: NodeId): NodeId | undefined {
    return this.#parts.view.ownerOf(origin);
  }

  mayRead(): ReturnType<Replicator["mayRead"]> {
    const verdict = this.#parts.readVerdict();
    if (verdict.kind === "refuse") return { ok: false, why: verdict.why };
    return verdict.kind === "confirm"
      ? { ok: true, confirm: true }
      : { ok: true, forMs: verdict.forMs };
  }

  mayWrite(): ReturnType<Replicator["mayWrite"]> {
    const why = this.#whyReadOnly();
    return why === null ? { ok: true } : { ok: false, why };
  }

  /** Nothing is decided any more: better to stop than to go on halfway. */
  #loopFailed(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#parts.alarms.raise(`replication stopped: ${why}`);
    this.#stop(`replication stopped: ${why}`);
  }

  #tick(): void {
    const parts = this.#parts;
    const nowMs = parts.options.clock.monotonicMs();
    parts.lag.tick(nowMs);
    if (parts.lag.peakMs > LAG_ALARM_MS) {
      parts.alarms.raise("the event loop stood still: see loopLagMs");
    }
    parts.links.tick(nowMs);
    parts.transfers.tick(nowMs);
    if (parts.core.register !== undefined) {
      parts.repairer.tick(nowMs);
    }
    parts.tombstones.tick(nowMs);
    parts.roots.tick(nowMs);
    parts.cutter.tick(nowMs);
    if (nowMs >= this.#disksDueMs) this.#lookAtDisks();
    parts.loop.input({ kind: "tick", nowMs });
  }

  #lookAtDisks(): void {
    const { files, clock } = this.#parts.options;
    this.#disksDueMs = clock.monotonicMs() + DISKS_MS;
    const why = lostFiles(files.storePaths(), files.fileCount());
    this.#parts.loop.input({ kind: "files-lost", why });
  }

  #whyReadOnly(): string | null {
    if (this.#stopped !== undefined) return this.#stopped;
    if (this.#parts.view.mode === "read-only") {
      return "an operator made this node read-only";
    }
    const verdict = this.#parts.core.mayWrite();
    return verdict.ok ? null : verdict.why;
  }

  #stop(why: string): void {
    const parts = this.#parts;
    this.#stopped ??= why;
    this.#listener?.close();
    parts.membership.stop();
    clearInterval(this.#timer);
    parts.loop.stop();
    parts.commits.close(why);
    parts.links.close(why);
    parts.sessions.close();
  }
}
