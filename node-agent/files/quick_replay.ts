/**
 * Takes the records of the quick log into the database when a program was killed
 * before it could.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Change } from "@kedge/schema/change";
import { exists, removeSync } from "./disk.ts";
import type { Layout } from "./layout.ts";
import { decide } from "./merge_core.ts";
import { quickEntriesOf, type QuickEntry } from "./quick_log_core.ts";
import type { WriteStatements } from "./statements.ts";

/**
 * Before a run begins: store what follows the last record of the last run.
 * Durable when this returns; files are made as after any crash.
 *
 * @returns How many records were stored.
 */
export function replayQuickLog(
  layout: Layout,
  statements: WriteStatements,
): number {
  if (!exists(layout.quickLog)) return 0;
  const saved = statements.state.get({ key: "incarnation" })?.value;
  let count = 0;
  if (saved !== undefined) {
    const incarnation = Number(saved);
    const last = statements.lastSequence.get({ incarnation })?.last ?? 0;
    const bytes = Deno.readFileSync(layout.quickLog);
    statements.begin();
    for (const entry of quickEntriesOf(bytes)) {
      if (entry.incarnation !== incarnation) break;
      // Stored already.
      if (entry.sequence <= last + count) continue;
      if (entry.sequence !== last + count + 1 || !store(statements, entry)) {
        break;
      }
      count++;
    }
    statements.commit();
  }
  removeSync(layout.quickLog);
  return count;
}

/** Returns whether the entry is whole. */
function store(
  statements: WriteStatements,
  { incarnation, sequence, pathIndex, record, body }: QuickEntry,
): boolean {
  const change: Change = JSON.parse(record);
  const { entry } = change;
  const isWhole = entry.sizeBytes === body.length &&
    entry.crc32 === crc32(body);
  if (!isWhole) return false;
  const content = { kind: "inline", at: 0, length: body.length } as const;
  const step = { ...change, content, pathIndex, key: undefined };
  const around = { bytes: body, mayWrite: () => true };
  const before = statements.file.get({ id: entry.id });
  const { row, actions } = decide(before, step, around);
  statements.putChange.run({
    ...{ incarnation, sequence, record, tombstone: 0 },
    crc32: crc32(`${incarnation}:${sequence}:${record}`),
  });
  if (row !== undefined) statements.putFile.run({ ...row });
  const { id, epoch, version } = entry;
  for (const { kind, pathIndex, token, offset, payload } of actions) {
    const number = (statements.lastUnsettled.get({})?.last ?? 0) + 1;
    const place = { kind, pathIndex, token, offset, payload };
    statements.putUnsettled.run({ number, id, epoch, version, ...place });
  }
  return true;
}
