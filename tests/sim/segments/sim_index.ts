/**
 * The index as a database keeps it: transactions, of which a power loss takes
 * back the last ones that were not flushed, and never one from the middle.
 *
 * @module
 */

import type { Prng } from "../prng.ts";

/** Where a record lies. */
export interface SimPlace {
  readonly segment: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** A record that is to be marked dead. */
export type Burial = SimPlace & { readonly id: string };

/** Everything that is stored. */
export class Tables {
  /** Rows of the index. */
  readonly files = new Map<string, "present" | "tombstone">();
  /** Uploads whose bytes are in the database. */
  readonly waiting = new Set<string>();
  /** Records that are needed no more, and not known to be marked so. */
  readonly burials: Burial[] = [];
  readonly places = new Map<string, SimPlace>();
  /** Stored length of every segment. */
  readonly segments = new Map<number, number>();

  /** The same, on its own. */
  copy(): Tables {
    const tables = new Tables();
    for (const [key, value] of this.files) tables.files.set(key, value);
    for (const id of this.waiting) tables.waiting.add(id);
    tables.burials.push(...this.burials);
    for (const [key, value] of this.places) tables.places.set(key, value);
    for (const [key, value] of this.segments) tables.segments.set(key, value);
    return tables;
  }

  /** Rows of the segments, in order, as the core wants them. */
  segmentRows() {
    return [...this.segments].sort(([a], [b]) => a - b)
      .map(([segment, sizeBytes]) => ({
        segment,
        sizeBytes,
        liveBytes: [...this.places.values()]
          .filter((place) => place.segment === segment)
          .reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
      }));
  }

  /** Files in a segment behind an offset, in order. */
  placesIn(segment: number, behind: number): [string, SimPlace][] {
    return [...this.places]
      .filter(([, place]) => place.segment === segment && place.offset > behind)
      .sort(([, a], [, b]) => a.offset - b.offset);
  }
}

/** See the module comment. */
export class SimIndex {
  /** From the last flushed one to the present one. */
  #history: Tables[] = [new Tables()];

  /** What is stored now. */
  get now(): Tables {
    const last = this.#history.at(-1);
    if (last === undefined) throw new Error("there is always one");
    return last;
  }

  /** One transaction. */
  transact(act: (tables: Tables) => void, isDurable: boolean): void {
    const next = this.now.copy();
    act(next);
    this.#history.push(next);
    if (isDurable) this.flush();
  }

  /** Everything so far is on the disk. */
  flush(): void {
    this.#history = [this.now];
  }

  /** An older copy takes its place. */
  restore(tables: Tables): void {
    this.#history = [tables.copy()];
  }

  /** Some of what was not flushed is gone. */
  losePower(random: Prng): void {
    const kept = random.between(1, this.#history.length);
    this.#history.length = kept;
    this.flush();
  }
}
