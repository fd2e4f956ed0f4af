/**
 * Makes the new content of a file of which a part changes.
 *
 * An append needs no new file. Anything else is written beside the old one,
 * block by block, each old block checked on the way, and takes its place by a
 * rename after the change is stored: old or new, never a mix. Blocks of zeroes that
 * a truncation adds are a hole.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";
import { CHECKSUM_BLOCK_BYTES, Problem } from "@kedge/schema";
import type { FileRow } from "@kedge/schema/db";
import type { Staged } from "../ports.ts";
import { BlockChecksums, combineCrc32, unpackBlocks } from "./crc32.ts";
import {
  describeError,
  isFull,
  readFull,
  removeSync,
  writeAll,
} from "./disk.ts";
import type { Layout } from "./layout.ts";
import type { BaseVersion, StagedContent } from "./merge_core.ts";
import type { OnFence, Stager } from "./stager.ts";
import type { StorePaths } from "./store_paths.ts";

/** A change of a part, with its bytes. */
export type Edit =
  | { readonly kind: "range"; readonly offset: number; readonly patch: Patch }
  | { readonly kind: "truncate"; readonly sizeBytes: number };

/** New bytes: at hand, or in a staging file. */
export type Patch = Pick<
  Staged,
  "token" | "pathIndex" | "sizeBytes" | "crc32" | "inline"
>;

/** What an edit makes, and from which version. */
export type Edited = StagedContent & BaseVersion;

/** New content, written; settles `flushed` when it is on the disk. */
export interface Made {
  readonly content: Edited & { readonly kind: "tail" | "rebuilt" };
  readonly flushed: Promise<void>;
}

/** Makes new content from old. */
export class Editor {
  readonly #layout: Layout;
  readonly #paths: StorePaths;
  readonly #stager: Stager;
  readonly #onFence: OnFence;

  /** Work on these paths. */
  constructor(
    layout: Layout,
    paths: StorePaths,
    stager: Stager,
    onFence: OnFence,
  ) {
    this.#layout = layout;
    this.#paths = paths;
    this.#stager = stager;
    this.#onFence = onFence;
  }

  /** Length and checksum after an append; nothing is read. */
  foreseeAppend(row: FileRow, patch: Patch) {
    const { sizeBytes, crc32 } = patch;
    return {
      sizeBytes: row.sizeBytes + sizeBytes,
      crc32: combineCrc32(row.crc32, crc32, sizeBytes),
    };
  }

  /** Whether a file can be changed where it lies. */
  isInPlace(row: FileRow): boolean {
    return this.#paths.isWritable(row.pathIndex);
  }

  /** Whether the bytes of a file have other names, too: a copy is changed. */
  isShared(row: FileRow): boolean {
    try {
      const path = this.#layout.file(row.id, row.pathIndex);
      return (Deno.lstatSync(path).nlink ?? 1) > 1;
    } catch {
      return false; // who opens it says what is wrong
    }
  }

  /**
   * Write a staging file to the end of a file. Nobody reads beyond the length in
   * the index, so nothing shows until the change is stored; what never is
   * stored is overwritten by the next append.
   *
   * @throws {Problem} `damaged`, `insufficient-storage`, `read-only`.
   */
  async append(row: FileRow, patch: Patch): Promise<Made> {
    const { pathIndex, sizeBytes } = row;
    if (!this.#paths.hasRoom(pathIndex, patch.sizeBytes)) {
      throw new Problem(
        "insufficient-storage",
        "The store path of this file is full up to its reserve",
      );
    }
    const sources = new Sources(await this.#open(patch, row.id));
    try {
      const target = await this.#openForAppend(row);
      sources.target = target;
      const sums = BlockChecksums.after(sizeBytes, row.crc32, row.blockCrcs);
      const buffer = new Uint8Array(CHECKSUM_BLOCK_BYTES);
      for (let rest = patch.sizeBytes; rest > 0;) {
        const bytes = buffer.subarray(0, Math.min(rest, buffer.length));
        await this.#fill(sources.old, bytes, row.id);
        sums.update(bytes);
        await writeAll(target, bytes);
        rest -= bytes.length;
      }
      await target.truncate(sums.sizeBytes);
      sources.target = undefined;
      const flushed = this.#stager.flushFile(pathIndex, target);
      const edited = this.#edited(row, "", pathIndex, sums);
      return { content: { kind: "tail", ...edited }, flushed };
    } catch (error) {
      throw this.#refusal(error, pathIndex);
    } finally {
      sources.close();
    }
  }

  async #openForAppend(row: FileRow): Promise<Deno.FsFile> {
    const path = this.#layout.file(row.id, row.pathIndex);
    const file = await Deno.open(path, { write: true });
    const { size } = await file.stat();
    if (size < row.sizeBytes) {
      file.close();
      throw bad(row.id);
    }
    await file.seek(row.sizeBytes, Deno.SeekMode.Start);
    return file;
  }

  /**
   * Write the whole new content into a staging file.
   *
   * @throws {Problem} `damaged`, `insufficient-storage`, `read-only`.
   */
  async rebuild(row: FileRow, edit: Edit): Promise<Made> {
    const sizeBytes = sizeAfter(row, edit);
    const pathIndex = this.#paths.take(sizeBytes, row.pathIndex);
    const token = randomUUID();
    const path = this.#layout.staged(pathIndex, token);
    const sources = new Sources(await this.#openOld(row));
    try {
      if (edit.kind === "range" && edit.patch.inline === undefined) {
        sources.patch = await this.#open(edit.patch, row.id);
      }
      const target = await Deno.open(path, { write: true, createNew: true });
      sources.target = target;
      const sums = new BlockChecksums();
      const end = edit.kind === "truncate"
        ? Math.min(sizeBytes, blocksEnd(row.sizeBytes))
        : sizeBytes;
      for (let at = 0; at < end; at += CHECKSUM_BLOCK_BYTES) {
        const length = Math.min(CHECKSUM_BLOCK_BYTES, end - at);
        const block = await this.#block(row, edit, sources, { at, length });
        sums.update(block);
        await writeAll(target, block);
      }
      if (end < sizeBytes) {
        sums.addZeros(sizeBytes - end);
        await target.truncate(sizeBytes);
      }
      const blockCrcs = sums.packed();
      sources.target = undefined;
      const flushed = this.#stager
        .adopt(token, target, { pathIndex, blockCrcs });
      const edited = this.#edited(row, token, pathIndex, sums);
      return { content: { kind: "rebuilt", ...edited }, flushed };
    } catch (error) {
      removeSync(path);
      throw this.#refusal(error, pathIndex);
    } finally {
      sources.close();
      this.#paths.promise(pathIndex, -sizeBytes);
    }
  }

  /** One block of the new content. */
  async #block(
    row: FileRow,
    edit: Edit,
    sources: Sources,
    span: { at: number; length: number },
  ): Promise<Uint8Array> {
    const { at, length } = span;
    const block = new Uint8Array(CHECKSUM_BLOCK_BYTES);
    if (at < row.sizeBytes) {
      const oldLength = Math.min(CHECKSUM_BLOCK_BYTES, row.sizeBytes - at);
      const old = block.subarray(0, oldLength);
      await this.#fill(sources.old, old, row.id);
      const crcs = unpackBlocks(row.sizeBytes, row.crc32, row.blockCrcs);
      if (crc32(old) !== crcs[at / CHECKSUM_BLOCK_BYTES]) throw bad(row.id);
    }
    if (edit.kind === "range") await this.#overlay(block, at, edit, sources);
    return block.subarray(0, length);
  }

  async #overlay(
    block: Uint8Array,
    at: number,
    edit: Edit & { kind: "range" },
    sources: Sources,
  ): Promise<void> {
    const { offset, patch } = edit;
    const from = Math.max(at, offset);
    const end = Math.min(at + block.length, offset + patch.sizeBytes);
    if (from >= end) return;
    const into = block.subarray(from - at, end - at);
    if (patch.inline !== undefined) {
      into.set(patch.inline.subarray(from - offset, end - offset));
    } else if (sources.patch !== undefined) {
      await this.#fill(sources.patch, into, "the staging file");
    }
  }

  async #fill(file: Deno.FsFile, into: Uint8Array, id: string): Promise<void> {
    let count: number;
    try {
      count = await readFull(file, into);
    } catch {
      throw bad(id);
    }
    if (count < into.length) throw bad(id);
  }

  async #openOld(row: FileRow): Promise<Deno.FsFile> {
    try {
      return await Deno.open(this.#layout.file(row.id, row.pathIndex));
    } catch {
      throw bad(row.id);
    }
  }

  async #open(patch: Patch, id: string): Promise<Deno.FsFile> {
    try {
      return await Deno.open(this.#layout.staged(patch.pathIndex, patch.token));
    } catch {
      throw bad(id);
    }
  }

  #edited(
    row: FileRow,
    token: string,
    pathIndex: number,
    sums: BlockChecksums,
  ): Edited {
    return {
      token,
      pathIndex,
      crc32: sums.crc32,
      sizeBytes: sums.sizeBytes,
      blockCrcs: sums.packed(),
      baseEpoch: row.epoch,
      baseVersion: row.version,
    };
  }

  #refusal(error: unknown, pathIndex: number): unknown {
    if (error instanceof Problem) return error;
    const why = describeError(error);
    if (isFull(error)) {
      return new Problem("insufficient-storage", `There is no room: ${why}`);
    }
    this.#onFence(pathIndex, `write of a staging file: ${why}`);
    return new Problem("read-only", `A disk failed: ${why}`);
  }
}

/** Files that are open while new content is made. */
class Sources {
  readonly old: Deno.FsFile;
  patch: Deno.FsFile | undefined;
  target: Deno.FsFile | undefined;

  constructor(old: Deno.FsFile) {
    this.old = old;
  }

  close(): void {
    this.old.close();
    this.patch?.close();
    this.target?.close();
  }
}

function sizeAfter(row: FileRow, edit: Edit): number {
  if (edit.kind === "truncate") return edit.sizeBytes;
  return Math.max(row.sizeBytes, edit.offset + edit.patch.sizeBytes);
}

/** Where the last block that has any of these bytes ends. */
function blocksEnd(sizeBytes: number): number {
  return Math.ceil(sizeBytes / CHECKSUM_BLOCK_BYTES) * CHECKSUM_BLOCK_BYTES;
}

function bad(id: string): Problem {
  return new Problem("damaged", `The bytes of ${id} are not what they were`, {
    id,
  });
}
