/**
 * What is remembered of the writes that a former Primary of protocol A lost: a
 * report for people, and, while the resync runs, which blocks it is about. Both
 * lie beside the undo file, so that a restart of the agent forgets neither.
 *
 * ```text
 * RESOURCE-VOLUME-lost.json    LossReport
 * RESOURCE-VOLUME-lost.marks   bits of the blocks, as in the bitmap
 * ```
 *
 * The report goes when somebody removes the undo file it names, or the report.
 *
 * @module
 */

import { z } from "zod";
import { BLOCK_BYTES } from "../core/bitmap_core.ts";
import { plainName, removeIfThere, replaceFile } from "./durable_file.ts";
import type { UndoPlace } from "./undo_guard.ts";
import { UndoReader } from "./undo_reader.ts";

/** What was lost, for people. */
export const LossReport = z.object({
  /** Blocks of 4 KiB that were replaced with something else, at most. */
  blocks: z.int().min(0),
  /** Undo file with what they held; missing: none could be written. */
  keptIn: z.string().optional(),
  /** How many of the blocks are in it; the rest is lost. */
  keptBlocks: z.int().min(0).optional(),
  /** False: the resync goes on. */
  isWhole: z.boolean(),
  /** When it began, in ms since 1970, for people. */
  atMs: z.int().min(0),
  /** The generation that was given up, 16 hex digits. */
  generation: z.string().regex(/^[0-9A-F]{16}$/),
});
/** What was lost, for people. */
export type LossReport = z.infer<typeof LossReport>;

/** See the module comment. */
export class LossMemory {
  readonly #base: string;

  constructor(readonly place: UndoPlace) {
    const { dir, resource, volume } = place;
    this.#base = `${dir}/${plainName(resource)}-${volume}-lost`;
  }

  /** The report of the last loss; undefined: there is none, or it is damaged. */
  load(): LossReport | undefined {
    const text = orMissing(() => Deno.readTextFileSync(this.#path));
    if (text === undefined) return undefined;
    try {
      const report = LossReport.parse(JSON.parse(text));
      if (!this.isWanted(report)) return undefined;
      return report.isWhole ? report : recounted(report);
    } catch {
      return undefined;
    }
  }

  /** Whether nobody has removed what the report is about. */
  isWanted({ keptIn = this.#path, isWhole }: LossReport): boolean {
    return !isWhole || orMissing(() => Deno.statSync(keptIn)) !== undefined;
  }

  /** Keep the report, in the place of the one before. @throws {Error} */
  save(report: LossReport): void {
    replaceFile(this.#path, new TextEncoder().encode(JSON.stringify(report)));
  }

  /** Nobody wants to know of it any more. */
  forget(): void {
    this.forgetMarks();
    removeIfThere(this.#path);
  }

  /** The blocks that a resync which was cut is about. */
  loadMarks(): Uint8Array | undefined {
    return orMissing(() => Deno.readFileSync(this.#marksPath));
  }

  /** Keep them until {@link forgetMarks}. @throws {Error} */
  saveMarks(marks: Uint8Array): void {
    replaceFile(this.#marksPath, marks);
  }

  /** The resync is over. */
  forgetMarks(): void {
    removeIfThere(this.#marksPath);
  }

  get #path(): string {
    return `${this.#base}.json`;
  }

  get #marksPath(): string {
    return `${this.#base}.marks`;
  }
}

/** The report was saved when it began; its undo file is ahead of it. */
function recounted(report: LossReport): LossReport {
  const { blocks, keptIn, keptBlocks = 0 } = report;
  if (keptIn === undefined) return report;
  const kept = Math.max(keptBlocks, blocksIn(keptIn));
  return { ...report, blocks: Math.max(blocks, kept), keptBlocks: kept };
}

function blocksIn(path: string): number {
  const bytes = orMissing(() => {
    using reader = new UndoReader(path);
    let sum = 0;
    for (const { content } of reader.pieces()) sum += content.length;
    return sum;
  });
  return Math.ceil((bytes ?? 0) / BLOCK_BYTES);
}

/** Undefined where it is not there, or cannot be looked at. */
function orMissing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
