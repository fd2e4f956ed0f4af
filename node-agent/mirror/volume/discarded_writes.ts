/**
 * What a former Primary of protocol A loses when the data of its successor
 * replaces its own: counted, kept in an undo file, and remembered.
 *
 * With protocol A an answered write may never have reached the peer. Its block
 * is marked here, by the bitmap or, after a crash, by the activity log. Such a
 * block that the resync changes is discarded; one that it leaves as it is was
 * with the peer after all. What the successor wrote into a marked block since
 * then counts, too: that it is nothing lost cannot be told from here. So the
 * count is the most that can be lost.
 *
 * A resync that was cut goes on counting, also in a new process: which blocks
 * it is about lies beside the report ({@link LossMemory}).
 *
 * Source: promises.md B5.
 *
 * @module
 */

import { BLOCK_BYTES } from "../core/bitmap_core.ts";
import { TARGET_CONNECTIONS } from "../core/state_judge_core.ts";
import { formatGeneration } from "../decisions/generations_core.ts";
import type { MirrorState } from "../decisions/mirror_state.ts";
import { LossMemory, type LossReport } from "./loss_report.ts";
import { LOST_MARK, UndoKeeper } from "./undo_keeper.ts";
import type { UndoGuardParts } from "./undo_guard.ts";

/** What is kept at most, in bytes: the queue that can be lost has 4 MiB. */
const KEPT_BYTES_MAX = 256 * 1024 * 1024;

/** A run of blocks: the first one, and the one behind the last. */
type Run = readonly [first: number, behind: number];

/** What was discarded, for people: at most so much. */
export type DiscardedWrites = Pick<
  LossReport,
  "blocks" | "keptIn" | "keptBlocks" | "isWhole" | "atMs"
>;

/** See the module comment. */
export class DiscardGuard {
  readonly #parts: UndoGuardParts;
  /** Undefined: there is no folder for it. */
  readonly #memory: LossMemory | undefined;
  /** Blocks that the peer has not confirmed; the bits as in the bitmap. */
  #marked: Uint8Array | undefined;
  /** The same as the handshake found it. */
  #early: Uint8Array | undefined;
  /** Since both disks were last known to be equal. */
  #wasPrimary = false;
  #report: LossReport | undefined;
  /** What the report was before a resync that may lose nothing. */
  #older: LossReport | undefined;
  #keeper: UndoKeeper | undefined;
  /** A command gave the data up: all of it has a file of its own. */
  #isByCommand = false;
  /** No more is kept: there is too much, or it failed. */
  #isFull = false;
  #scratch = new Uint8Array(0);

  constructor(parts: UndoGuardParts) {
    this.#parts = parts;
    this.#memory = parts.place && new LossMemory(parts.place);
    this.#report = this.#memory?.load();
  }

  /** What the last such resync discarded; undefined: there was none. */
  get found(): DiscardedWrites | undefined {
    const report = this.#report;
    if (report === undefined) return undefined;
    if (report.keptIn !== undefined && !this.#memory?.isWanted(report)) {
      this.#memory?.forget();
      this.#report = undefined;
      return undefined;
    }
    const { generation: _, ...found } = report;
    return found;
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
    const { state, bitmap, generations, link } = this.#parts.core();
    // Inconsistent: it goes on with one of before.
    if (state.disk === "Inconsistent") return this.#goOn();
    this.close();
    this.#leaveUnfinished();
    // A handshake that wants a full copy has marked everything by now.
    const isAll = bitmap?.count === bitmap?.blocks;
    this.#marked = this.#early ?? (isAll ? undefined : this.#unconfirmed());
    if (this.#marked === undefined) return;
    this.#isByCommand = link.negotiation.isDiscarding;
    this.#isFull = false;
    this.#older = this.#report;
    const generation = formatGeneration(generations.set?.current ?? 0n);
    this.#report = { blocks: 0, isWhole: false, atMs: Date.now(), generation };
    const marks = this.#marked;
    this.#remember((memory) => memory.saveMarks(marks));
    this.#parts.log(
      "warn",
      "The peer has not confirmed all writes of this former Primary " +
        "(protocol A): blocks that differ are discarded",
    );
  }

  /** What is left of a resync that another process began. */
  #goOn(): void {
    if (this.#marked !== undefined || this.#report?.isWhole !== false) return;
    const { bitmap } = this.#parts.core();
    const marks = this.#memory?.loadMarks();
    if (marks === undefined || bitmap === undefined) return;
    // What was replaced already is marked there, and no longer here.
    this.#marked = marks.map((bits, at) => bits & (bitmap.bytes[at] ?? 0));
  }

  /** A resync of before has not come to its end, and never will. */
  #leaveUnfinished(): void {
    this.#marked = undefined;
    if (this.#report?.isWhole !== false) return;
    this.#report = { ...this.#report, isWhole: true };
    this.#remember((memory) => memory.forgetMarks());
  }

  /** A range is about to be overwritten. @param data Undefined: with zeroes. */
  before(offset: number, lengthBytes: number, data?: Uint8Array): void {
    if (this.#marked === undefined) return;
    const { connection } = this.#parts.core().state;
    if (!TARGET_CONNECTIONS.has(connection)) return;
    const end = offset + lengthBytes;
    const behind = Math.ceil(end / BLOCK_BYTES);
    const runs: Run[] = [];
    let begun: number | undefined;
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
      if (isLost) begun ??= block;
      else if (begun !== undefined) {
        runs.push([begun, block]);
        begun = undefined;
      }
    }
    if (begun !== undefined) runs.push([begun, behind]);
    if (runs.length > 0) this.#discard(runs);
  }

  #finish(): void {
    if (this.#marked === undefined || this.#report === undefined) return;
    this.#marked = undefined;
    this.#try(() => this.#keeper?.finish());
    this.#keeper = undefined;
    const report = { ...this.#report, isWhole: true };
    const isLoss = report.blocks > 0;
    this.#report = isLoss ? report : this.#older ?? report;
    this.#older = undefined;
    this.#remember((memory) => memory.forgetMarks());
    this.#parts.log(isLoss ? "warn" : "info", lossText(report));
  }

  /** The disk goes away, or the volume does: the file waits for its end. */
  close(): void {
    this.#keeper?.close();
    this.#keeper = undefined;
    if (this.#marked !== undefined) this.#remember(() => {});
  }

  /** Save the report. What a command gave up is nothing that people must hear of. */
  #remember(and: (memory: LossMemory) => void): void {
    const [memory, report] = [this.#memory, this.#report];
    if (memory === undefined || report === undefined) return;
    if (this.#isByCommand) return;
    try {
      if (report.blocks > 0 || !report.isWhole) memory.save(report);
      else memory.forget();
      and(memory);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const text = "What is discarded will be forgotten at a restart";
      this.#parts.log("warn", `${text}: ${why}`);
    }
  }

  #differs(offset: number, lengthBytes: number, next?: Uint8Array): boolean {
    if (this.#scratch.length === 0) this.#scratch = new Uint8Array(BLOCK_BYTES);
    const here = this.#scratch.subarray(0, lengthBytes);
    if (!this.#parts.read(offset, here)) return true;
    return !here.every((byte, at) => byte === (next?.[at] ?? 0));
  }

  /** These are about to be overwritten with something else. */
  #discard(runs: readonly Run[]): void {
    const report = this.#report;
    if (report === undefined) return;
    const count = runs.reduce(
      (sum, [first, behind]) => sum + behind - first,
      0,
    );
    const keptBlocks = this.#keep(runs, count, report);
    this.#report = { ...report, blocks: report.blocks + count, ...keptBlocks };
    if (report.blocks === 0) this.#remember(() => {});
  }

  /** One sync for all of them, before the first is overwritten. */
  #keep(
    runs: readonly Run[],
    count: number,
    { keptBlocks = 0, generation, atMs }: LossReport,
  ): Pick<LossReport, "keptIn" | "keptBlocks"> {
    const { place, core, read } = this.#parts;
    if (place === undefined || this.#isByCommand) return {};
    this.#isFull ||= (keptBlocks + count) * BLOCK_BYTES > KEPT_BYTES_MAX;
    if (this.#isFull) return {};
    let kept: Pick<LossReport, "keptIn" | "keptBlocks"> = {};
    this.#try(() => {
      const keeper = this.#keeper ??= new UndoKeeper({
        ...place,
        // A generation may be given up twice, where nobody wrote in between.
        mark: `-${atMs}${LOST_MARK}`,
        generation: BigInt(`0x${generation}`),
        sizeBytes: core().sizeBytes,
        read,
        willChange: () => false,
      });
      kept = { keptIn: keeper.path, keptBlocks };
      keeper.beforeAll(runs.map(([first, behind]) => ({
        offset: first * BLOCK_BYTES,
        lengthBytes: (behind - first) * BLOCK_BYTES,
      })));
      kept = { keptIn: keeper.path, keptBlocks: keptBlocks + count };
    });
    return kept;
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

function lossText({ blocks, keptIn, keptBlocks = 0 }: LossReport): string {
  if (blocks === 0) {
    return "Nothing was discarded: the peer had every write of this former " +
      "Primary";
  }
  const part = keptBlocks === blocks ? "" : `${keptBlocks} of them `;
  const where = keptIn === undefined ? "" : `, ${part}kept in ${keptIn}`;
  return `At most ${blocks} blocks (${blocks * BLOCK_BYTES} bytes) of this ` +
    `former Primary were discarded${where}`;
}
