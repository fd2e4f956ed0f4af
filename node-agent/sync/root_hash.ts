/**
 * One hash over all files of this node, and the places in the logs at which it
 * was taken: two members whose hashes are equal hold the same files
 * (promises.md F9).
 *
 * Hashed are the digests of all buckets over present files (16 KiB). They are
 * asked for only when something moved, or now and then, since comparisons and
 * repairs change files without moving a position.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { RootHash, SyncPosition } from "@kedge/schema";
import type { ChangeLog, Clock } from "../ports.ts";

/** Pause between two looks, in ms. */
const PAUSE_MS = 1000;
/** Age at which the hash is taken again although nothing seems to have moved. */
const AGE_MS_MAX = 5000;
/** Hex digits that are told. */
const HASH_LENGTH = 32;

/** What a hash is about besides the positions. */
export interface HashedState {
  /** Present files. */
  readonly fileCount: number;
  /** Of the register that this node acts under. */
  readonly epoch: number;
}

/** The part of the log that is looked at. */
type HashedLog = Pick<
  ChangeLog,
  "node" | "positions" | "incarnations" | "presentDigests"
>;

/** See the module comment. */
export class RootHashes {
  readonly #log: HashedLog;
  readonly #clock: Clock;
  readonly #state: () => HashedState;
  #current: RootHash | undefined;
  #stamp = "";
  #epoch = 0;
  #takenMs = -Infinity;
  #dueMs = -Infinity;
  #isAsking = false;

  /** Nothing is hashed before the first {@linkcode tick}. */
  constructor(log: HashedLog, clock: Clock, state: () => HashedState) {
    this.#log = log;
    this.#state = state;
    this.#clock = clock;
  }

  /**
   * The last hash; `undefined` while files are still counted. None of an earlier
   * epoch: a comparison may have brought files without moving a position, and
   * the node is in sync only since.
   */
  get current(): RootHash | undefined {
    return this.#epoch === this.#state().epoch ? this.#current : undefined;
  }

  /** Look whether it is time, and hash. Never throws. */
  tick(nowMs: number): void {
    if (nowMs < this.#dueMs || this.#isAsking) return;
    this.#dueMs = nowMs + PAUSE_MS;
    const positions = newestPositions(this.#log);
    const stamp = this.#stampOf(positions);
    if (stamp === this.#stamp && nowMs - this.#takenMs < AGE_MS_MAX) return;
    this.#isAsking = true;
    // A log that is closed meanwhile has nothing to tell any more.
    this.#take(positions, stamp).catch(() => {})
      .finally(() => this.#isAsking = false);
  }

  async #take(positions: SyncPosition[], stamp: string): Promise<void> {
    const { epoch } = this.#state();
    const digests = await this.#log.presentDigests();
    // Something was stored in between: it may be in the digests or not.
    if (this.#stampOf(newestPositions(this.#log)) !== stamp) return;
    this.#current = { hash: rootHashOf(digests), positions };
    this.#stamp = stamp;
    this.#epoch = epoch;
    this.#takenMs = this.#clock.monotonicMs();
  }

  #stampOf(positions: readonly SyncPosition[]): string {
    return JSON.stringify([this.#state(), positions]);
  }
}

/** The hash of the digests of all buckets, in hex. */
export function rootHashOf(digests: Uint32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * digests.length));
  digests.forEach((digest, index) => bytes.setUint32(4 * index, digest));
  return createHash("sha256").update(bytes).digest("hex")
    .slice(0, HASH_LENGTH);
}

/**
 * The last record of each origin that is stored here: of its newest run that has
 * any, ours included, by origin.
 */
export function newestPositions(
  log: Pick<HashedLog, "node" | "positions" | "incarnations">,
): SyncPosition[] {
  const newest = new Map<number, SyncPosition>();
  const ours = log.incarnations().map(({ incarnation, lastSequence }) => ({
    origin: log.node,
    incarnation,
    sequence: lastSequence,
  }));
  for (const position of [...log.positions(), ...ours]) {
    if (position.sequence === 0) continue;
    const known = newest.get(position.origin)?.incarnation ?? 0;
    if (position.incarnation > known) newest.set(position.origin, position);
  }
  return [...newest.values()].sort((a, b) => a.origin - b.origin).slice(-256);
}
