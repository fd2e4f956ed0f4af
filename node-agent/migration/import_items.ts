/**
 * Files of a FastDFS storage with the way to their bytes.
 *
 * @module
 */

import { type FileId, hexByte } from "@kedge/schema/file-id";
import { trunkPlace } from "@kedge/schema/fastdfs";
import { openPacked, type PackedFile, trunkFileOf } from "./packed_files.ts";
import type { Pace } from "./pace.ts";
import type { DoneKind } from "./progress.ts";
import { SourceSpan } from "./source_span.ts";
import type { SourceFile, SourceTree } from "./source_tree.ts";

/** Where the bytes come from. */
interface Source {
  readonly tree: SourceTree;
  readonly pace: Pace;
}

/** A file with its bytes at hand. */
export interface Item {
  readonly id: string;
  readonly parsed: FileId;
  readonly kind: DoneKind;
  readonly metaPath: string | undefined;
  /** A whole regular file that may be linked. */
  readonly linkable: string | undefined;
  /** Open its bytes. */
  open(): Promise<SourceSpan>;
}

/** A file of a folder. */
export function itemOf(
  file: SourceFile,
  { pace }: Pick<Source, "pace">,
): Item {
  const { id, parsed, path, isDuplicate, metaPath } = file;
  const kind = parsed.kind === "trunk" ? "packed" : parsed.kind;
  return {
    ...{ id, parsed, metaPath },
    kind: isDuplicate ? "duplicate" : kind,
    linkable: path,
    open: () => SourceSpan.open(path, pace),
  };
}

/** A file of a trunk file. */
export function packedItem(file: PackedFile, { tree, pace }: Source): Item {
  const { id, parsed } = file;
  const metaPath = tree.within({
    pathIndex: parsed.pathIndex,
    high: hexByte(parsed.high),
    low: hexByte(parsed.low),
    name: `${parsed.name}-m`,
  });
  return {
    ...{ id, parsed, metaPath },
    kind: "packed",
    linkable: undefined,
    open: () => openPacked(tree, file, pace),
  };
}

/** Trunk file and offset of a packed file. */
export function slotKey({ parsed }: PackedFile): string {
  return `${trunkFileOf(parsed)} ${trunkPlace(parsed)?.offset}`;
}
