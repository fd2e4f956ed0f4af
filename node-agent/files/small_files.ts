/**
 * Packing as it is wanted now: an operator turns it on and off while the store
 * runs.
 *
 * Nothing is made, and nothing costs anything, before it is wanted for the first
 * time or while no file is packed. What is packed once stays packed; what waits
 * to be packed when it is turned off is still packed.
 *
 * @module
 */

import type { SegmentRow } from "@kedge/schema/db";
import { Compactor } from "./compactor.ts";
import { describeError } from "./disk.ts";
import { Packer, type PackerParts } from "./packer.ts";
import { SegmentStatements } from "./segment_statements.ts";
import type { WorkerOptions } from "./worker_messages.ts";

/** Finds the bytes that wait for a segment. */
const CREATE = "CREATE INDEX IF NOT EXISTS unsettled_id ON unsettled (id)";
const DROP = "DROP INDEX IF EXISTS unsettled_id";

/** Packer and compactor of one store, when there is work for them. */
export class SmallFiles {
  readonly #parts: PackerParts;
  readonly #onPacker: (packer: Packer) => void;
  readonly #segmentBytes: number;
  #wanted: number;
  #packer: Packer | undefined;
  #compactor: Compactor | undefined;

  /**
   * Pack as wanted, and look after what is packed already.
   *
   * @param options Largest file that is packed, in bytes, and the length from
   * which the next segment is begun.
   * @param onPacker Told when there is one: small files are left to it.
   */
  constructor(
    parts: PackerParts,
    options: Pick<WorkerOptions, "smallFileMax" | "segmentBytes">,
    onPacker: (packer: Packer) => void,
  ) {
    this.#parts = parts;
    this.#onPacker = onPacker;
    this.#segmentBytes = options.segmentBytes;
    this.#wanted = options.smallFileMax;
    const statements = new SegmentStatements(parts.database);
    const any: SegmentRow | undefined = statements.anySegment.get({});
    if (this.#wanted > 0 || any !== undefined) this.#open(statements);
    else parts.database.exec(DROP);
  }

  /** Whether files may be packed. */
  get hasPacked(): boolean {
    return this.#packer !== undefined;
  }

  /** `undefined`: nothing is packed. */
  get packer(): Packer | undefined {
    return this.#packer;
  }

  /** Pack new files up to this size from now on; 0 packs none. */
  follow(sizeBytesMax: number): void {
    this.#wanted = sizeBytesMax;
    this.retry();
  }

  /** Do what could not be done for want of room in the database. */
  retry(): void {
    if (this.#packer !== undefined) this.#packer.sizeBytesMax = this.#wanted;
    else if (this.#wanted > 0) {
      try {
        this.#open(new SegmentStatements(this.#parts.database));
      } catch (error) {
        const why = describeError(error);
        this.#parts.warn("small files cannot be packed yet", { why });
      }
    }
  }

  /**
   * Compact one segment, if one is worth it.
   *
   * @returns Whether there may be another one.
   */
  async compact(): Promise<boolean> {
    const { pathCount } = this.#parts.layout;
    return await this.#compactor?.step(pathCount) ?? false;
  }

  #open(statements: SegmentStatements): void {
    this.#parts.database.exec(CREATE);
    const segmentBytes = this.#segmentBytes;
    this.#packer = new Packer(this.#parts, statements, { segmentBytes });
    this.#packer.sizeBytesMax = this.#wanted;
    this.#compactor = new Compactor(this.#parts, this.#packer);
    this.#onPacker(this.#packer);
    for (let path = 0; path < this.#parts.layout.pathCount; path++) {
      this.#packer.tidy(path);
    }
  }
}
