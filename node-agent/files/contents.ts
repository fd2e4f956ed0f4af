/**
 * The content of this node's files, wherever it lies: in a file, packed with
 * others, or still where it was taken in.
 *
 * @module
 */

import { CHECKSUM_BLOCK_BYTES, Problem } from "@kedge/schema";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import { type FileRow, orderOf } from "@kedge/schema/db";
import type { ByteSpan, ReadRoom } from "../ports.ts";
import type { HereOrLater } from "../when_here.ts";
import { combineCrc32, unpackBlocks } from "./crc32.ts";
import { exists, UNMOUNTED } from "./disk.ts";
import { keptOf, mayBeKept } from "./kept_content.ts";
import type { StoreParts } from "./local_files.ts";
import type { PackedReader } from "./packed_reader.ts";
import { changed, problemOfRead } from "./read_problems.ts";
import type { Body } from "./reader.ts";

/** Damaged files that alarms tell. */
const DAMAGE_TOLD_MAX = 16;

/** What content is read with. */
export type ContentParts = Pick<
  StoreParts,
  "index" | "layout" | "packed" | "paths" | "pump" | "reader"
>;

/** What is to be read. */
interface Wanted {
  readonly entry: FileEntry;
  readonly span: ByteSpan;
  readonly room: ReadRoom | undefined;
}

/** See the module comment. */
export class Contents {
  readonly #parts: ContentParts;
  /** What was found wrong, by file ID. */
  readonly #damage = new Map<string, string>();

  /** Read with these. */
  constructor(parts: ContentParts) {
    this.#parts = parts;
  }

  /** As `LocalFiles.read`. */
  read(
    entry: FileEntry,
    span: ByteSpan = { from: 0, lengthBytes: entry.sizeBytes },
    room?: ReadRoom,
  ): HereOrLater<Body> {
    const { index } = this.#parts;
    const { id, sizeBytes } = entry;
    const { from, lengthBytes } = span;
    if (from < 0 || lengthBytes < 0 || from + lengthBytes > sizeBytes) {
      throw new Problem(
        "range-not-satisfiable",
        "The range is not in the file",
      );
    }
    const wanted = { entry, span, room };
    return index.rows.whenStill(id) === undefined
      ? this.#read(index.row(id), wanted)
      : index.stillRow(id).then((row) => this.#read(row, wanted));
  }

  #read(row: FileRow | undefined, wanted: Wanted): HereOrLater<Body> {
    const { paths, packed } = this.#parts;
    const { entry, span: { from, lengthBytes } } = wanted;
    if (row === undefined || row.tombstone === 1) {
      throw new Problem("file-not-found", `${entry.id} was deleted`);
    }
    if (row.damaged === 1 || !paths.isReadable(row.pathIndex)) {
      throw damagedHere(row.id);
    }
    const isSame = compareEntries(orderOf(row), entry) === 0;
    if (!isSame && !mayBeginWith(row, entry)) throw changed(row.id);
    if (!isSame || !packed.isOn) return this.#readFile(row, isSame, wanted);
    return this.#packed(row).then((bytes) =>
      bytes?.subarray(from, from + lengthBytes) ??
        this.#readFile(row, isSame, wanted)
    );
  }

  #readFile(
    row: FileRow,
    isSame: boolean,
    { entry, span, room }: Wanted,
  ): HereOrLater<Body> {
    const { reader, layout } = this.#parts;
    const path = layout.file(row.id, row.pathIndex);
    const { sizeBytes, crc32 } = entry;
    const expected = isSame ? row : { ...row, sizeBytes, crc32 };
    const onDamage = (why: string) => this.#report(isSame, row, why);
    const failed = (error: unknown) => {
      if (error instanceof Problem && !isSame) throw changed(row.id);
      return this.#readKept(error, row, span);
    };
    try {
      const body = reader.read({ path, row: expected, onDamage }, span, room);
      return body instanceof Promise ? body.catch(failed) : body;
    } catch (error) {
      return failed(error);
    }
  }

  /** Stored, but the file could not be read: the bytes may lie elsewhere yet. */
  async #readKept(
    error: unknown,
    row: FileRow,
    { from, lengthBytes }: ByteSpan,
  ): Promise<Body> {
    if (!(error instanceof Problem)) throw error;
    const { index, reader, layout } = this.#parts;
    const kept = keptOf(index.statements, row);
    const bytes = kept && await reader.kept(layout, row, kept);
    if (bytes !== undefined) return bytes.subarray(from, from + lengthBytes);
    const [base, ...tail] = kept ?? [];
    if (base?.kind !== "rename" || tail.length > 0) throw error;
    // A disk that fails or is full has not taken the name yet.
    const path = layout.staged(base.pathIndex, base.token);
    return await reader.read({ path, row, onDamage() {} }, {
      from,
      lengthBytes,
    });
  }

  /** The bytes of a file that has no file of its own. */
  async #packed(row: FileRow): Promise<Uint8Array<ArrayBuffer> | undefined> {
    let found: Awaited<ReturnType<PackedReader["read"]>>;
    try {
      found = await this.#parts.packed.read(row);
    } catch (error) {
      throw problemOfRead(row.id, error);
    }
    if (typeof found !== "string") return found;
    this.#report(true, row, found);
    throw damagedHere(row.id);
  }

  #report(isSame: boolean, row: FileRow, why: string): void {
    const { paths, layout, pump, index } = this.#parts;
    if (!isSame) return;
    if (mayBeKept(layout, row, keptOf(index.statements, row))) return;
    if (!exists(layout.marker(row.pathIndex))) {
      const state = { state: "missing", reason: UNMOUNTED } as const;
      return paths.set(row.pathIndex, state);
    }
    const { id, epoch, version } = row;
    if (this.#damage.size < DAMAGE_TOLD_MAX) this.#damage.set(id, why);
    index.rows.forget(id);
    pump.store(
      () => ({ kind: "mark", id, epoch, version, damaged: true }),
      [],
      false,
    ).then(() => index.rows.forget(id), () => {});
  }

  /** Files that were found damaged, as sentences. */
  alarms(): string[] {
    const { index } = this.#parts;
    for (const id of this.#damage.keys()) {
      const row = index.row(id);
      const isMended = row === undefined || row.tombstone === 1 ||
        row.damaged === 0;
      if (isMended) this.#damage.delete(id);
    }
    return [...this.#damage].map(([id, why]) =>
      `${id} is damaged here: ${why}`
    );
  }
}

/**
 * Whether a file may begin with the bytes that it had as another version. A part
 * of it is checked as it is now, so what is read piece by piece would be a mix of
 * both. Of one block the bytes themselves tell when they are read.
 */
function mayBeginWith(
  now: FileRow,
  { sizeBytes, crc32 }: Pick<FileEntry, "sizeBytes" | "crc32">,
): boolean {
  if (now.sizeBytes === sizeBytes) return now.crc32 === crc32;
  if (now.sizeBytes < sizeBytes) return false;
  if (sizeBytes <= CHECKSUM_BLOCK_BYTES) return true;
  // What is in the last block cannot be told without reading it.
  if (sizeBytes % CHECKSUM_BLOCK_BYTES !== 0) return false;
  const start = unpackBlocks(now.sizeBytes, now.crc32, now.blockCrcs)
    .slice(0, sizeBytes / CHECKSUM_BLOCK_BYTES);
  return crc32 ===
    start.reduce((sum, block) =>
      combineCrc32(sum, block, CHECKSUM_BLOCK_BYTES)
    );
}

/** The copy here is of no use. */
export function damagedHere(id: string): Problem {
  const why = `The content of ${id} is missing or wrong on this node`;
  return new Problem("damaged", why, { id });
}
