/**
 * Reads every stored byte again and compares it with its checksum, slowly. A bad
 * copy is reported for repair and never deleted.
 *
 * @module
 */

import type { Clock, Log } from "../ports.ts";
import { RECORD_BODY_BYTES_MAX } from "@kedge/schema";
import { entryOf, type FileRow } from "@kedge/schema/db";
import { BlockChecksums } from "./crc32.ts";
import { isContentFault, readFull, sizeOf } from "./disk.ts";
import { isKept, type Kept, keptContentAside, keptOf } from "./kept_content.ts";
import type { Layout } from "./layout.ts";
import type { LocalIndex } from "./local_index.ts";
import type { PackedReader } from "./packed_reader.ts";
import type { Pump } from "./pump.ts";
import type { StorePaths } from "./store_paths.ts";
import { pause } from "../turns.ts";

/** Bytes read at a time. */
const READ_BYTES = 1 << 20;
/** Rows looked at a time. */
const ROWS = 256;
/** How often the position is saved, in ms. */
const SAVE_MS = 5000;
/** Longest sleep for the sake of the rate, in ms, so that a stop is heard. */
const SLEEP_MS_MAX = 500;
/** Larger than any ID: they begin with a letter or digit. */
const BEYOND_IDS = "~";

/** How a scrub goes; what a heartbeat tells. */
export interface ScrubProgress {
  /** Bytes read in this round. */
  readonly checkedBytes: number;
  /** Bytes of a whole round, as the index knew at its start. */
  readonly totalBytes: number;
  /** Copies that were bad and are good again. */
  readonly repaired: number;
  /** Copies that are bad and could not be repaired. */
  readonly damaged: number;
  /** Seconds to the end at the present speed; `null` is not known. */
  readonly etaS: number | null;
}

/** What a scrubber works with. */
export interface ScrubParts {
  /** How the store paths are. */
  readonly paths: Pick<StorePaths, "report">;
  readonly layout: Layout;
  readonly index: LocalIndex;
  readonly packed: PackedReader;
  readonly pump: Pump;
  readonly clock: Clock;
  readonly log: Log;
}

/** How to scrub. */
export interface ScrubOptions {
  /** Bytes per second at most; 0 is no limit. */
  readonly bytesPerS: number;
  /** Get a good copy from somewhere; returns whether there is one now. */
  readonly repair: (id: string) => Promise<boolean>;
}

/** Where a round stands, as it is saved. */
interface Place {
  readonly after: string;
  readonly checkedBytes: number;
  readonly repaired: number;
  readonly damaged: number;
}

const START: Place = { after: "", checkedBytes: 0, repaired: 0, damaged: 0 };

/** One scrub at a time over one store. */
export class Scrubber {
  readonly #parts: ScrubParts;
  readonly #options: ScrubOptions;
  #place: Place;
  #totalBytes = 0;
  #startedMs = 0;
  #startedBytes = 0;
  #isRunning = false;

  /** Scrub this store; goes on where the last run was stopped. */
  constructor(parts: ScrubParts, options: ScrubOptions) {
    this.#parts = parts;
    this.#options = options;
    const saved = parts.index.statements.state.get({ key: "scrub" })?.value;
    this.#place = saved === undefined ? START : JSON.parse(saved);
  }

  /** How it goes; `null` when none runs. */
  progress(): ScrubProgress | null {
    if (!this.#isRunning) return null;
    const { checkedBytes, repaired, damaged } = this.#place;
    const totalBytes = Math.max(this.#totalBytes, checkedBytes);
    return { checkedBytes, totalBytes, repaired, damaged, etaS: this.#etaS() };
  }

  #etaS(): number | null {
    const done = this.#place.checkedBytes - this.#startedBytes;
    const elapsedMs = this.#parts.clock.monotonicMs() - this.#startedMs;
    if (done <= 0 || elapsedMs <= 0) return null;
    const rest = Math.max(0, this.#totalBytes - this.#place.checkedBytes);
    return Math.round(rest / done * elapsedMs / 1000);
  }

  /**
   * Read everything once.
   *
   * @param signal Stops it; the next run goes on from there.
   * @returns What was found, or `null` when it was stopped before the end.
   */
  async run(signal: AbortSignal): Promise<ScrubProgress | null> {
    if (this.#isRunning) return null;
    this.#isRunning = true;
    try {
      this.#totalBytes = await this.#measure(signal);
      this.#startedMs = this.#parts.clock.monotonicMs();
      this.#startedBytes = this.#place.checkedBytes;
      await this.#everything(signal);
      const found = this.progress();
      if (signal.aborted) return null;
      this.#place = START;
      return found;
    } finally {
      this.#isRunning = false;
      await this.#save();
    }
  }

  async #measure(signal: AbortSignal): Promise<number> {
    let total = 0;
    await this.#rows("", signal, (rows) => {
      for (const row of rows) total += row.tombstone === 1 ? 0 : row.sizeBytes;
      return Promise.resolve();
    });
    return total;
  }

  async #everything(signal: AbortSignal): Promise<void> {
    let savedMs = this.#parts.clock.monotonicMs();
    await this.#rows(this.#place.after, signal, async (rows) => {
      for (const row of rows) {
        if (signal.aborted) return;
        if (row.tombstone === 0) await this.#file(row, signal);
        if (signal.aborted) return;
        this.#place = { ...this.#place, after: row.id };
        const nowMs = this.#parts.clock.monotonicMs();
        if (nowMs - savedMs < SAVE_MS) continue;
        savedMs = nowMs;
        await this.#save();
      }
    });
  }

  async #rows(
    after: string,
    signal: AbortSignal,
    act: (rows: readonly FileRow[]) => Promise<void>,
  ): Promise<void> {
    const { statements } = this.#parts.index;
    for (let from = after === "" ? "" : `${after}\u0001`; !signal.aborted;) {
      const rows = statements.filesBetween
        .all({ from, to: BEYOND_IDS, limit: ROWS });
      const last = rows.at(-1);
      if (last === undefined) return;
      await act(rows);
      from = `${last.id}\u0001`;
      await pause();
    }
  }

  async #file(row: FileRow, signal: AbortSignal): Promise<void> {
    const wasGood = await this.#isGood(row, signal);
    if (signal.aborted) return;
    if (wasGood && row.damaged === 0) return;
    // Deleted or changed while it was read: the next round reads it again.
    const now = await this.#parts.index.stillRow(row.id);
    const isSame = now !== undefined && now.tombstone === 0 &&
      now.epoch === row.epoch && now.version === row.version;
    if (!isSame) return;
    // A new file may have got its name only now.
    const isGood = wasGood ||
      (row.damaged === 0 && await this.#isGood(row, signal));
    if (isGood && row.damaged === 0 || signal.aborted) return;
    const { layout, index } = this.#parts;
    const kept = isGood ? undefined : keptOf(index.statements, row);
    // A disk that takes no bytes gets them later; any other has lost them.
    const isLater = row.damaged === 0 && !this.#takesBytes(row.pathIndex);
    if (isLater && await isKept(layout, row, kept)) return;
    // A mark over bytes that are right was a mistake, or a disk came back.
    const isRepaired = isGood
      ? await this.#mark(row, false)
      : await this.#rewrite(row, kept) || await this.#repair(row);
    const { repaired, damaged } = this.#place;
    this.#place = isRepaired
      ? { ...this.#place, repaired: repaired + 1 }
      : { ...this.#place, damaged: damaged + 1 };
  }

  #takesBytes(pathIndex: number): boolean {
    const { paths, layout } = this.#parts;
    if (sizeOf(layout.marker(pathIndex)) === undefined) return false;
    return paths.report()
      .some(({ index, state }) => index === pathIndex && state === "writable");
  }

  async #mark(row: FileRow, damaged: boolean): Promise<boolean> {
    const { id, epoch, version } = row;
    const { pump, index } = this.#parts;
    index.rows.forget(id);
    await pump.store(
      () => ({ kind: "mark", id, epoch, version, damaged }),
      [],
      false,
    );
    index.rows.forget(id);
    return true;
  }

  /** Write the bytes once more that the database still has. */
  async #rewrite(row: FileRow, kept: Kept | undefined): Promise<boolean> {
    const { layout, pump, index } = this.#parts;
    const { id, pathIndex, sizeBytes } = row;
    if (kept === undefined || sizeBytes > RECORD_BODY_BYTES_MAX) return false;
    const bytes = await keptContentAside(layout, row, kept);
    if (bytes === undefined) return false;
    const body = { kind: "whole" } as const;
    const rest = { entry: entryOf(row), body, pathIndex, key: undefined };
    const length = bytes.length;
    await pump.store(
      (at) => {
        const content = { kind: "inline", at, length } as const;
        return { kind: "adopt", steps: [{ ...rest, content }] };
      },
      [bytes],
      true,
    );
    index.rows.forget(id);
    return true;
  }

  async #repair(row: FileRow): Promise<boolean> {
    const { id } = row;
    const { log } = this.#parts;
    await this.#mark(row, true);
    const isRepaired = await this.#options.repair(id).catch(() => false);
    log.warn(
      isRepaired ? "a bad copy was repaired" : "a bad copy stays bad",
      { id },
    );
    return isRepaired;
  }

  async #isGood(row: FileRow, signal: AbortSignal): Promise<boolean> {
    const startMs = this.#parts.clock.monotonicMs();
    const packed = await this.#parts.packed.readAside(row);
    if (packed !== undefined) {
      const checkedBytes = this.#place.checkedBytes + row.sizeBytes;
      this.#place = { ...this.#place, checkedBytes };
      await this.#keepRate(row.sizeBytes, startMs, signal);
      return typeof packed !== "string";
    }
    let file: Deno.FsFile;
    try {
      const path = this.#parts.layout.file(row.id, row.pathIndex);
      file = await Deno.open(path);
    } catch (error) {
      if (isContentFault(error)) return false;
      throw error; // too many open files, say: not the file's fault
    }
    try {
      return await this.#hasContent(file, row, signal);
    } catch (error) {
      if (isContentFault(error)) return false;
      throw error;
    } finally {
      file.close();
    }
  }

  async #hasContent(
    file: Deno.FsFile,
    row: FileRow,
    signal: AbortSignal,
  ): Promise<boolean> {
    const sums = new BlockChecksums();
    const buffer = new Uint8Array(Math.min(READ_BYTES, row.sizeBytes));
    while (sums.sizeBytes < row.sizeBytes && !signal.aborted) {
      const startMs = this.#parts.clock.monotonicMs();
      const rest = row.sizeBytes - sums.sizeBytes;
      const wanted = buffer.subarray(0, Math.min(rest, buffer.length));
      if (await readFull(file, wanted) < wanted.length) return false;
      sums.update(wanted);
      const checkedBytes = this.#place.checkedBytes + wanted.length;
      this.#place = { ...this.#place, checkedBytes };
      await this.#keepRate(wanted.length, startMs, signal);
    }
    return sums.crc32 === row.crc32;
  }

  async #keepRate(
    bytes: number,
    startMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { bytesPerS } = this.#options;
    if (bytesPerS === 0) return;
    const endMs = startMs + bytes / bytesPerS * 1000;
    for (;;) {
      const restMs = endMs - this.#parts.clock.monotonicMs();
      if (restMs <= 0 || signal.aborted) return;
      const ms = Math.min(restMs, SLEEP_MS_MAX);
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  async #save(): Promise<void> {
    const value = JSON.stringify(this.#place);
    await this.#parts.pump
      .store(() => ({ kind: "state", key: "scrub", value }), [], false)
      .catch(() => {}); // a lost position costs reading again
  }
}
