/**
 * Brings changes of parts of files into the form that the store worker takes:
 * staging files with checksums.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Change, FileEntry } from "@kedge/schema/change";
import type { FileRow } from "@kedge/schema/db";
import type { ContentEdit, ContentSource } from "../ports.ts";
import type { Edit, Editor, Made, Patch } from "./editor.ts";
import type { StepContent } from "./merge_core.ts";
import type { Stager } from "./stager.ts";

/** New content kept ready for changes that were foreseen, at most. */
const FORESEEN_COUNT_MAX = 64;

/** The content of a change, and when it is on the disk. */
export interface PreparedContent {
  readonly content: StepContent;
  readonly flushed: Promise<void> | undefined;
}

/** Remembers what was foreseen, so that it is not made twice. */
export class Edits {
  readonly #editor: Editor;
  readonly #stager: Stager;
  /** The newest last. */
  readonly #foreseen = new Map<string, Made>();

  /** Make edits with these. */
  constructor(editor: Editor, stager: Stager) {
    this.#editor = editor;
    this.#stager = stager;
  }

  /** Length and checksum after an edit; the new content is kept ready. */
  async foresee(
    row: FileRow,
    edit: ContentEdit,
  ): Promise<{ readonly sizeBytes: number; readonly crc32: number }> {
    await this.#forget(row.id);
    const wanted: Edit = edit.kind === "truncate"
      ? edit
      : { kind: "range", offset: edit.offset, patch: edit.staged };
    const small = this.#smallAppend(row, wanted);
    if (small !== undefined) return this.#editor.foreseeAppend(row, small);
    const made = await this.#make(row, wanted);
    this.#foreseen.set(row.id, made);
    const [oldest] = this.#foreseen.keys();
    if (this.#foreseen.size > FORESEEN_COUNT_MAX && oldest !== undefined) {
      await this.#forget(oldest);
    }
    const { sizeBytes, crc32 } = made.content;
    return { sizeBytes, crc32 };
  }

  /** Bytes that travel in the record: nothing needs to be made. */
  #smallAppend(row: FileRow, edit: Edit): Patch | undefined {
    const isSmall = edit.kind === "range" && edit.offset === row.sizeBytes &&
      edit.patch.inline !== undefined && this.#editor.isInPlace(row);
    return isSmall ? edit.patch : undefined;
  }

  #make(row: FileRow, edit: Edit): Promise<Made> {
    const isAppend = edit.kind === "range" && edit.offset === row.sizeBytes &&
      edit.patch.inline === undefined && this.#editor.isInPlace(row) &&
      !this.#editor.isShared(row);
    return isAppend
      ? this.#editor.append(row, edit.patch)
      : this.#editor.rebuild(row, edit);
  }

  async #forget(id: string): Promise<void> {
    const made = this.#foreseen.get(id);
    this.#foreseen.delete(id);
    const token = made?.content.token ?? "";
    if (token !== "") await this.#stager.discard(token);
  }

  /**
   * The content of a change of a part, as the worker takes it.
   *
   * @param row The row that the change is made from.
   * @returns `none` when the record's own bytes are all that is needed, or when
   * it cannot be made here and must be fetched whole.
   */
  async prepare(
    row: FileRow | undefined,
    change: Change,
    source: ContentSource,
  ): Promise<PreparedContent> {
    const { entry, body } = change;
    if (row === undefined || row.damaged === 1 || row.tombstone === 1) {
      return NONE;
    }
    if (body.kind !== "range" && body.kind !== "truncate") return NONE;
    if (row.epoch !== body.baseEpoch || row.version !== body.baseVersion) {
      return NONE;
    }
    const ready = this.#foreseen.get(row.id);
    if (ready !== undefined && isFor(ready, row, entry)) {
      this.#foreseen.delete(row.id);
      return ready;
    }
    await this.#forget(row.id);
    const edit = editOf(change, source);
    if (edit === undefined) return NONE;
    if (this.#smallAppend(row, edit) !== undefined) return NONE;
    if (edit.kind === "range" && edit.offset > row.sizeBytes) return NONE;
    return await this.#make(row, edit);
  }
}

const NONE: PreparedContent = { content: { kind: "none" }, flushed: undefined };

/** Whether this is the content that the entry names, made from this row. */
function isFor({ content }: Made, row: FileRow, entry: FileEntry): boolean {
  return content.crc32 === entry.crc32 &&
    content.sizeBytes === entry.sizeBytes &&
    content.baseEpoch === row.epoch && content.baseVersion === row.version;
}

function editOf(
  { entry, body }: Change,
  source: ContentSource,
): Edit | undefined {
  if (body.kind === "truncate") {
    return { kind: "truncate", sizeBytes: entry.sizeBytes };
  }
  const patch = patchOf(source);
  if (body.kind !== "range" || patch?.sizeBytes !== body.lengthBytes) {
    return undefined;
  }
  return { kind: "range", offset: body.offset, patch };
}

function patchOf(source: ContentSource): Patch | undefined {
  if (source.kind === "staged") return source.staged;
  if (source.kind === "none") return undefined;
  const { bytes } = source;
  return {
    token: "",
    pathIndex: 0,
    sizeBytes: bytes.length,
    crc32: crc32(bytes),
    inline: bytes,
  };
}
