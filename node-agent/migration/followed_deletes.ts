/**
 * Deletes that a FastDFS storage wrote into its binlogs after files of it were
 * taken in.
 *
 * That a file is missing there proves nothing: a disk may not be mounted, a
 * replica may lag. So a file goes only when its storage logged the delete, or gave
 * it another name, its folder is there without it, and nobody changed it here since
 * it was taken in.
 *
 * @module
 */

import {
  type BinlogLine,
  trunkFileName,
  trunkPlace,
} from "@kedge/schema/fastdfs";
import { type FileId, hexByte, parseFileId } from "@kedge/schema/file-id";
import type { Dropping, FileKeeper } from "../operation_ports.ts";
import { ADDED, REMOVED } from "./binlogs.ts";
import { openPacked } from "./packed_files.ts";
import type { Pace } from "./pace.ts";
import { SourceFault } from "./source_span.ts";
import type { SourceTree } from "./source_tree.ts";

/** Why a file stays although its delete was logged. */
const STAYS: Readonly<Partial<Record<Dropping, string>>> = {
  "changed-here": "it was deleted in FastDFS, but changed here since: it stays",
  "not-owner": "it was deleted in FastDFS: run the import on the in-sync " +
    "member with the lowest number",
};

/** What an import works with to follow deletes. */
export interface DeleteParts {
  readonly keeper: FileKeeper;
  readonly tree: SourceTree;
  readonly pace: Pace;
  readonly isDryRun: boolean;
}

/** Collects the deletes of binlogs, and follows them. */
export class FollowedDeletes {
  readonly #parts: DeleteParts;
  readonly #ids = new Map<string, FileId>();

  /** Nothing is deleted before {@linkcode follow}. */
  constructor(parts: DeleteParts) {
    this.#parts = parts;
  }

  /** Learn a line. */
  note({ operation, before }: BinlogLine, id: string): void {
    if (ADDED.has(operation)) this.#ids.delete(id);
    if (REMOVED.has(operation)) this.#gone(id);
    if (before === undefined) return;
    this.#ids.delete(id);
    this.#gone(id.slice(0, id.indexOf("/") + 1) + before);
  }

  /** What is not here needs no delete, and no memory. */
  #gone(id: string): void {
    if (this.#parts.keeper.dropping(id) === "not-kept") return;
    const parsed = parseFileId(id);
    if (parsed !== undefined) this.#ids.set(id, parsed);
  }

  /** The files whose last word is a delete. */
  ids(): Iterable<string> {
    return this.#ids.keys();
  }

  /**
   * Follow one delete.
   *
   * @returns Whether it was followed, or would be in a dry run.
   * @throws {SourceFault} When the file stays, with the reason.
   */
  async follow(id: string): Promise<boolean> {
    const { keeper, isDryRun } = this.#parts;
    const parsed = this.#ids.get(id);
    if (parsed === undefined || !await this.#isGone(id, parsed)) return false;
    const verdict = isDryRun ? keeper.dropping(id) : await keeper.drop(id);
    const why = STAYS[verdict];
    if (why !== undefined) throw new SourceFault(verdict, why);
    return verdict === "may-go";
  }

  async #isGone(id: string, parsed: FileId): Promise<boolean> {
    const { tree, pace } = this.#parts;
    if (parsed.kind !== "trunk") return isMissing(tree, parsed, parsed.name);
    try {
      using _span = await openPacked(tree, { id, parsed }, pace);
      return false;
    } catch (error) {
      if (!(error instanceof SourceFault)) throw error;
      if (error.reason === "gone") return true;
      if (error.reason !== "no-trunk-file") throw error;
      // FastDFS removes trunk files that hold nothing any more.
      const { number = 0 } = trunkPlace(parsed) ?? {};
      return isMissing(tree, parsed, trunkFileName(number));
    }
  }
}

/** Whether the folder of a file is there, without something of this name. */
function isMissing(
  tree: SourceTree,
  { pathIndex, high, low }: FileId,
  name: string,
): boolean {
  const data = tree.data(pathIndex);
  if (data === undefined) return false;
  const folder = `${data}/${hexByte(high)}/${hexByte(low)}`;
  return isThere(folder) && !isThere(`${folder}/${name}`);
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
