/**
 * How replication goes, as trackers hear it: the numbers of
 * `GroupReplicator.status()`, without texts that name addresses.
 *
 * @module
 */

import type { ReplicationReport, SyncPosition } from "@kedge/schema";
import type { Clock } from "../ports.ts";
import type { ReplicatorStatus } from "./replicator_options.ts";

/** Time over which a rate is taken, in ms. */
const RATE_MS = 5000;

/** How fast changes of others are stored here. */
export class AppliedRate {
  readonly #clock: Clock;
  #samples: { readonly atMs: number; readonly count: number }[] = [];

  /** Nothing was seen yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Look at the positions; answers changes per second over the last seconds. */
  look(positions: readonly SyncPosition[]): number {
    const atMs = this.#clock.monotonicMs();
    const count = positions.reduce((sum, { sequence }) => sum + sequence, 0);
    this.#samples.push({ atMs, count });
    // The last one that is old enough stays, to count from.
    while ((this.#samples[1]?.atMs ?? Infinity) <= atMs - RATE_MS) {
      this.#samples.shift();
    }
    const [first] = this.#samples;
    if (first === undefined || first.atMs === atMs) return 0;
    const perS = 1000 * (count - first.count) / (atMs - first.atMs);
    return Math.max(0, Math.round(10 * perS) / 10);
  }
}

/** For a heartbeat. */
export function replicationReport(status: ReplicatorStatus): ReplicationReport {
  const { catchUp, tombstones, pending, appliedPerS } = status;
  const { count, forgotten, blocked } = tombstones;
  return {
    peers: status.peers.slice(0, 256).map((peer) => ({
      node: peer.node,
      linked: peer.linked,
      lagChanges: peer.lagChanges,
      underWayBytes: peer.underWayBytes,
      waitingBytes: peer.waitingBytes,
    })),
    catchUp: catchUp === null ? null : {
      donor: catchUp.donor,
      bucketsTotal: catchUp.bucketsTotal,
      bucketsDone: catchUp.bucketsDone,
      takenFiles: catchUp.takenFiles,
      takenBytes: catchUp.takenBytes,
      givenFiles: catchUp.givenFiles,
      bytesPerS: catchUp.bytesPerS,
      etaS: catchUp.etaS ?? null,
    },
    appliedPerS,
    tombstones: { count, forgotten, blocked: blocked?.slice(0, 300) ?? null },
    pending,
  };
}
