/**
 * Looks in the group for the bytes of files that the index knows but whose copy
 * here is missing or wrong: what the scrub found, what a bad disk lost, what a
 * peer could not give when its record came.
 *
 * @module
 */

import type { ChangeLog, FetchOutcome, Log } from "../ports.ts";

/** Pause between two looks, in milliseconds. */
const LOOK_MS = 5000;
/** A file that nobody has is asked for again after this, in milliseconds. */
const AGAIN_MS = 60_000;
/** Files that are looked at in one round. */
const ROUND_COUNT = 64;
/** Files that are remembered as not to be had now. */
const REMEMBERED_MAX = 10_000;

/** What {@linkcode Repairer} works with. */
export interface RepairerOptions {
  readonly log: Pick<ChangeLog, "damaged">;
  readonly logger: Log;
  fetch(id: string): Promise<FetchOutcome>;
}

/** See the module comment. */
export class Repairer {
  readonly #options: RepairerOptions;
  readonly #notBeforeMs = new Map<string, number>();
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
      const { log } = this.#options;
      for (const { id } of await log.damaged(ROUND_COUNT)) {
        if (nowMs < (this.#notBeforeMs.get(id) ?? 0)) continue;
        await this.#repair(id, nowMs);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn("cannot look for damaged files", { why });
    } finally {
      this.#isRunning = false;
    }
  }

  async #repair(id: string, nowMs: number): Promise<void> {
    const { fetch, logger } = this.#options;
    const outcome = await fetch(id);
    if (outcome.kind === "kept") {
      this.#repaired++;
      this.#notBeforeMs.delete(id);
      logger.info("repaired a file from the group", { id });
      return;
    }
    if (this.#notBeforeMs.size >= REMEMBERED_MAX) this.#notBeforeMs.clear();
    this.#notBeforeMs.set(id, nowMs + AGAIN_MS);
    logger.warn("cannot repair a file now", { id, outcome: outcome.kind });
  }
}
