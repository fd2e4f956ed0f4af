/**
 * What a former Primary of protocol A loses when the data of its successor
 * replaces its own: counted, and kept in an undo file.
 *
 * With protocol A an answered write may never have reached the peer. Its block
 * is marked here, by the bitmap or, after a crash, by the activity log. Such a
 * block that the resync changes is discarded; one that it leaves as it is was
 * with the peer after all. What the successor wrote into a marked block since
 * then counts, too: that it is nothing lost cannot be told from here.
 *
 * A resync that was cut goes on counting in the same process; a new process
 * counts nothing of what is left of it.
 *
 * Source: promises.md B5.
 *
 * @module
 */

import { BLOCK_BYTES } from "../core/bitmap_core.ts";
import { TARGET_CONNECTIONS } from "../core/volume_core.ts";
import type { MirrorState } from "../decisions/mirror_state.ts";
import { LOST_MARK, UndoKeeper } from "./undo_keeper.ts";
import type { UndoGuardParts } from "./undo_guard.ts";

/** What is kept at most, in bytes: the queue that can be lost has 4 MiB. */
const KEPT_BYTES_MAX = 256 * 1024 * 1024;

/** What was discarded, for people. */
export interface DiscardedWrites {
  /** Blocks of 4 KiB that differed. */
  readonly blocks: number;
  /** Undo file with what they held; missing: none could be written. */
  readonly keptIn?: string;
  /** How many of the blocks are in it; the rest is lost. */
  readonly keptBlocks?: number;
  /** False: the resync goes on. */
  readonly isWhole: boolean;
}

/** See the module comment. */
export class DiscardGuard {
  readonly #parts: UndoGuardParts;
  /** Blocks that the peer has not confirmed; the bits as in the bitmap. */
  #marked: Uint8Array | undefined;
  /** The same as the handshake found it. */
  #early: Uint8Array | undefined;
  /** Since both disks were last known to be equal. */
  #wasPrimary = false;
  #blocks = 0;
  #isWhole = false;
  #generation = 0n;
  #keeper: UndoKeeper | undefined;
  #keptIn: string | undefined;
  #keptBlocks = 0;
  /** No more is kept: there is too much, or it failed. */
  #isFull = false;
  #scratch = new Uint8Array(0);

  constructor(parts: UndoGuardParts) {
    this.#parts = parts;
  }

  /** What the last such resync discarded; undefined: there was none. */
  get found(): DiscardedWrites | undefined {
    if (this.#marked === undefined && !this.#isWhole) return undefined;
    const kept = this.#keptIn === undefined
      ? {}
      : { keptIn: this.#keptIn, keptBlocks: this.#keptBlocks };
    return { blocks: this.#blocks, isWhole: this.#isWhole, ...kept };
  }

  /** The state of the volume changed. */
  stateChanged(before: MirrorState, after: MirrorState): void {
    const { connection, role, disk, peerDisk } = after;
    if (role === "Primary") this.#wasPrimary = true;
    else if (
      connection === "Connected" && disk === "UpToDate" &&
      peerDisk === "UpToDate"
    ) this.#wasPrimary = false;
    if (connection === before.connection) return;
    if (connection === "WFBitMapT") this.#prepare();
    const isHandshake = connection === "WFReportParams";
    this.#early = isHandshake ? this.#unconfirmed() : undefined;
    const isOver = before.connection === "SyncTarget" && disk === "UpToDate";
    if (isOver) this.#finish();
  }

  /** Copy of the bitmap, if it says what a former Primary alone has. */
  #unconfirmed(): Uint8Array | undefined {
    const { bitmap, config, persistent } = this.#parts.core();
    const wrote = this.#wasPrimary || persistent?.flags.crashedPrimary === true;
    if (!wrote || config.protocol !== "A" || bitmap === undefined) return;
    if (bitmap.count > 0) return bitmap.bytes.slice(0, bitmap.usedBytes);
  }

  /** A resync towards us begins; the peer's bitmap has not come yet. */
  #prepare(): void {
    const { state, bitmap, generations } = this.#parts.core();
    // Inconsistent: it goes on with one of before.
    if (state.disk === "Inconsistent") return;
    this.#forget();
    // A handshake that wants a full copy has marked everything by now.
    const isAll = bitmap?.count === bitmap?.blocks;
    this.#marked = this.#early ?? (isAll ? undefined : this.#unconfirmed());
    if (this.#marked === undefined) return;
    this.#generation = generations.set?.current ?? 0n;
    this.#parts.log(
      "warn",
      "The peer has not confirmed all writes of this former Primary " +
        "(protocol A): blocks that differ are discarded",
    );
  }

  /** A range is about to be overwritten. @param data Undefined: with zeroes. */
  before(offset: number, lengthBytes: number, data?: Uint8Array): void {
    if (this.#marked === undefined) return;
    const { connection } = this.#parts.core().state;
    if (!TARGET_CONNECTIONS.has(connection)) return;
    const end = offset + lengthBytes;
    const behind = Math.ceil(end / BLOCK_BYTES);
    let run: number | undefined;
    for (
      let block = Math.floor(offset / BLOCK_BYTES);
      block < behind;
      block++
    ) {
      const from = Math.max(offset, block * BLOCK_BYTES);
      const to = Math.min(end, (block + 1) * BLOCK_BYTES);
      const next = data?.subarray(from - offset, to - offset);
      const isLost = this.#has(block) && this.#differs(from, to - from, next);
      if (isLost || to - from === BLOCK_BYTES) this.#clear(block);
      if (isLost) run ??= block;
      else if (run !== undefined) {
        this.#discard(run, block);
        run = undefined;
      }
    }
    if (run !== undefined) this.#discard(run, behind);
  }

  #finish(): void {
    if (this.#marked === undefined) return;
    this.#marked = undefined;
    this.#isWhole = true;
    const bytes = this.#blocks * BLOCK_BYTES;
    const isAll = this.#keptBlocks === this.#blocks;
    const where = this.#keptIn === undefined
      ? ""
      : `, ${
        isAll ? "" : `${this.#keptBlocks} of them `
      }kept in ${this.#keptIn}`;
    this.#try(() => this.#keeper?.finish());
    this.#keeper = undefined;
    this.#parts.log(
      this.#blocks === 0 ? "info" : "warn",
      this.#blocks === 0
        ? "Nothing was discarded: the peer had every write of this former " +
          "Primary"
        : `${this.#blocks} blocks (${bytes} bytes) of this former Primary ` +
          `were discarded${where}`,
    );
  }

  /** The disk goes away, or the volume does: the file waits for its end. */
  close(): void {
    this.#keeper?.close();
    this.#keeper = undefined;
  }

  #forget(): void {
    this.close();
    this.#marked = this.#keptIn = undefined;
    this.#blocks = this.#keptBlocks = 0;
    this.#isWhole = this.#isFull = false;
  }

  #differs(offset: number, lengthBytes: number, next?: Uint8Array): boolean {
    if (this.#scratch.length === 0) this.#scratch = new Uint8Array(BLOCK_BYTES);
    const here = this.#scratch.subarray(0, lengthBytes);
    if (!this.#parts.read(offset, here)) return true;
    return !here.every((byte, at) => byte === (next?.[at] ?? 0));
  }

  /** These are about to be overwritten with something else. */
  #discard(first: number, behind: number): void {
    this.#blocks += behind - first;
    const { place, core } = this.#parts;
    // A discard by command keeps everything in a file of its own.
    if (place === undefined || core().link.negotiation.isDiscarding) return;
    const lengthBytes = (behind - first) * BLOCK_BYTES;
    this.#isFull ||=
      this.#keptBlocks * BLOCK_BYTES + lengthBytes > KEPT_BYTES_MAX;
    if (this.#isFull) return;
    this.#try(() => {
      this.#keeper ??= new UndoKeeper({
        ...place,
        // A generation may be given up twice, where nobody wrote in between.
        mark: `-${Date.now()}${LOST_MARK}`,
        generation: this.#generation,
        sizeBytes: core().sizeBytes,
        read: this.#parts.read,
        willChange: () => false,
      });
      this.#keptIn = this.#keeper.path;
      this.#keeper.before(first * BLOCK_BYTES, lengthBytes);
      this.#keptBlocks += behind - first;
    });
  }

  #try(act: () => void): void {
    try {
      act();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#isFull = true;
      this.#parts.log(
        "error",
        `What is discarded is not kept any more, the resync goes on: ${why}`,
      );
      this.close();
    }
  }

  #has(block: number): boolean {
    return ((this.#marked?.[block >> 3] ?? 0) >> (block & 7) & 1) === 1;
  }

  #clear(block: number): void {
    if (this.#marked === undefined) return;
    const bits = this.#marked[block >> 3] ?? 0;
    this.#marked[block >> 3] = bits & ~(1 << (block & 7));
  }
}
