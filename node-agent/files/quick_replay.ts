/**
 * Takes the records of the quick log into the database when a program was killed
 * before it could.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { Problem } from "@kedge/schema";
import type { Change } from "@kedge/schema/change";
import { describeError, exists, isMissing, removeSync } from "./disk.ts";
import { FLUSHED_KEY } from "./early_flushes.ts";
import { type EarlyFacts, parseEarlyToken } from "./early_token.ts";
import type { Layout } from "./layout.ts";
import { decide, type StepContent } from "./merge_core.ts";
import { isMounted } from "./path_gate.ts";
import { positionOf } from "./positions.ts";
import { quickEntriesOf, type QuickEntry } from "./quick_log_core.ts";
import { recordChecksum } from "./record_checksum.ts";
import type { WriteStatements } from "./statements.ts";

/**
 * Before a run begins: store what follows the last record of the last run, and of
 * the logs of peers. Durable when this returns; files are made as after any crash.
 * Whose log is ours the database says: the program may be another node's.
 *
 * @throws {Problem} `read-only` when the file cannot be read.
 */
export function replayQuickLog(
  layout: Layout,
  statements: WriteStatements,
): void {
  if (!exists(layout.quickLog)) return;
  const saved = (key: string) => Number(statements.state.get({ key })?.value);
  const [node, own] = [saved("node"), saved("incarnation")];
  // A new database: what is here belongs to another one.
  if (Number.isNaN(own)) return removeSync(layout.quickLog);
  const bytes = readOrSay(layout.quickLog);
  statements.begin();
  for (const entry of quickEntriesOf(bytes)) {
    const { origin, incarnation, sequence } = entry;
    const isOurs = origin === node;
    if (isOurs && incarnation !== own) continue;
    const last = isOurs
      ? statements.lastSequence.get({ incarnation })?.last ?? 0
      : positionOf(statements, { origin, incarnation });
    if (sequence !== last + 1) continue; // stored already, or a gap
    if (!store(layout, statements, entry, isOurs)) break;
  }
  statements.commit();
  removeSync(layout.quickLog);
}

function readOrSay(path: string): Uint8Array<ArrayBuffer> {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    const why = `${path} cannot be read (${describeError(error)}), and may ` +
      "hold files that were answered and are not in the database yet. Make it " +
      "a file that this user may read, on a disk that works, and start again. " +
      `If that cannot be done: mv ${path} ${path}.unread, and start; what is ` +
      "in it then comes back from other members of the group alone";
    throw new Problem("read-only", why);
  }
}

/** Returns whether the entry is whole. */
function store(
  layout: Layout,
  statements: WriteStatements,
  quick: QuickEntry,
  isOurs: boolean,
): boolean {
  const { origin, incarnation, sequence, pathIndex, record, body } = quick;
  const change: Change = JSON.parse(record);
  const { entry } = change;
  const owner = statements.state.get({ key: "store" })?.value;
  const content = contentOf(layout, quick, change, owner);
  if (content === undefined) return false;
  const step = { ...change, content, pathIndex, key: undefined };
  const around = { bytes: body, mayWrite: () => true };
  const before = statements.file.get({ id: entry.id });
  const { row, actions } = decide(before, step, around);
  if (isOurs) {
    const own = { incarnation, sequence, record };
    const checksum = recordChecksum(own);
    statements.putChange.run({ ...own, tombstone: 0, crc32: checksum });
  } else statements.putPosition.run({ origin, incarnation, sequence });
  if (row !== undefined) statements.putFile.run({ ...row });
  const { id, epoch, version } = entry;
  for (const { kind, pathIndex, token, offset, payload } of actions) {
    // Behind those that were flushed, which may be forgotten already.
    const flushedTo = Number(statements.state.get({ key: FLUSHED_KEY })?.value);
    const last = statements.lastUnsettled.get({})?.last ?? 0;
    const number = Math.max(last, flushedTo || 0) + 1;
    const place = { kind, pathIndex, token, offset, payload };
    statements.putUnsettled.run({ number, id, epoch, version, ...place });
  }
  return true;
}

/** Its bytes; `undefined` when they are not whole. */
function contentOf(
  layout: Layout,
  { pathIndex, token, body }: QuickEntry,
  { entry: { sizeBytes, crc32: wanted } }: Change,
  owner: string | undefined,
): StepContent | undefined {
  if (token === "") {
    const isWhole = sizeBytes === body.length && wanted === crc32(body);
    if (!isWhole) return undefined;
    return { kind: "inline", at: 0, length: body.length };
  }
  const facts = parseEarlyToken(token);
  if (facts?.sizeBytes !== sizeBytes || facts.crc32 !== wanted) {
    return undefined;
  }
  if (isLost(layout, { pathIndex, token, owner }, facts)) return undefined;
  return { kind: "whole", token, pathIndex, blockCrcs: null, ...facts };
}

/**
 * Whether a loss of power took a file. Of a disk that is not mounted nothing is
 * known, and the file waits for it; what cannot be read is marked damaged later.
 */
function isLost(
  layout: Layout,
  { pathIndex, token, owner }: Pick<QuickEntry, "pathIndex" | "token"> & {
    /** Identity of the database. */
    readonly owner: string | undefined;
  },
  { sizeBytes, crc32: wanted }: EarlyFacts,
): boolean {
  if (!isMounted(layout, pathIndex, owner)) return false;
  try {
    const bytes = Deno.readFileSync(layout.staged(pathIndex, token));
    return bytes.length !== sizeBytes || crc32(bytes) !== wanted;
  } catch (error) {
    return isMissing(error);
  }
}
