/**
 * What tells a damaged record of the change log from a good one.
 *
 * @module
 */

import { crc32 } from "node:zlib";

/** CRC-32 of a record, a change as JSON, and of its place in the log. */
export function recordChecksum(
  { incarnation, sequence, record }: {
    readonly incarnation: number;
    readonly sequence: number;
    readonly record: string;
  },
): number {
  return crc32(`${incarnation}:${sequence}:${record}`);
}
