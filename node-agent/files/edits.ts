/**
 * Brings changes of parts of files into the form that the store worker takes:
 * staging files with checksums.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Change } from "@kedge/schema/change";
import type { FileRow } from "@kedge/schema/db";
import type { ContentEdit, ContentSource } from "../ports.ts";
import type { Edit, Edited, Editor, Patch } from "./editor.ts";
import type { StepContent } from "./merge_core.ts";
import type { Stager } from "./stager.ts";

/** Remembers what was foreseen, so that it is not made twice. */
export class Edits {
  readonly #editor: Editor;
  readonly #stager: Stager;
  readonly #foreseen = new Map<string, Edited>();

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
    if (edit.kind === "range" && edit.offset === row.sizeBytes) {
      return this.#editor.foreseeAppend(row, edit.staged);
    }
    const made = await this.#editor.rebuild(
      row,
      edit.kind === "truncate" ? edit : {
        kind: "range",
        offset: edit.offset,
        patch: edit.staged,
      },
    );
    await this.forget(row.id);
    this.#foreseen.set(row.id, made);
    return { sizeBytes: made.sizeBytes, crc32: made.crc32 };
  }

  /** The new content of this file is not needed, or stored. */
  async forget(id: string): Promise<void> {
    const made = this.#foreseen.get(id);
    this.#foreseen.delete(id);
    if (made !== undefined) await this.#stager.discard(made.token);
  }

  /**
   * The content of a change of a part, as the worker takes it.
   *
   * @param row The row that the change is made from.
   * @returns `none` when it cannot be made here: it must be fetched whole.
   */
  async prepare(
    row: FileRow | undefined,
    change: Change,
    source: ContentSource,
  ): Promise<StepContent> {
    const { entry, body } = change;
    if (row === undefined || row.damaged === 1 || row.tombstone === 1) {
      return NONE;
    }
    if (body.kind !== "range" && body.kind !== "truncate") return NONE;
    if (row.epoch !== body.baseEpoch || row.version !== body.baseVersion) {
      return NONE;
    }
    const ready = this.#foreseen.get(row.id);
    this.#foreseen.delete(row.id);
    if (ready !== undefined) {
      const isSame = ready.crc32 === entry.crc32 &&
        ready.sizeBytes === entry.sizeBytes &&
        ready.baseEpoch === row.epoch && ready.baseVersion === row.version;
      if (isSame) return { kind: "rebuilt", ...ready };
      await this.#stager.discard(ready.token);
    }
    if (body.kind === "truncate") {
      const edit: Edit = { kind: "truncate", sizeBytes: entry.sizeBytes };
      return { kind: "rebuilt", ...await this.#editor.rebuild(row, edit) };
    }
    const patch = patchOf(source);
    if (patch === undefined || patch.sizeBytes !== body.lengthBytes) {
      return NONE;
    }
    if (body.offset === row.sizeBytes) {
      if (patch.inline !== undefined) return NONE; // needs no staging file
      const made = await this.#editor.appended(row, patch);
      return { kind: "tail", ...made };
    }
    if (body.offset > row.sizeBytes) return NONE;
    const edit: Edit = { kind: "range", offset: body.offset, patch };
    return { kind: "rebuilt", ...await this.#editor.rebuild(row, edit) };
  }
}

const NONE: StepContent = { kind: "none" };

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
