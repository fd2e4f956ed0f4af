/**
 * Files of the simulator.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";

/** A new file of one byte per change, as the simulator has them. */
export function newEntry(
  options: {
    readonly id: string;
    readonly epoch: number;
    readonly node: NodeId;
    readonly token: number;
  },
): FileEntry {
  return {
    id: options.id,
    state: "present",
    epoch: options.epoch,
    version: 1,
    origin: options.node,
    sizeBytes: 1,
    crc32: options.token,
    sha256: null,
    type: null,
    name: null,
    meta: {},
    createdS: 0,
    appender: true,
    master: null,
  };
}

/** One more byte at the end of a file. */
export function appended(
  entry: FileEntry,
  { epoch, token }: { readonly epoch: number; readonly token: number },
): Change {
  return {
    entry: {
      ...entry,
      epoch,
      version: entry.version + 1,
      sizeBytes: entry.sizeBytes + 1,
      // Stands for the checksum of the whole content.
      crc32: (Math.imul(entry.crc32, 31) + token) >>> 0,
    },
    body: {
      kind: "range",
      offset: entry.sizeBytes,
      lengthBytes: 1,
      baseEpoch: entry.epoch,
      baseVersion: entry.version,
    },
  };
}
