/**
 * One number per bucket of files, equal on two nodes when they hold the same
 * states. Kept up to date with every change; filled by a scan in slices.
 *
 * A bucket is a set of folders, so its files are neighbours in the index. The
 * number is a sum of mixed hashes of (id, state, epoch, version): a sum, so that
 * the order does not matter; mixed, because CRCs alone would cancel out when
 * two files change in the same way.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { FileRow } from "@kedge/schema/db";

/** Number of buckets. */
export const BUCKET_COUNT = 4096;

/** What a digest is made of. */
export type DigestedRow = Pick<
  FileRow,
  "id" | "tombstone" | "epoch" | "version"
>;

/** Bucket of a file: its folder modulo {@linkcode BUCKET_COUNT}. */
export function bucketOf(id: string): number {
  // `…/HH/LL/NAME`: NAME is at least 34 characters, the folder's place is fixed
  // from the front: GROUP "/" "Mxx" "/" HH "/" LL.
  const at = id.indexOf("/") + 5;
  const high = parseInt(id.slice(at, at + 2), 16);
  const low = parseInt(id.slice(at + 3, at + 5), 16);
  return (high * 256 + low) % BUCKET_COUNT;
}

/** Folders `HH/LL` of a bucket. */
export function foldersOf(bucket: number): string[] {
  const folders: string[] = [];
  for (let leaf = bucket; leaf < 65536; leaf += BUCKET_COUNT) {
    const hex = leaf.toString(16).toUpperCase().padStart(4, "0");
    folders.push(`${hex.slice(0, 2)}/${hex.slice(2)}`);
  }
  return folders;
}

/** A 32-bit hash of one state of one file. */
export function digestOf(row: DigestedRow): number {
  let hash = mix(crc32(row.id) ^ 0x9e37_79b9 * (1 + row.tombstone));
  hash = mix(hash ^ row.epoch);
  hash = mix(hash + Math.floor(row.epoch / 2 ** 32));
  return mix(hash ^ row.version);
}

/** Spread every input bit over the word: two rounds of multiply and shift. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The digests of one store, and how many files it has. */
export class DigestTable {
  /** One number per bucket. */
  readonly sums = new Uint32Array(BUCKET_COUNT);
  /** The same over present files alone. */
  readonly presentSums = new Uint32Array(BUCKET_COUNT);
  /** Present files among the rows scanned. */
  present = 0;
  /** Rows up to this ID are counted; `undefined` is all of them. */
  #cursor: string | undefined = "";

  /** Whether every row is counted. */
  get isComplete(): boolean {
    return this.#cursor === undefined;
  }

  /** Where the scan goes on. */
  get cursor(): string {
    return this.#cursor ?? "";
  }

  /** Take rows in ID order; none means that the scan is done. */
  scan(rows: readonly DigestedRow[]): void {
    for (const row of rows) this.#add(row, 1);
    this.#cursor = rows.at(-1)?.id;
  }

  /** A row was changed. Those that the scan has not reached do not count yet. */
  change(
    before: DigestedRow | undefined,
    after: DigestedRow | undefined,
  ): void {
    for (const [row, sign] of [[before, -1], [after, 1]] as const) {
      if (row === undefined) continue;
      if (this.#cursor === undefined || row.id <= this.#cursor) {
        this.#add(row, sign);
      }
    }
  }

  #add(row: DigestedRow, sign: 1 | -1): void {
    const bucket = bucketOf(row.id);
    // Arithmetic modulo 2^32 by the array.
    const change = sign * digestOf(row);
    this.sums[bucket] = (this.sums[bucket] ?? 0) + change;
    if (row.tombstone !== 0) return;
    this.presentSums[bucket] = (this.presentSums[bucket] ?? 0) + change;
    this.present += sign;
  }

  /** As text, for a clean stop. */
  save(): string | undefined {
    if (!this.isComplete) return undefined;
    const { present, sums, presentSums } = this;
    const lists = { sums: [...sums], presentSums: [...presentSums] };
    return JSON.stringify({ present, ...lists });
  }

  /** What a clean stop saved. */
  restore(text: string): void {
    const { present, sums, presentSums } = JSON.parse(text);
    for (const list of [sums, presentSums]) {
      if (!Array.isArray(list) || list.length !== BUCKET_COUNT) return;
    }
    this.sums.set(sums);
    this.presentSums.set(presentSums);
    this.present = Number(present);
    this.#cursor = undefined;
  }
}
