/**
 * Forgets tombstones of our log once nobody can need them any more: every member
 * has flushed our log up to there, under a register that a tracker confirms
 * (promises.md F5, F11).
 *
 * @module
 */

import type { GroupRegister, NodeId } from "@kedge/schema";
import type { ChangeLog, Log } from "../ports.ts";

/** Pause between two collections, in milliseconds. */
const COLLECT_MS = 60_000;

/** What a collection is decided from. */
export interface TombstoneView {
  readonly register: GroupRegister | undefined;
  readonly node: NodeId;
  readonly isTrackerHeard: boolean;
  /** Sequence of our present run that a linked peer has flushed. */
  heldBy(peer: NodeId): number | undefined;
}

/**
 * Up to where every member holds our log.
 *
 * @returns 0 when somebody cannot be asked, or is not in sync: then nothing may
 * be forgotten.
 */
export function heldByAll(view: TombstoneView): number {
  const { register, node, isTrackerHeard } = view;
  if (register === undefined || !isTrackerHeard) return 0;
  if (register.insync.length !== register.members.length) return 0;
  const others = register.members.filter((member) => member.node !== node);
  if (others.length === 0) return 0;
  return Math.min(...others.map((member) => view.heldBy(member.node) ?? 0));
}

/** See the module comment. */
export class TombstoneCollector {
  readonly #log: ChangeLog;
  readonly #logger: Log;
  #dueMs: number | undefined;
  #isRunning = false;
  #doneUpTo = 0;

  /** Nothing is due in the first minute. */
  constructor(log: ChangeLog, logger: Log) {
    this.#log = log;
    this.#logger = logger;
  }

  /** Collect if it is time. */
  tick(nowMs: number, view: TombstoneView): void {
    this.#dueMs ??= nowMs + COLLECT_MS;
    if (nowMs < this.#dueMs || this.#isRunning) return;
    this.#dueMs = nowMs + COLLECT_MS;
    const upTo = heldByAll(view);
    if (upTo > this.#doneUpTo) void this.#collect(upTo);
  }

  async #collect(upTo: number): Promise<void> {
    this.#isRunning = true;
    try {
      const count = await this.#log.collectTombstones(upTo);
      this.#doneUpTo = upTo;
      if (count > 0) this.#logger.info("forgot tombstones", { count, upTo });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#logger.warn("cannot forget tombstones", { why });
    } finally {
      this.#isRunning = false;
    }
  }
}
