/**
 * Content that is not where the index says yet: a disk that fails or is full has
 * not taken it. Until it does the bytes lie in the database, in a journal, or in a
 * staging file, and nothing is wrong with them.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { FileRow, UnsettledRow } from "@kedge/schema/db";
import { keptBytesAside } from "./body_journal.ts";
import { sizeOf } from "./disk.ts";
import type { Layout } from "./layout.ts";
import type { ReadStatements } from "./statements.ts";

/** How the present content is brought to the disk, if it is not there yet. */
export function keptOf(
  { unsettledOf }: Pick<ReadStatements, "unsettledOf">,
  row: FileRow,
): UnsettledRow | undefined {
  const last = unsettledOf.all({ id: row.id })
    .findLast(({ kind }) => kind !== "unlink");
  if (last?.version !== row.version || last.epoch !== row.epoch) {
    return undefined;
  }
  return last.kind === "write" || last.kind === "rename" ? last : undefined;
}

/** Whether the content may be there, though not in its place. */
export function mayBeKept(
  layout: Layout,
  row: FileRow,
  kept: UnsettledRow | undefined,
): kept is UnsettledRow {
  if (kept?.kind !== "rename") return kept !== undefined;
  return sizeOf(layout.staged(kept.pathIndex, kept.token)) === row.sizeBytes;
}

/** Whether it is; bytes that lie in a journal are read beside the event loop. */
export async function isKept(
  layout: Layout,
  row: FileRow,
  kept: UnsettledRow | undefined,
): Promise<boolean> {
  if (!mayBeKept(layout, row, kept)) return false;
  if (kept.kind === "rename") return true;
  const bytes = await keptBytesAside(layout, kept);
  return bytes?.length === row.sizeBytes && crc32(bytes) === row.crc32;
}
