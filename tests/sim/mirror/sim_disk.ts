/**
 * A disk with a cache: what is written can be read at once and is stable after
 * the next flush. A loss of power leaves each piece of 512 bytes as it was at
 * any moment since then.
 *
 * The content of a piece is one number, its first four bytes.
 *
 * @module
 */

import type {
  AttachedDisk,
  PersistentState,
} from "../../../node-agent/mirror/core/volume_types.ts";
import type { SlotChange } from "../../../node-agent/mirror/core/activity_log_core.ts";
import type { LyingMeta } from "./lying_meta.ts";
import type { Prng } from "../prng.ts";
import { PIECE_BYTES, PIECES_PER_BLOCK } from "./world.ts";

/** Contents that nobody ever wrote begin here. */
export const ROT_FROM = 0x4000_0000;

/** Writes of a piece that a loss of power has taken, or may have taken. */
export interface Loss {
  readonly piece: number;
  readonly unflushed: readonly number[];
  readonly isLost: boolean;
  /** A flush had said that it was stable. */
  readonly isHidden?: boolean;
  /** It is wrong since an earlier loss, which this one has uncovered: it was. */
  readonly right?: number | undefined;
}

/** See the module comment. */
export class SimDisk {
  /** What reads return. */
  readonly cache: Uint32Array;
  /** What each piece may be after a loss of power: oldest first, the last is the cache. */
  readonly dirty = new Map<number, number[]>();
  /** Pieces whose flush failed: nothing makes them stable but another write. */
  readonly poisoned = new Set<number>();
  /** Pieces that cannot be read until they are written. */
  readonly bad = new Set<number>();
  /** The superblock does not fit its checksum. */
  isSuperblockRotten = false;
  /** Blocks whose mark has rotted away; in memory it may still be. */
  readonly rotten = new Set<number>();
  /** The bitmap cannot be read. */
  isBitmapLost = false;
  /** It says that a flush is done, and does nothing. */
  isLiar = false;
  /** What it lies about its metadata; undefined: nothing. */
  lyingMeta: LyingMeta | undefined;
  /** By piece: how many versions a lie has covered. */
  readonly #lies = new Map<number, number>();
  /** By piece: what should be stable there, and a lie has lost. */
  readonly #wronged = new Map<number, number>();
  /** The bitmap, only the bytes that say something. */
  bitmap: Uint8Array;
  /** The activity log; undefined: closed in order. */
  log: Map<number, number> | undefined;
  state: PersistentState;
  /** Blocks that the device has room for. */
  room: number;
  /** The metadata lies behind so many. */
  laidOut: number;
  #flushing: Map<number, number> | undefined;

  constructor(
    readonly blocks: number,
    readonly extentBlocks: number,
    first: {
      readonly state: PersistentState;
      readonly value: Uint32Array;
      readonly room?: number | undefined;
    },
  ) {
    this.cache = first.value;
    this.room = this.laidOut = first.room ?? blocks;
    this.bitmap = new Uint8Array(Math.ceil(blocks / 8));
    this.state = first.state;
  }

  /** What it has room for. */
  get sizeBytes(): number {
    return this.room * PIECES_PER_BLOCK * PIECE_BYTES;
  }

  /** In front of the metadata. */
  get laidOutBytes(): number {
    return this.laidOut * PIECES_PER_BLOCK * PIECE_BYTES;
  }

  /** The device has become larger. */
  grow(blocks: number): void {
    this.room = Math.max(this.room, blocks);
  }

  write(piece: number, value: number): void {
    const versions = this.dirty.get(piece);
    const old = this.cache[piece] ?? 0;
    if (versions === undefined) this.dirty.set(piece, [old, value]);
    else versions.push(value);
    this.cache[piece] = value;
    this.poisoned.delete(piece);
    this.bad.delete(piece);
  }

  /** Whether one of these pieces cannot be read. */
  hasBadSector(first: number, behind: number): boolean {
    if (this.bad.size === 0) return false;
    for (let at = first; at < behind; at++) if (this.bad.has(at)) return true;
    return false;
  }

  /** Somebody put a new disk in its place. */
  replace(
    state: PersistentState,
    { value, room }: { readonly value: Uint32Array; readonly room: number },
  ): void {
    this.room = this.laidOut = room;
    this.cache.set(value);
    this.dirty.clear();
    this.poisoned.clear();
    this.bad.clear();
    this.#lies.clear();
    this.#wronged.clear();
    this.#flushing = undefined;
    this.bitmap.fill(0xff);
    this.isBitmapLost = this.isSuperblockRotten = false;
    this.rotten.clear();
    this.log = undefined;
    this.state = state;
    this.lyingMeta?.writtenBack();
    this.metaWritten();
  }

  /** A flush begins: it covers what is written now. */
  beginFlush(): void {
    this.#flushing = new Map();
    for (const [piece, versions] of this.dirty) {
      if (!this.poisoned.has(piece)) this.#flushing.set(piece, versions.length);
    }
  }

  /** It ends; a failed one leaves pages that are clean and were never written. */
  endFlush(ok: boolean): void {
    const flushing = this.#flushing;
    this.#flushing = undefined;
    for (const [piece, count] of flushing ?? []) {
      if (!ok) {
        this.poisoned.add(piece);
        continue;
      }
      if (this.isLiar) {
        this.#lies.set(piece, count);
        continue;
      }
      const versions = this.dirty.get(piece);
      if (versions === undefined) continue;
      if (count > 1) this.#wronged.delete(piece);
      versions.splice(0, count - 1);
      if (versions.length <= 1) this.dirty.delete(piece);
    }
  }

  /** What is stable in a piece is wrong, until something else is stable there. */
  wrongs(piece: number, right: number): void {
    this.#wronged.set(piece, right);
  }

  /** Whether that is so. */
  isWrong(piece: number): boolean {
    return this.#wronged.has(piece);
  }

  /** Its metadata were written. */
  metaWritten(): void {
    this.lyingMeta?.wrote(this);
  }

  commitLog(changes: readonly SlotChange[]): void {
    this.log ??= new Map();
    for (const { slot, extent } of changes) this.log.set(slot, extent);
    this.metaWritten();
  }

  /** Save bytes of the bitmap; `keep` says which bytes are really written. */
  saveBitmap(bytes: Uint8Array, keep: (byte: number) => boolean): void {
    let isWhole = true;
    for (let byte = 0; byte < this.bitmap.length; byte++) {
      if (!keep(byte)) {
        isWhole = false;
        continue;
      }
      this.bitmap[byte] = bytes[byte] ?? 0;
      for (let bit = 0; bit < 8; bit++) this.rotten.delete(byte * 8 + bit);
    }
    if (isWhole) this.isBitmapLost = false;
    this.metaWritten();
  }

  /** A bit of the bitmap flips. */
  rotBitmap(block: number): void {
    const byte = (this.bitmap[block >> 3] ?? 0) ^ 1 << (block & 7);
    this.bitmap[block >> 3] = byte;
    if ((byte >> (block & 7) & 1) === 0) this.rotten.add(block);
    else this.rotten.delete(block);
  }

  /** Whether the disk says that a block may differ from the peer's. */
  covers(block: number): boolean {
    if (((this.bitmap[block >> 3] ?? 0) >> (block & 7) & 1) === 1) return true;
    if (this.rotten.has(block)) return true; // it did
    const extent = Math.floor(block / this.extentBlocks);
    for (const each of this.log?.values() ?? []) {
      if (each === extent) return true;
    }
    return this.state.flags.fullSync || this.isBitmapLost;
  }

  /** Everything that no flush has covered. */
  unflushed(): Loss[] {
    return [...this.dirty].map(([piece, [, ...unflushed]]) => ({
      piece,
      unflushed,
      isLost: false,
    }));
  }

  /** What a loss of power at this moment might leave. */
  crashImage(rng: Prng): Uint32Array {
    const image = this.cache.slice();
    for (const [piece, versions] of this.dirty) {
      const content = rng.pick(versions);
      // What rotted below what was written is nobody's promise.
      if (content < ROT_FROM) image[piece] = content;
    }
    return image;
  }

  /** The machine lost power. Returns what was lost: piece and value. */
  losePower(rng: Prng): Loss[] {
    this.#flushing = undefined;
    const losses = [];
    for (const [piece, versions] of this.dirty) {
      const at = rng.between(0, versions.length - 1);
      const kept = versions[at] ?? 0;
      this.cache[piece] = kept;
      const [, ...unflushed] = versions;
      const isLost = at + 1 < versions.length;
      const isLiedOf = at + 1 < (this.#lies.get(piece) ?? 0);
      // What was written over damage and never flushed does not mend it. Where a
      // flush was said to cover it, that is what should be there, nothing older.
      const isUncovered = at === 0 && !isLiedOf;
      const right = isUncovered ? this.#wronged.get(piece) : undefined;
      const isHidden = isLiedOf || kept >= ROT_FROM || right !== undefined;
      losses.push({ piece, unflushed, isLost, isHidden, right });
      if (isLiedOf) this.#wronged.set(piece, versions.at(-1) ?? 0);
      else if (right === undefined) this.#wronged.delete(piece);
    }
    this.dirty.clear();
    this.#lies.clear();
    this.poisoned.clear();
    return losses;
  }

  /** The process died: a flush that ran may or may not have done its work. */
  processDied(): void {
    this.#flushing = undefined;
  }

  /**
   * What attaching does first: everything written is made stable, then the log
   * is applied, durably. Where a flush failed, the page may be an older one.
   */
  recover(rng: Prng, lost: (losses: Loss[]) => void): AttachedDisk {
    const rest = new Map<number, number[]>();
    for (const [piece, versions] of this.dirty) {
      if (this.poisoned.has(piece)) continue;
      if (this.isLiar) rest.set(piece, versions);
      this.dirty.delete(piece);
    }
    const lies = this.isLiar
      ? [...rest].map(([piece, { length }]) => [piece, length] as const)
      : [];
    lost(this.losePower(rng));
    for (const [piece, versions] of rest) this.dirty.set(piece, versions);
    for (const [piece, length] of lies) this.#lies.set(piece, length);
    for (const extent of this.log?.values() ?? []) {
      const first = extent * this.extentBlocks;
      for (let at = first; at < first + this.extentBlocks; at++) {
        if (at >= this.blocks) break;
        this.bitmap[at >> 3] = (this.bitmap[at >> 3] ?? 0) | 1 << (at & 7);
      }
    }
    this.log = undefined;
    this.laidOut = this.room;
    this.metaWritten();
    return {
      persistent: this.state,
      sizeBytes: this.laidOutBytes,
      bitmap: this.bitmap.slice(),
      bitmapLost: this.isBitmapLost,
    };
  }
}
