/**
 * Records of our log as peers are sent them.
 *
 * @module
 */

import type { Change } from "@kedge/schema/change";
import { encodeRecord, type WireContent } from "@kedge/schema/wire/records";
import type { LogRecordWithContent } from "../ports.ts";
import type { RecentRecord } from "./recent_records.ts";

/**
 * Encode a record that was read from the change log.
 *
 * @param inlineBytesMax Most bytes that the peer takes within a record.
 */
export function encodeFromLog(
  record: LogRecordWithContent,
  inlineBytesMax: number,
): Uint8Array {
  const { change, content, isHole } = record;
  if (isHole === true) return encodeRecord(change, { kind: "gone" });
  if (content.kind === "inline" && content.bytes.length <= inlineBytesMax) {
    return encodeRecord(change, { kind: "inline" }, content.bytes);
  }
  if (content.kind === "staged") {
    return encodeRecord(change, describe(content.staged));
  }
  return encodeNamed(change);
}

/** A record as a peer gets it that takes so many bytes within it. */
export function partsFor(
  { encoded, inline, named }: RecentRecord,
  inlineBytesMax: number,
): Uint8Array[] {
  if (inline === undefined) return [encoded];
  const isTaken = inline.length <= inlineBytesMax;
  return isTaken || named === undefined ? [encoded, inline] : [named()];
}

/** Records of one frame. */
interface FrameParts {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

/**
 * Cut records into frames.
 *
 * @param encoded One part for each record; a single one may be large.
 * @param fullBytes A frame ends with the record that reaches this.
 */
export function* framesOf(
  encoded: readonly Uint8Array[],
  fullBytes: number,
): Generator<FrameParts> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for (const one of encoded) {
    parts.push(one);
    bytes += one.length;
    if (bytes < fullBytes) continue;
    yield { parts, bytes };
    parts = [];
    bytes = 0;
  }
  if (parts.length > 0) yield { parts, bytes };
}

/** Encode a record alone: a peer asks for its bytes. */
export function encodeNamed(change: Change): Uint8Array {
  const { body, entry } = change;
  if (body.kind === "none" || body.kind === "truncate") {
    return encodeRecord(change, { kind: "none" });
  }
  if (body.kind === "range" || entry.sha256 === null) {
    return encodeRecord(change, { kind: "unknown" });
  }
  const { sizeBytes, crc32, sha256 } = entry;
  return encodeRecord(change, { kind: "elsewhere", sizeBytes, crc32, sha256 });
}

/** How a record names bytes that do not travel with it. */
export function describe(
  staged: { sizeBytes: number; crc32: number; sha256: string },
): WireContent {
  const { sizeBytes, crc32, sha256 } = staged;
  return { kind: "elsewhere", sizeBytes, crc32, sha256 };
}
