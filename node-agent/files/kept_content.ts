/**
 * Content that is not where the index says yet: a disk that fails or is full has
 * not taken it. Until it does the bytes lie in the database, in a journal, or in a
 * staging file, and nothing is wrong with them.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { FileRow, UnsettledRow } from "@kedge/schema/db";
import { joined } from "./body_chunks.ts";
import { keptBytesAside } from "./body_journal.ts";
import { parseJournalToken } from "./body_journal_core.ts";
import { sizeOf } from "./disk.ts";
import { isEarly } from "./early_token.ts";
import type { Layout } from "./layout.ts";
import type { ReadStatements } from "./statements.ts";

/** What makes the present content: the whole, then bytes at its end. */
export type Kept = readonly [UnsettledRow, ...UnsettledRow[]];

/**
 * How the present content is brought to the disk, if it is not there yet. What
 * changes no content (metadata, say) leaves nothing here, so versions need not
 * be equal.
 */
export function keptOf(
  { unsettledOf }: Pick<ReadStatements, "unsettledOf">,
  { id, pathIndex }: FileRow,
): Kept | undefined {
  const rows = unsettledOf.all({ id });
  const at = rows.findLastIndex(({ kind }) =>
    kind === "write" || kind === "rename"
  );
  const base = rows[at];
  if (base?.pathIndex !== pathIndex) return undefined;
  const later = rows.slice(at + 1);
  const isOver = later.some((row) =>
    row.kind === "join" ||
    (row.kind === "unlink" && row.pathIndex === pathIndex)
  );
  if (isOver) return undefined;
  return [base, ...later.filter(({ kind }) => kind === "extend")];
}

/** Whether the content may be there, though not in its place. */
export function mayBeKept(
  layout: Layout,
  row: FileRow,
  kept: Kept | undefined,
): kept is Kept {
  if (kept === undefined) return false;
  const [base, ...tail] = kept;
  let endBytes = lengthOf(layout, base);
  for (const { offset, payload } of tail) {
    if (offset !== endBytes) return false;
    endBytes += payload?.length ?? 0;
  }
  return endBytes === row.sizeBytes;
}

function lengthOf(
  layout: Layout,
  { kind, pathIndex, token, payload }: UnsettledRow,
): number | undefined {
  if (kind === "rename") return sizeOf(layout.staged(pathIndex, token));
  return parseJournalToken(token)?.lengthBytes ?? payload?.length ?? 0;
}

/** Whether it is; bytes that lie in a journal are read beside the event loop. */
export async function isKept(
  layout: Layout,
  row: FileRow,
  kept: Kept | undefined,
): Promise<boolean> {
  if (!mayBeKept(layout, row, kept)) return false;
  return kept[0].kind === "rename" ||
    await keptContentAside(layout, row, kept) !== undefined;
}

/**
 * The present content, read beside the event loop.
 *
 * @returns `undefined` when other bytes are there, or it is a staging file.
 */
export async function keptContentAside(
  layout: Layout,
  row: FileRow,
  [base, ...tail]: Kept,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (base.kind === "rename" && tail.length === 0) return undefined;
  const whole = await wholeOf(layout, base) ?? NOTHING;
  const parts = tail.map(({ payload }) => payload ?? NOTHING);
  const bytes = tail.length === 0
    ? whole
    : new Uint8Array(joined([whole, ...parts]));
  const isRight = bytes.length === row.sizeBytes && crc32(bytes) === row.crc32;
  return isRight ? bytes : undefined;
}

/** Of staging files only those that were written at once: they are short. */
async function wholeOf(
  layout: Layout,
  base: UnsettledRow,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { kind, pathIndex, token } = base;
  if (kind !== "rename") return await keptBytesAside(layout, base);
  if (!isEarly(token)) return undefined;
  return await Deno.readFile(layout.staged(pathIndex, token))
    .catch(() => undefined);
}

const NOTHING = new Uint8Array(0);
