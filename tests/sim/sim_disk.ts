/**
 * The Worker with the database of one simulated machine: jobs in order, each a
 * transaction, several sharing one delay, a flush when anybody wants one and
 * otherwise soon.
 *
 * @module
 */

import type { SimAgent } from "./sim_agent.ts";

/** One transaction. */
export interface DiskJob {
  /** Change the store; a head is the new end of our own log. */
  readonly store: () => { readonly head?: number };
  /** Called when it is stored, and when it is durable. */
  readonly written?: () => void;
  readonly durable?: () => void;
}

/** How long un-flushed transactions stay so, in ms. */
const FLUSH_DELAY_MS = 50;

/** See the module comment. */
export class SimDisk {
  readonly #agent: SimAgent;
  /** Extra delay of every write, in ms. */
  slowMs = 0;
  /** The next write fails, and everything after it in this life. */
  failsNext = false;
  #waiting: { readonly durable: boolean; readonly job: DiskJob }[] = [];
  #flushing: DiskJob[] = [];
  #written = 0;
  #durable = 0;
  #isBusy = false;
  #isBroken = false;
  #flushIsDue = false;

  constructor(agent: SimAgent) {
    this.#agent = agent;
  }

  /** A write failed: nothing is stored any more in this life. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Our log is durable up to here, as far as the disk says. */
  get durableHead(): number {
    return this.#durable;
  }

  /** Our log is stored up to here. */
  get writtenHead(): number {
    return this.#written;
  }

  /** The process has started. */
  open(): void {
    this.#waiting = [];
    this.#flushing = [];
    this.#written = this.#agent.log.length;
    this.#durable = this.#written;
    this.#isBusy = false;
    this.#isBroken = false;
    this.#flushIsDue = false;
  }

  /** The process is gone. */
  close(): void {
    this.#waiting = [];
    this.#flushing = [];
  }

  /** Finish what waits, for a clean stop. Whether that was possible. */
  finish(): boolean {
    if (this.#isBroken) return false;
    for (const { job } of this.#waiting) job.store();
    this.#waiting = [];
    return true;
  }

  /** Store something. */
  write(durable: boolean, job: DiskJob): void {
    if (this.#isBroken) return;
    this.#waiting.push({ durable, job });
    this.#work();
  }

  #work(): void {
    if (this.#isBusy || this.#waiting.length === 0) return;
    this.#isBusy = true;
    const rng = this.#agent.world.rng.disk;
    const delayMs = rng.range(0.1, 1.5) +
      (this.slowMs > 0 ? rng.range(0, this.slowMs) : 0);
    this.#agent.after(delayMs, () => this.#commit());
  }

  #commit(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    if (this.failsNext) return this.#fail(batch);
    let wantsFlush = this.#flushIsDue;
    for (const { durable, job } of batch) {
      const { head } = job.store();
      if (head !== undefined) this.#written = head;
      wantsFlush ||= durable;
      this.#flushing.push(job);
    }
    this.#tell();
    for (const { job } of batch) job.written?.();
    if (wantsFlush) return this.#flush();
    this.#agent.after(FLUSH_DELAY_MS, () => {
      this.#flushIsDue = true;
      this.write(false, { store: () => ({}) });
    });
    this.#next();
  }

  #flush(): void {
    const rng = this.#agent.world.rng.disk;
    const delayMs = rng.range(0.5, 6) +
      (this.slowMs > 0 ? rng.range(0, this.slowMs) : 0);
    this.#agent.after(delayMs, () => {
      if (this.failsNext) return this.#fail([]);
      const done = this.#flushing;
      this.#flushing = [];
      this.#flushIsDue = false;
      this.#agent.store.flush();
      this.#durable = this.#written;
      this.#tell();
      for (const job of done) job.durable?.();
      this.#agent.links.flushed();
      this.#next();
    });
  }

  #tell(): void {
    this.#durable = Math.min(this.#durable, this.#written);
    this.#agent.feed({
      kind: "logged",
      written: this.#written,
      durable: this.#durable,
    });
  }

  #fail(batch: readonly { readonly job: DiskJob }[]): void {
    this.failsNext = false;
    this.#isBroken = true;
    this.#agent.world.mark("disk failed");
    // Whether the failed transaction is there is anybody's guess.
    if (this.#agent.world.rng.disk.chance(0.5)) {
      for (const { job } of batch) job.store();
    }
    this.#agent.diskFailed();
    this.#agent.feed({ kind: "log-failed", why: "input/output error" });
  }

  #next(): void {
    this.#isBusy = false;
    this.#work();
  }
}
