/**
 * The activity log: which 4 MiB extents may differ after a crash.
 *
 * A ring of blocks of 4 KiB. Each holds one transaction: up to 64 slots that
 * change, and a window of 919 slots as they were before. The window moves on
 * with every transaction, so that a ring shows the whole map.
 *
 * ```text
 * offset  size      field            notes
 *      0  4         magic            0x69CB65A2
 *      4  4         number           of the transaction; wraps after 2^32
 *      8  4         crc              CRC-32C of the block with this field 0
 *     12  2         type             0 update, 0xFFFF initialised
 *     14  2         updates          how many of the 64 are used
 *     16  2         context size     slots in the map
 *     18  2         context start    first slot of the window
 *     20  16        reserved
 *     36  64 × 2    updated slots    0xFFFF where unused
 *    164  64 × 4    their extents    0xFFFFFFFF: the slot is free
 *    420  919 × 4   the window       0xFFFFFFFF: free, or past the last slot
 * ```
 *
 * Big-endian. Source: reference of DRBD, §4.2 and §4.8.
 *
 * @module
 */

import { crc32cDrbd } from "./crc32c.ts";
import type { AlStriping } from "./geometry.ts";
import { AL_EXTENTS_MAX, META_BLOCK_BYTES } from "./units.ts";

/** Most slots that one transaction changes. */
export const AL_UPDATES_MAX = 64;

/** Slots of the window in one transaction. */
export const AL_CONTEXT_SLOTS = 919;

/** What stands for "no extent". */
export const AL_FREE = 0xffffffff;

const MAGIC = 0x69cb65a2;
const TYPE_UPDATE = 0;
const TYPE_INITIALISED = 0xffff;
const SLOT_UNUSED = 0xffff;
const AT_SLOTS = 36;
const AT_EXTENTS = 164;
const AT_CONTEXT = 420;

/** One transaction: what changes, and a window of what was before. */
export interface AlTransaction {
  /** Its number, 0 to 2^32 − 1. */
  readonly number: number;
  /** Slots that change, with their new extent or {@linkcode AL_FREE}. */
  readonly updates: readonly AlUpdate[];
  /** Slots in the whole map. */
  readonly contextSize: number;
  /** First slot of the window. */
  readonly contextStart: number;
  /** Extents in the window, {@linkcode AL_FREE} where there is none. */
  readonly context: readonly number[];
}

/** One slot that changes. */
export interface AlUpdate {
  /** Which slot of the map. */
  readonly slot: number;
  /** What it holds from now on. */
  readonly extent: number;
}

/** What a block of the ring turned out to be. */
export type AlBlock =
  | { readonly kind: "update"; readonly transaction: AlTransaction }
  /** Written when the ring was made; holds nothing. */
  | { readonly kind: "initialised" }
  /** Torn, damaged, or never written. */
  | { readonly kind: "invalid"; readonly reason: string };

/** Most extents that a ring can hold: one block may always be torn. */
export function alExtentsCapacity(blocks: number): number {
  return Math.min((blocks - 1) * AL_CONTEXT_SLOTS, AL_EXTENTS_MAX);
}

/**
 * The block of the ring that a transaction goes to: neighbours in time lie on
 * different stripes.
 */
export function alBlockOf(number: number, striping: AlStriping): number {
  const { stripes, stripeSize4k } = striping;
  const turn = number % (stripes * stripeSize4k);
  return turn % stripes * stripeSize4k + Math.floor(turn / stripes);
}

/** Write the block that a fresh ring consists of, as `drbdmeta` does. */
export function encodeInitialised(into: Uint8Array): void {
  const view = viewOf(into);
  into.fill(0);
  view.setUint32(0, MAGIC);
  view.setUint16(12, TYPE_INITIALISED);
  view.setUint32(8, crc32cDrbd(into));
}

/**
 * Writes transactions into one block, over and over, without allocating.
 *
 * ```ts ignore
 * encoder.begin(number, contextStart);
 * encoder.update(slot, extent); // up to 64 times
 * encoder.finish(map);
 * ```
 */
export class AlBlockEncoder {
  /** The block that is written. */
  readonly block: Uint8Array;
  readonly #view: DataView;
  #updates = 0;
  #contextStart = 0;

  /** Write into `block`, 4096 bytes. */
  constructor(block: Uint8Array = new Uint8Array(META_BLOCK_BYTES)) {
    this.block = block;
    this.#view = viewOf(block);
  }

  /** How many slots the transaction changes so far. */
  get updates(): number {
    return this.#updates;
  }

  /** Start a transaction. */
  begin(number: number, contextStart: number): void {
    const view = this.#view;
    this.block.fill(0, 0, AT_SLOTS);
    this.block.fill(0xff, AT_SLOTS);
    view.setUint32(0, MAGIC);
    view.setUint32(4, number);
    view.setUint16(12, TYPE_UPDATE);
    view.setUint16(18, contextStart);
    this.#updates = 0;
    this.#contextStart = contextStart;
  }

  /** Let `slot` hold `extent`, or {@linkcode AL_FREE}. At most 64 times. */
  update(slot: number, extent: number): void {
    if (this.#updates === AL_UPDATES_MAX) {
      throw new RangeError("Cannot change more than 64 slots at once");
    }
    this.#view.setUint16(AT_SLOTS + 2 * this.#updates, slot);
    this.#view.setUint32(AT_EXTENTS + 4 * this.#updates, extent);
    this.#updates++;
  }

  /**
   * Add the window and the checksum.
   *
   * @param map All slots as they are **before** this transaction.
   * @returns First slot of the next transaction's window.
   */
  finish(map: Uint32Array): number {
    const view = this.#view;
    const start = this.#contextStart;
    const slots = Math.min(AL_CONTEXT_SLOTS, map.length - start);
    for (let at = 0; at < slots; at++) {
      view.setUint32(AT_CONTEXT + 4 * at, map[start + at] ?? AL_FREE);
    }
    view.setUint16(14, this.#updates);
    view.setUint16(16, map.length);
    view.setUint32(8, 0);
    view.setUint32(8, crc32cDrbd(this.block));
    const next = start + AL_CONTEXT_SLOTS;
    return next < map.length ? next : 0;
  }
}

/** Write one transaction into a fresh block. */
export function encodeAlTransaction(transaction: AlTransaction): Uint8Array {
  const { number, updates, contextSize, contextStart, context } = transaction;
  const encoder = new AlBlockEncoder();
  encoder.begin(number, contextStart);
  for (const { slot, extent } of updates) encoder.update(slot, extent);
  const map = new Uint32Array(contextSize).fill(AL_FREE);
  map.set(context, contextStart);
  encoder.finish(map);
  return encoder.block;
}

/** Read one block of the ring. Never throws for what is in it. */
export function decodeAlBlock(block: Uint8Array): AlBlock {
  const view = viewOf(block);
  if (view.getUint32(0) !== MAGIC) return invalid("no magic");
  if (view.getUint32(8) !== checksumOf(block)) return invalid("wrong checksum");
  const type = view.getUint16(12);
  if (type === TYPE_INITIALISED) return { kind: "initialised" };
  if (type !== TYPE_UPDATE) return invalid(`unknown type ${type}`);
  return decodeUpdate(view);
}

/** What the first sector of a block claims; nothing in it was verified. */
export interface AlBlockHead {
  /** The number of the transaction. */
  readonly number: number;
  /** Whether it holds nothing. */
  readonly isInitialised: boolean;
}

/**
 * What a block was before all but its first sector was lost: the changes and the
 * checksum stand in that sector, and the window is known from the blocks before.
 *
 * @param map All slots as they are before this transaction.
 * @returns Its changes; `undefined` when the first sector is damaged, too.
 */
export function salvageAlBlock(
  block: Uint8Array,
  map: Uint32Array,
): readonly AlUpdate[] | undefined {
  const view = viewOf(block);
  const count = view.getUint16(14);
  const contextSize = view.getUint16(16);
  const contextStart = view.getUint16(18);
  if (count > AL_UPDATES_MAX || contextStart > contextSize) return undefined;
  const encoder = new AlBlockEncoder();
  encoder.begin(view.getUint32(4), contextStart);
  const updates: AlUpdate[] = [];
  for (let at = 0; at < count; at++) {
    const slot = view.getUint16(AT_SLOTS + 2 * at);
    const extent = view.getUint32(AT_EXTENTS + 4 * at);
    encoder.update(slot, extent);
    updates.push({ slot, extent });
  }
  const before = new Uint32Array(contextSize).fill(AL_FREE);
  before.set(map.subarray(0, contextSize));
  encoder.finish(before);
  const isWhole = viewOf(encoder.block).getUint32(8) === view.getUint32(8);
  return isWhole ? updates : undefined;
}

/** Read the first sector only; `undefined` when it is no log block's. */
export function peekAlBlock(block: Uint8Array): AlBlockHead | undefined {
  const view = viewOf(block);
  if (view.getUint32(0) !== MAGIC) return undefined;
  return {
    number: view.getUint32(4),
    isInitialised: view.getUint16(12) === TYPE_INITIALISED,
  };
}

function decodeUpdate(view: DataView): AlBlock {
  const count = view.getUint16(14);
  const contextSize = view.getUint16(16);
  const contextStart = view.getUint16(18);
  if (count > AL_UPDATES_MAX) return invalid(`${count} updates`);
  if (contextStart > contextSize) return invalid(`window at ${contextStart}`);
  const updates: AlUpdate[] = [];
  for (let at = 0; at < count; at++) {
    const slot = view.getUint16(AT_SLOTS + 2 * at);
    if (slot === SLOT_UNUSED) continue;
    if (slot >= contextSize) return invalid(`slot ${slot} of ${contextSize}`);
    updates.push({ slot, extent: view.getUint32(AT_EXTENTS + 4 * at) });
  }
  const slots = Math.min(AL_CONTEXT_SLOTS, contextSize - contextStart);
  const context = Array.from(
    { length: slots },
    (_, at) => view.getUint32(AT_CONTEXT + 4 * at),
  );
  const number = view.getUint32(4);
  return {
    kind: "update",
    transaction: { number, updates, contextSize, contextStart, context },
  };
}

const CRC_FIELD = new Uint8Array(4);

function checksumOf(block: Uint8Array): number {
  const before = crc32cDrbd(block.subarray(0, 8));
  const field = crc32cDrbd(CRC_FIELD, before);
  return crc32cDrbd(block.subarray(12), field);
}

function invalid(reason: string): AlBlock {
  return { kind: "invalid", reason };
}

function viewOf(block: Uint8Array): DataView {
  if (block.length !== META_BLOCK_BYTES) {
    throw new RangeError(
      `Cannot use ${block.length} bytes as a log block: it has 4096`,
    );
  }
  return new DataView(block.buffer, block.byteOffset, block.byteLength);
}
