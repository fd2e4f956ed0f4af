/**
 * What one peer holds of our log, run by run.
 *
 * @module
 */

import type { NodeId, SyncPosition } from "@kedge/schema";
import type { LogPlace } from "../ports.ts";

/** See the module comment. Nothing is ever held less. */
export class PeerHoldings {
  readonly #held = new Map<number, number>();
  readonly #flushed = new Map<number, number>();

  /** What the peer told in its state: it has flushed all of that. */
  constructor(origin: NodeId, positions: readonly SyncPosition[]) {
    for (const position of positions) {
      if (position.origin !== origin) continue;
      this.#held.set(position.incarnation, position.sequence);
      this.#flushed.set(position.incarnation, position.sequence);
    }
  }

  /** Last sequence of a run that the peer holds; 0 is none. */
  held(incarnation: number): number {
    return this.#held.get(incarnation) ?? 0;
  }

  /** Last sequence of a run that the peer has flushed; 0 is none. */
  flushed(incarnation: number): number {
    return this.#flushed.get(incarnation) ?? 0;
  }

  /** Where it is in each run. */
  get heldPlaces(): LogPlace[] {
    return placesIn(this.#held);
  }

  /** What it has flushed of each run. */
  get flushedPlaces(): LogPlace[] {
    return placesIn(this.#flushed);
  }

  /** It holds a run up to here. */
  hold({ incarnation, sequence }: LogPlace): void {
    if (sequence > this.held(incarnation)) {
      this.#held.set(incarnation, sequence);
    }
  }

  /**
   * It has flushed a run up to here, and with it everything that was stored
   * before: what it holds of earlier runs, too.
   */
  flush(
    { incarnation, sequence }: LogPlace,
    runs: readonly { readonly incarnation: number }[],
  ): void {
    const known = this.flushed(incarnation);
    this.#flushed.set(incarnation, Math.max(known, sequence));
    for (const run of runs) {
      if (run.incarnation >= incarnation) break;
      this.#flushed.set(run.incarnation, this.held(run.incarnation));
    }
  }
}

function placesIn(places: ReadonlyMap<number, number>): LogPlace[] {
  return [...places].map(([incarnation, sequence]) => ({
    incarnation,
    sequence,
  }));
}
