/**
 * Virtual time: a heap of events by (time, order of scheduling). The only source
 * of order in a simulated run.
 *
 * @module
 */

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** See the module comment. */
export class Scheduler {
  /** Simulated time, in ms. */
  nowMs = 0;
  /** Events that have run. */
  events = 0;
  /** Over the times of all events, so that runs can be compared. */
  hash = 0x811c9dc5;
  readonly #heap: Event[] = [];
  #order = 0;

  /** Run something after a delay. */
  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + delayMs, order: this.#order++, run };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const above = heap[up];
      if (above === undefined || isBefore(above, event)) break;
      heap[at] = above;
      at = up;
    }
    heap[at] = event;
  }

  /** Run everything that is due up to a time. */
  runUntil(untilMs: number): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.atMs > untilMs) break;
      this.#pop();
      this.nowMs = first.atMs;
      this.events++;
      this.hash = Math.imul(this.hash ^ (this.nowMs * 1e6 | 0), 0x01000193);
      first.run();
    }
    this.nowMs = untilMs;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      let below = heap[down];
      if (below === undefined) break;
      const right = heap[down + 1];
      if (right !== undefined && isBefore(right, below)) {
        below = right;
        down++;
      }
      if (isBefore(last, below)) break;
      heap[at] = below;
      at = down;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
