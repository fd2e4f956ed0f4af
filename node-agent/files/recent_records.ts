/**
 * The newest records of our log, so that peers that keep up cost no reading.
 *
 * @module
 */

import type { LogRecordWithContent } from "../ports.ts";

/** Inline bytes kept, at most. */
const BYTES_MAX = 16 << 20;
/** Records kept, at most. */
const COUNT_MAX = 8192;

/** A queue of records without gaps. */
export class RecentRecords {
  readonly #records = new Map<number, LogRecordWithContent>();
  #bytes = 0;

  /** Keep a record; the oldest go when there are too many. */
  add(record: LogRecordWithContent): void {
    this.#records.set(record.sequence, lean(record));
    this.#bytes += sizeOf(record);
    for (const [sequence, oldest] of this.#records) {
      if (this.#bytes <= BYTES_MAX && this.#records.size <= COUNT_MAX) return;
      this.#records.delete(sequence);
      this.#bytes -= sizeOf(oldest);
    }
  }

  /** A record, if it is still here. */
  get(sequence: number): LogRecordWithContent | undefined {
    return this.#records.get(sequence);
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
