/** A progress line that is drawn over and over on a terminal. */

import type { Output } from "../context.ts";
import {
  addSample,
  beginProgress,
  etaMs,
  type Progress,
  rateOf,
  shareOf,
} from "./progress_core.ts";
import { cutTo } from "./table.ts";
import { durationText, rateText, sizeText } from "./units.ts";

/** Pause between two drawings, in milliseconds. */
const DRAW_MS = 100;
const BAR_WIDTH = 20;

/** A progress line; silent when nobody is looking. */
export class ProgressBar implements Disposable {
  readonly #out: Output;
  readonly #nowMs: () => number;
  #progress: Progress;
  #label: string;
  #doneBytes = 0;
  #drawnMs = -Infinity;

  /**
   * @param out Where to draw; nothing is drawn unless it has columns.
   * @param nowMs Monotonic clock.
   * @param options Label in front and bytes in all.
   */
  constructor(
    out: Output,
    nowMs: () => number,
    options: {
      readonly label: string;
      readonly totalBytes: number | undefined;
    },
  ) {
    this.#out = out;
    this.#nowMs = nowMs;
    this.#label = options.label;
    this.#progress = beginProgress(nowMs(), options.totalBytes);
  }

  /** Bytes done so far. */
  get doneBytes(): number {
    return this.#doneBytes;
  }

  /** Change the label. */
  label(text: string): void {
    this.#label = text;
  }

  /** More bytes are done; negative when some must be done again. */
  add(bytes: number): void {
    this.#doneBytes += bytes;
    const nowMs = this.#nowMs();
    if (nowMs - this.#drawnMs < DRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#progress = addSample(this.#progress, {
      atMs: nowMs,
      doneBytes: this.#doneBytes,
    });
    const { columns } = this.#out;
    if (columns === undefined) return;
    const line = progressText(this.#label, this.#progress);
    this.#out.write(`\r\x1b[2K${cutTo(line, columns - 1)}`);
  }

  /** Take the line away, to print something else. */
  clear(): void {
    if (this.#out.columns !== undefined) this.#out.write("\r\x1b[2K");
  }

  /** Same as {@linkcode clear}. */
  [Symbol.dispose](): void {
    this.clear();
  }
}

/** The line itself. Exported for tests. */
export function progressText(label: string, progress: Progress): string {
  const share = shareOf(progress);
  const done = progress.recent.at(-1)?.doneBytes ?? 0;
  const rate = rateOf(progress);
  const parts = [label];
  if (share !== undefined) {
    const filled = Math.round(share * BAR_WIDTH);
    parts.push(`[${"#".repeat(filled).padEnd(BAR_WIDTH, ".")}]`);
    parts.push(`${Math.floor(share * 100)} %`.padStart(5));
  }
  parts.push(sizeText(done));
  if (rate !== undefined) parts.push(rateText(rate));
  if (share !== undefined) parts.push(`ETA ${durationText(etaMs(progress))}`);
  return parts.join("  ");
}
