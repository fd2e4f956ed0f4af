/**
 * How a staging file is named that was written at once (`early_files.ts`), before
 * the store worker heard of it.
 *
 * The token is `early-RUN-NUMBER.LENGTH.CRC32`. Length and checksum tell whether
 * the bytes are those that were answered, wherever the file is by then.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { readFullSync } from "./disk.ts";
import type { Layout } from "./layout.ts";

/** First part of the token. */
const PREFIX = "early-";
const TOKEN = /^early-[0-9a-f]{8}-\d{1,16}\.(\d{1,10})\.(\d{1,10})$/;

/** What a token says of the bytes. */
export interface EarlyFacts {
  readonly sizeBytes: number;
  readonly crc32: number;
}

/** The token of the n-th file of a run. */
export function earlyToken(
  run: string,
  number: number,
  { sizeBytes, crc32 }: EarlyFacts,
): string {
  return `${PREFIX}${run}-${number}.${sizeBytes}.${crc32}`;
}

/** Whether a token is of such a file. */
export function isEarly(token: string): boolean {
  return token.startsWith(PREFIX);
}

/** Read a token; `undefined` when it is of something else. */
export function parseEarlyToken(token: string): EarlyFacts | undefined {
  if (!isEarly(token)) return undefined;
  const [, sizeBytes, crc32] = TOKEN.exec(token) ?? [];
  if (sizeBytes === undefined) return undefined;
  return { sizeBytes: Number(sizeBytes), crc32: Number(crc32) };
}

/** The action that brings such a file to its place. */
interface Placed {
  readonly id: string;
  readonly pathIndex: number;
  readonly token: string;
}

/**
 * The bytes of such a file, which has its name already or not yet.
 *
 * @returns `undefined` when they cannot be read, or are others.
 */
export function earlyBytes(
  layout: Layout,
  { id, pathIndex, token }: Placed,
): Uint8Array<ArrayBuffer> | undefined {
  const facts = parseEarlyToken(token);
  if (facts === undefined) return undefined;
  return readRight(layout.staged(pathIndex, token), facts) ??
    readRight(layout.file(id, pathIndex), facts);
}

function readRight(
  path: string,
  { sizeBytes, crc32: wanted }: EarlyFacts,
): Uint8Array<ArrayBuffer> | undefined {
  try {
    const file = Deno.openSync(path);
    try {
      // Behind them may lie what was appended since.
      if (file.statSync().size < sizeBytes) return undefined;
      const bytes = new Uint8Array(sizeBytes);
      const isWhole = readFullSync(file, bytes) === sizeBytes;
      return isWhole && crc32(bytes) === wanted ? bytes : undefined;
    } finally {
      file.close();
    }
  } catch {
    return undefined;
  }
}
