/**
 * Puts the parts of replication together: who may call whom.
 *
 * `replicator.ts` starts, stops and answers; this file only connects.
 *
 * @module
 */

import {
  FRAME_BODY_BYTES_MAX,
  MIB,
  type NodeId,
  RECORD_BODY_BYTES_MAX,
} from "@kedge/schema";
import { LONG_BODY_BYTES_MIN } from "@kedge/schema/wire/frame-reader";
import { BodyRooms } from "../body_rooms.ts";
import { ClientBodies } from "../client_bodies.ts";
import { Alarms } from "./alarms.ts";
import { Commits } from "./commits.ts";
import { CoreLoop } from "./core_loop.ts";
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
import { Repairer } from "./repairer.ts";
import { AppliedRate, replicationReport } from "./replication_report.ts";
import { RootHashes } from "./root_hash.ts";
import { Sessions } from "./sessions.ts";
import { Tombstones } from "./tombstones.ts";
import { Transfers } from "./transfers.ts";

/** Pause between two ticks of the core, in milliseconds. */
export const TICK_MS = 100;

/** Memory of frames that is kept for the next ones. */
const FRAME_ROOMS = {
  sizeBytesMin: LONG_BODY_BYTES_MIN,
  sizeBytesMax: FRAME_BODY_BYTES_MAX,
  freeBytesMax: 8 * MIB,
};

/** What the parts need of the whole. */
export interface ReplicatorHooks {
  /** What replication looks like now. */
  status(): ReplicatorStatus;
  /** The core threw: nothing is decided any more. */
  failed(error: unknown): void;
}

/** See the module comment. */
export class ReplicatorParts {
  readonly options: ReplicatorOptions;
  readonly membership: Membership;
  readonly alarms: Alarms;
  /** For frames of records. */
  readonly rooms = new BodyRooms(FRAME_ROOMS);
  readonly lag = new LoopLag(TICK_MS);
  readonly applied: AppliedRate;
  readonly roots: RootHashes;
  readonly core: ReplicaCore;
  readonly loop: CoreLoop;
  readonly recent: RecentRecords;
  readonly commits: Commits;
  readonly sessions: Sessions;
  readonly links: PeerLinks;
  readonly transfers: Transfers;
  readonly repairer: Repairer;
  readonly tombstones: Tombstones;
  readonly cutter: LogCutter;

  /** Everything connected, nothing started. */
  constructor(options: ReplicatorOptions, hooks: ReplicatorHooks) {
    const { log, node, clock, logger } = options;
    const { bodies = new ClientBodies() } = options;
    const identity: LinkIdentity = {
      node,
      group: options.group,
      store: log.store,
      boot: crypto.randomUUID(),
      secretOf: (peer) => this.view.keyOf(peer) ?? options.clusterSecret,
    };
    this.options = options;
    this.alarms = new Alarms(clock, logger);
    this.applied = new AppliedRate(clock);
    this.roots = new RootHashes(log, clock, () => ({
      fileCount: options.files.fileCount(),
      epoch: this.core.register?.epoch ?? 0,
    }));
    this.recent = new RecentRecords(log.head(), bodies);
    this.core = new ReplicaCore({
      node,
      store: log.store,
      incarnation: log.incarnation,
      register: log.register(),
      head: log.head(),
      mayHaveLost: options.mayHaveLost,
      mayBeOld: options.run !== undefined && !options.mayHaveLost,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    });
    this.loop = this.#makeLoop(hooks);
    this.membership = new Membership(options, {
      alarms: this.alarms,
      register: () => this.core.register,
      input: (input) => this.loop.input(input),
      replication: () => replicationReport(hooks.status()),
      root: () => this.roots.current,
      peersChanged: () => this.links.setPeers(this.view.reachable),
    });
    this.commits = new Commits({
      log,
      bodies,
      recent: this.recent,
      lookup: (id) => options.files.lookup(id),
      input: (input) => this.loop.input(input),
      appended: (isAwaited) => this.sessions.poke(isAwaited),
    });
    this.sessions = this.#makeSessions();
    this.links = this.#makeLinks(identity);
    this.transfers = this.#makeTransfers(identity);
    this.repairer = new Repairer({
      log,
      logger,
      fetch: (id) => this.transfers.fetch(id, "repair"),
    });
    this.tombstones = this.#makeTombstones();
    this.cutter = new LogCutter({
      node,
      log,
      logger,
      register: () => this.core.register,
      flushedBy: (peer) => this.sessions.flushedBy(peer),
      keepRecords: options.logKeepRecords,
      lagRecordsMax: options.logLagRecordsMax,
    });
  }

  #makeLoop(hooks: ReplicatorHooks): CoreLoop {
    return new CoreLoop({
      core: this.core,
      perform: (effect) =>
        perform(effect, {
          commits: this.commits,
          sessions: this.sessions,
          membership: this.membership,
          transfers: this.transfers,
          alarms: this.alarms,
          input: (input) => this.loop.input(input),
          restartLog: (why) => this.options.onRestartLog(why),
        }),
      save: (register) => this.membership.save(register),
      failed: (error) => hooks.failed(error),
    });
  }

  #makeSessions(): Sessions {
    const { group, log, logger } = this.options;
    return new Sessions({
      group,
      log,
      recent: this.recent,
      logger,
      input: (input) => this.loop.input(input),
      content: (peer, record) => this.transfers.content(peer, record),
      missing: (peer, entries) => this.transfers.missing(peer, entries),
      pace: (peer, bytes, files) =>
        // What an answer waits for is never slowed down.
        this.core.requiredPeers().includes(peer)
          ? Promise.resolve()
          : this.transfers.pace(bytes, files),
      free: (memory) => this.rooms.giveBack(memory),
      onReport: (peer, frame) => this.tombstones.take(peer, frame),
      storeFailed: (peer, why) =>
        this.alarms.raise(`cannot store changes of node ${peer}: ${why}`),
    });
  }

  #makeLinks(identity: LinkIdentity): PeerLinks {
    const { transport, clock, logger } = this.options;
    return new PeerLinks({
      identity,
      transport,
      clock,
      log: logger,
      events: {
        isMember: (peer) => this.view.isMember(peer),
        stateFor: (peer) => this.#stateFor(peer),
        epoch: () => this.view.epoch,
        linked: (control, theirs, ours) => {
          logger.info("linked", { peer: control.peer });
          control.link.useMemory((lengthBytes) => this.rooms.take(lengthBytes));
          this.sessions.linked(control, theirs, ours);
        },
        frame: (control, frame) => this.sessions.frame(control, frame),
        confirmed: (peer, epoch, sinceMs) =>
          this.membership.confirmed(peer, epoch, sinceMs),
        unlinked: (control, why) => {
          logger.warn("link lost", { peer: control.peer, why });
          this.sessions.unlinked(control);
          this.tombstones.unlinked(control.peer);
        },
        bulk: (peer, link) => this.transfers.serve(peer.node, link),
        stranger: () => this.membership.soon(),
      },
    });
  }

  #makeTransfers(identity: LinkIdentity): Transfers {
    return new Transfers(this.options, {
      identity,
      address: (peer) => this.links.address(peer)?.peerAddress,
      epoch: () => this.view.epoch,
      isWhole: () => this.core.isWhole(),
      serves: () => this.readVerdict().kind === "serve",
      register: () => this.view.saved,
      fileBytesMax: () => this.view.settings.fileBytesMax,
      broken: (id) => {
        this.commits.broken(id);
        this.alarms.raise(`the copy of ${id} here is damaged`);
      },
      alarm: (why) => this.alarms.raise(why),
    });
  }

  #makeTombstones(): Tombstones {
    const { node, log, clock, logger, tombstoneAgeMs } = this.options;
    return new Tombstones({
      node,
      log,
      clock,
      logger,
      ageMs: tombstoneAgeMs,
      open: this.transfers.open,
      lastGiven: () => this.recent.last,
      register: () => this.core.register,
      mayCollect: () =>
        this.core.isWhole() && this.membership.trackerFailure === "",
      say: (peer, kind, body) => this.sessions.sayReport(peer, kind, body),
    });
  }

  async #stateFor(peer: NodeId) {
    const { log, recordBytesMax = RECORD_BODY_BYTES_MAX } = this.options;
    const register = this.view.saved;
    if (register === undefined) throw new Error("no register is known yet");
    const positions = log.positions().filter(({ origin }) => origin === peer);
    const cut = log.cut();
    // What is told must be flushed: the peer counts it as durable.
    await log.flush();
    const { incarnation } = log;
    return {
      ...{ register, positions, incarnation, recordBytesMax },
      ...(cut === undefined ? {} : { cut }),
    };
  }

  /** Whether reads may be served now. */
  readVerdict(): ReadVerdict {
    const register = this.core.register;
    return readVerdict({
      register,
      node: this.options.node,
      required: this.core.requiredPeers(),
      isWhole: this.core.isWhole() || this.#servesAnyway(),
      nowMs: this.options.clock.monotonicMs(),
      ...this.view.confirmations,
      leaseMs: READ_LEASE_MS,
      isolatedReads: this.options.isolatedReads ?? "refuse",
    });
  }

  /** An operator prefers what may be old to nothing. */
  #servesAnyway(): boolean {
    return this.core.mayBeOld && this.options.isolatedReads === "serve";
  }

  /** What the trackers told. */
  get view(): GroupView {
    return this.membership.view;
  }
}
