/**
 * The newest records of our log, so that peers that keep up cost no reading.
 *
 * @module
 */

import type { LogRecordWithContent } from "../ports.ts";

/** Inline bytes of one generation, at most. */
const BYTES_MAX = 8 << 20;
/** Records of one generation, at most. */
const COUNT_MAX = 4096;

/** Two generations of records: when the young one is full it is the old one. */
export class RecentRecords {
  #young = new Map<number, LogRecordWithContent>();
  #old = new Map<number, LogRecordWithContent>();
  #bytes = 0;

  /** Keep a record; the oldest go when there are too many. */
  add(record: LogRecordWithContent): void {
    this.#young.set(record.sequence, lean(record));
    this.#bytes += sizeOf(record);
    if (this.#bytes <= BYTES_MAX && this.#young.size <= COUNT_MAX) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#bytes = 0;
  }

  /** A record, if it is still here. */
  get(sequence: number): LogRecordWithContent | undefined {
    return this.#young.get(sequence) ?? this.#old.get(sequence);
  }
}

function sizeOf({ content }: LogRecordWithContent): number {
  if (content.kind === "inline") return content.bytes.length;
  return content.kind === "staged" ? content.staged.inline?.length ?? 0 : 0;
}

/** Without names of staging files: they are gone once the record is stored. */
function lean(record: LogRecordWithContent): LogRecordWithContent {
  const { content } = record;
  if (content.kind !== "staged") return record;
  const { inline } = content.staged;
  return {
    ...record,
    content: inline === undefined
      ? { kind: "none" }
      : { kind: "inline", bytes: inline },
  };
}
