/**
 * Looks in the group for the bytes of files that the index knows but whose copy
 * here is missing or wrong: what the scrub found, what a bad disk lost, what a
 * peer could not give when its record came.
 *
 * It goes round: each look takes up where the last one ended, so that files which
 * nobody has do not keep the others waiting.
 *
 * @module
 */

import type { ChangeLog, FetchOutcome, Log } from "../ports.ts";

/** Pause between two looks, in milliseconds. */
const LOOK_MS = 5000;
/** A file that nobody has is asked for again after this, in milliseconds, … */
const AGAIN_MS = 60_000;
/** … and one that has no place here, since a disk is away or full, after this; */
const NO_PLACE_MS = LOOK_MS;
/** … twice as long after each further time, up to this. */
const AGAIN_MS_MAX = 60 * 60 * 1000;
/** Files that are asked for in one round. */
const ROUND_COUNT = 64;
/** Files that are passed over in one round: each costs a row. */
const PASSED_COUNT_MAX = 4096;
/** Files that are remembered as not to be had now. */
const REMEMBERED_MAX = 10_000;

/** What {@linkcode Repairer} works with. */
export interface RepairerOptions {
  readonly log: Pick<ChangeLog, "damaged">;
  readonly logger: Log;
  fetch(id: string): Promise<FetchOutcome>;
}

/** A file that was not to be had. */
interface Missing {
  readonly notBeforeMs: number;
  readonly pauseMs: number;
}

/** See the module comment. */
export class Repairer {
  readonly #options: RepairerOptions;
  /** By ID, the one that was asked for longest ago first. */
  readonly #missing = new Map<string, Missing>();
  /** Where the next look begins. */
  #after = "";
  #dueMs = 0;
  #isRunning = false;
  #repaired = 0;

  /** Nothing is looked for yet. */
  constructor(options: RepairerOptions) {
    this.#options = options;
  }

  /** Files that were repaired so far. */
  get repaired(): number {
    return this.#repaired;
  }

  /** Look if it is time. */
  tick(nowMs: number): void {
    if (nowMs < this.#dueMs || this.#isRunning) return;
    this.#dueMs = nowMs + LOOK_MS;
    void this.#round(nowMs);
  }

  async #round(nowMs: number): Promise<void> {
    this.#isRunning = true;
    try {
      let kept = 0;
      for (const id of await this.#nextDue(nowMs)) {
        if (await this.#repair(id, nowMs)) kept++;
      }
      // A disk that was replaced is filled without pauses.
      if (kept === ROUND_COUNT) this.#dueMs = nowMs;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn("cannot look for damaged files", { why });
    } finally {
      this.#isRunning = false;
    }
  }

  /** The next files that are due: at most once around. */
  async #nextDue(nowMs: number): Promise<string[]> {
    const { log } = this.#options;
    const due: string[] = [];
    let canWrap = this.#after !== "";
    for (let passed = 0; passed < PASSED_COUNT_MAX;) {
      const page = await log.damaged(ROUND_COUNT, this.#after);
      for (const { id } of page) {
        this.#after = id;
        passed++;
        if (nowMs < (this.#missing.get(id)?.notBeforeMs ?? 0)) continue;
        if (!due.includes(id)) due.push(id);
        if (due.length === ROUND_COUNT) return due;
      }
      if (page.length === ROUND_COUNT) continue;
      this.#after = "";
      if (!canWrap) return due;
      canWrap = false;
    }
    return due;
  }

  /** Returns whether it was repaired. */
  async #repair(id: string, nowMs: number): Promise<boolean> {
    const { fetch, logger } = this.#options;
    const outcome = await fetch(id);
    const before = this.#missing.get(id);
    this.#missing.delete(id);
    if (outcome.kind === "kept") {
      this.#repaired++;
      logger.info("repaired a file from the group", { id });
      return true;
    }
    const [oldest] = this.#missing.keys();
    const isFull = this.#missing.size >= REMEMBERED_MAX;
    if (isFull && oldest !== undefined) this.#missing.delete(oldest);
    const firstMs = outcome.kind === "elsewhere" ? NO_PLACE_MS : AGAIN_MS;
    const pauseMs = before === undefined
      ? firstMs
      : Math.min(AGAIN_MS_MAX, 2 * before.pauseMs);
    this.#missing.set(id, { notBeforeMs: nowMs + pauseMs, pauseMs });
    logger.warn("cannot repair a file now", { id, outcome: outcome.kind });
    return false;
  }
}
