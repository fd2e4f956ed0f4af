/**
 * Leases for reads: a peer promises not to be promoted for a while each time
 * that it answers a heartbeat.
 *
 * Source: promises.md R6, R7.
 *
 * @module
 */

import { isConnected, type MirrorState } from "../decisions/mirror_state.ts";

/** How long a peer promises not to promote, in ms (promises.md §6.3). */
export const LEASE_MS = 1_500;
/** Bound of the clocks' rate error, both sides. */
const DRIFT = 0.02;

/** See the module comment. */
export class ReadLease {
  #leaseUntilMs = 0;
  /** Undefined: a node that was restarted has forgotten what it promised (R7). */
  #promisedUntilMs: number | undefined;

  /** Whether reads may be answered by the peer's promise. */
  isHeld(nowMs: number): boolean {
    return nowMs < this.#leaseUntilMs;
  }

  /**
   * The peer answered a heartbeat. One that may be Primary promises nothing.
   *
   * @param sentMs When the heartbeat that it answers was **sent**.
   * @returns Whether the lease is longer now.
   */
  granted(sentMs: number, { connection, peerRole }: MirrorState): boolean {
    if (!isConnected(connection) || peerRole !== "Secondary") return false;
    const untilMs = sentMs + LEASE_MS * (1 - DRIFT);
    if (untilMs <= this.#leaseUntilMs) return false;
    this.#leaseUntilMs = untilMs;
    return true;
  }

  /** We answered a heartbeat of the Primary, now. */
  promise(nowMs: number): void {
    this.#promisedUntilMs = Math.max(
      this.#promisedUntilMs ?? 0,
      nowMs + LEASE_MS * (1 + DRIFT),
    );
  }

  /** Time passes: before the first look at the clock nothing can be said. */
  tick(nowMs: number): void {
    this.#promisedUntilMs ??= nowMs + LEASE_MS * (1 + DRIFT);
  }

  /** For how long a promise of ours holds, in ms; 0: not at all. */
  promisedMs(nowMs: number): number {
    const untilMs = this.#promisedUntilMs ?? nowMs + LEASE_MS;
    return Math.max(0, Math.ceil(untilMs - nowMs));
  }
}
