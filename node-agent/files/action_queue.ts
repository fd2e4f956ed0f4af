/**
 * Actions that are not forgotten yet.
 *
 * @module
 */

import type { UnsettledKind, UnsettledRow } from "@kedge/schema/db";
import type { Pending } from "./file_actions.ts";

/** Actions settled together. */
const SETTLE_COUNT = 256;

/** An action of an earlier run. */
export function pendingOf(row: UnsettledRow, sinceMs: number): Pending {
  const { number, id, epoch, version, pathIndex, token, offset } = row;
  const kind = row.kind as UnsettledKind;
  const place = { kind, pathIndex, token, offset, replaces: true };
  return { number, id, epoch, version, ...place, sinceMs, done: false };
}

/** Waits for the disk. */
export class ActionQueue {
  /** In the order of their numbers. */
  #pending: Pending[] = [];
  /** Cannot be done now: the path is full or fenced. */
  #stuck: Pending[] = [];
  /** Where the actions stand that are being settled. */
  #begun: readonly Pending[] = [];

  /** How many there are. */
  get count(): number {
    return this.#pending.length + this.#stuck.length;
  }

  /** Whether some cannot be done now. */
  get hasStuck(): boolean {
    return this.#stuck.length > 0;
  }

  /** Number of the last one, or 0. */
  get lastNumber(): number {
    return this.#pending.at(-1)?.number ?? 0;
  }

  /** All of them. */
  *[Symbol.iterator](): Iterator<Pending> {
    yield* this.#stuck;
    yield* this.#pending;
  }

  /** A new one. */
  add(action: Pending): void {
    this.#pending.push(action);
  }

  /** Those that cannot be done now come first again. */
  unstick(): void {
    if (this.#stuck.length === 0) return;
    this.#pending = [...this.#stuck, ...this.#pending];
    this.#stuck = [];
  }

  /**
   * Some of what is old enough, to be settled. One call at a time.
   *
   * @param beforeMs Stored before this monotonic time.
   */
  begin(beforeMs: number): Pending[] {
    this.#begun = this.#pending;
    // A million may wait: only so many are looked at.
    const next = this.#pending.slice(0, SETTLE_COUNT);
    const young = next.findIndex(({ sinceMs }) => sinceMs > beforeMs);
    return young < 0 ? next : next.slice(0, young);
  }

  /** These of them are settled; the others cannot be done now. */
  end(batch: readonly Pending[], settled: readonly Pending[]): void {
    if (this.#pending === this.#begun) {
      this.#pending.splice(0, batch.length); // others were added at the end
    } else {
      const taken = new Set(batch);
      const stays = (action: Pending) => !taken.has(action);
      this.#pending = this.#pending.filter(stays);
      this.#stuck = this.#stuck.filter(stays);
    }
    const gone = new Set(settled);
    this.#stuck.push(...batch.filter((action) => !gone.has(action)));
  }
}
