/**
 * Puts packed files back into trunk files, each at the place its ID names.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { FileId } from "@kedge/schema/file-id";
import {
  encodeTrunkSlot,
  tailOf,
  TRUNK_HEADER_BYTES,
  trunkFileName,
  trunkPlace,
} from "@kedge/schema/fastdfs";

/** A slot in use. */
interface UsedSlot {
  readonly offset: number;
  readonly allocatedBytes: number;
}

/** Writes the trunk files of one storage. */
export class TrunkWriter {
  readonly #slots = new Map<string, UsedSlot[]>();
  /** Highest number of a trunk file. */
  numberMax = 0;

  /** Write one file. @param folder `STORE_PATH/data/HH/LL`. */
  async put(folder: string, id: FileId, bytes: Uint8Array): Promise<void> {
    const place = trunkPlace(id);
    if (place === undefined) throw new RangeError("It names no slot");
    if (TRUNK_HEADER_BYTES + bytes.length > place.allocatedBytes) {
      throw new RangeError("It is larger than its slot");
    }
    const path = `${folder}/${trunkFileName(place.number)}`;
    const header = encodeTrunkSlot({
      kind: "file",
      allocatedBytes: place.allocatedBytes,
      sizeBytes: bytes.length,
      crc32: crc32(bytes),
      createdS: id.createdS,
      tail: tailOf(id),
    });
    await writeAt(path, place.offset, [header, bytes]);
    const slots = this.#slots.get(path) ?? [];
    slots.push(place);
    this.#slots.set(path, slots);
    this.numberMax = Math.max(this.numberMax, place.number);
  }

  /** Mark what lies between the files as free, so that slots form a row. */
  async end(): Promise<void> {
    for (const [path, slots] of this.#slots) {
      let at = 0;
      for (const slot of slots.sort((a, b) => a.offset - b.offset)) {
        if (slot.offset - at >= TRUNK_HEADER_BYTES) {
          await writeAt(path, at, [freeSlot(slot.offset - at)]);
        }
        at = slot.offset + slot.allocatedBytes;
      }
      using file = await Deno.open(path, { write: true });
      const { size } = await file.stat();
      if (size < at) await file.truncate(at);
    }
  }
}

function freeSlot(allocatedBytes: number): Uint8Array {
  const nothing = { sizeBytes: 0, crc32: 0, createdS: 0, tail: "" };
  return encodeTrunkSlot({ kind: "free", allocatedBytes, ...nothing });
}

async function writeAt(
  path: string,
  offset: number,
  parts: readonly Uint8Array[],
): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  await file.seek(offset, Deno.SeekMode.Start);
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      at += await file.write(part.subarray(at));
    }
  }
}
