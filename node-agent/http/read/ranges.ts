/**
 * The `Range` header (RFC 9110 §14): which parts of a file are asked for.
 *
 * @module
 */

import { RANGES_MAX } from "@kedge/schema";
import type { ByteSpan } from "../../ports.ts";

/** What a `Range` header comes to for one file. */
export type RangeAnswer =
  /** Send the whole file: no range, another unit, or not understood. */
  | { readonly kind: "whole" }
  /** Send these, in this order; none of them is empty or overlaps another. */
  | { readonly kind: "spans"; readonly spans: readonly ByteSpan[] }
  /** 416: nothing of it lies inside the file, or it asks for too many parts. */
  | { readonly kind: "refused"; readonly why: string };

const WHOLE: RangeAnswer = { kind: "whole" };
/** 32 ranges of two 16-digit numbers fit well. */
const HEADER_LENGTH_MAX = 2048;
/** Gaps below the overhead of a part are sent along (RFC 9110 §15.3.7.2). */
const GAP_BYTES_MIN = 80;
const SPEC = /^(\d*)-(\d*)$/;

/**
 * Read a `Range` header.
 *
 * @param header As sent; `null` when missing.
 * @param sizeBytes Length of the file.
 * @returns What to send.
 *
 * @example The first byte is one byte
 * ```ts ignore
 * rangesOf("bytes=0-0", 10); // spans: [{ from: 0, lengthBytes: 1 }]
 * ```
 */
export function rangesOf(
  header: string | null,
  sizeBytes: number,
): RangeAnswer {
  if (header === null) return WHOLE;
  const [unit, set, ...more] = header.split("=");
  if (set === undefined || more.length > 0) return WHOLE;
  if (unit?.trim().toLowerCase() !== "bytes") return WHOLE;
  if (header.length > HEADER_LENGTH_MAX) return refused("it is too long");
  const specs = set.split(",").map((spec) => spec.trim())
    .filter((spec) => spec !== "");
  if (specs.length === 0) return WHOLE;
  if (specs.length > RANGES_MAX) {
    return refused(`at most ${RANGES_MAX} ranges are answered at once`);
  }
  const spans: ByteSpan[] = [];
  for (const spec of specs) {
    const span = spanOf(spec, sizeBytes);
    if (span === "malformed") return WHOLE;
    if (span === "whole") return WHOLE;
    if (span !== undefined) spans.push(span);
  }
  if (spans.length === 0) return refused(`the file has ${sizeBytes} bytes`);
  return { kind: "spans", spans: merged(spans) };
}

function spanOf(
  spec: string,
  sizeBytes: number,
): ByteSpan | "malformed" | "whole" | undefined {
  const [match, first = "", last = ""] = SPEC.exec(spec) ?? [];
  if (match === undefined || match === "-") return "malformed";
  if (first === "") {
    const lengthBytes = Math.min(Number(last), sizeBytes);
    if (Number(last) > 0 && sizeBytes === 0) return "whole";
    if (lengthBytes === 0) return undefined;
    return { from: sizeBytes - lengthBytes, lengthBytes };
  }
  const from = Number(first);
  const to = last === "" ? Infinity : Number(last);
  if (to < from) return "malformed";
  if (from >= sizeBytes) return undefined;
  return { from, lengthBytes: Math.min(to, sizeBytes - 1) - from + 1 };
}

/** Overlapping or nearly touching ranges become one; then they are sorted. */
function merged(spans: readonly ByteSpan[]): readonly ByteSpan[] {
  const sorted = spans.toSorted((a, b) => a.from - b.from);
  const result: ByteSpan[] = [];
  for (const span of sorted) {
    const last = result.at(-1);
    const end = last === undefined ? -Infinity : last.from + last.lengthBytes;
    if (last === undefined || span.from > end + GAP_BYTES_MIN) {
      result.push(span);
      continue;
    }
    const to = Math.max(end, span.from + span.lengthBytes);
    result[result.length - 1] = {
      from: last.from,
      lengthBytes: to - last.from,
    };
  }
  return result.length === spans.length ? spans : result;
}

function refused(why: string): RangeAnswer {
  return { kind: "refused", why };
}
