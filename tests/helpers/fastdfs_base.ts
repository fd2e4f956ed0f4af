/**
 * A storage of FastDFS as it lies on its disks, written from the layout of the
 * format alone: no server is needed.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { encodeFileName, hexByte, parseFileId } from "@kedge/schema/file-id";
import {
  encodeBinlogLine,
  encodeTrunkPlace,
  encodeTrunkSlot,
  TRUNK_HEADER_BYTES,
  trunkFileName,
  trunkPlace,
} from "@kedge/schema/fastdfs";
import { encodeMetadata } from "@kedge/schema/wire/fastdfs";
import { Random } from "./random.ts";

/** Slots are multiples of this, in bytes (`trunk_alloc_alignment_size`). */
const SLOT_BYTES = 256;
const CREATED_S = 1_795_300_000;

/** What a file is to be. */
export interface BaseFile {
  readonly appender?: boolean;
  readonly extension?: string;
  /** Store path. */
  readonly pathIndex?: number;
  readonly meta?: Readonly<Record<string, string>>;
}

/** The folders of one storage. */
export class FastdfsBase {
  /** `base_path` and `store_path0`, then the other store paths. */
  readonly roots: readonly string[];
  /** Content of every file that is whole, by ID. */
  readonly files: Map<string, Uint8Array<ArrayBuffer>> = new Map();
  readonly #random: Random;
  readonly #ip: string;
  #count = 0;
  #trunkEnd = 0;
  #lastSlotBytes = 0;

  private constructor(roots: readonly string[], ip: string, seed: number) {
    this.roots = roots;
    this.#ip = ip;
    this.#random = new Random(seed);
  }

  /** Make the folders of a storage with this address. */
  static async make(
    roots: readonly string[],
    { ip = "10.1.2.3", seed = 1 } = {},
  ): Promise<FastdfsBase> {
    const [base] = roots;
    await Deno.mkdir(`${base}/data/sync`, RECURSIVE);
    for (const root of roots) {
      for (const low of ["00", "01", "02", "03"]) {
        await Deno.mkdir(`${root}/data/00/${low}`, RECURSIVE);
      }
    }
    await Deno.writeTextFile(`${base}/data/.data_init_flag`, "");
    await Deno.writeTextFile(`${base}/data/sync/binlog.000`, "");
    await Deno.writeTextFile(`${base}/data/fdfs_storaged.pid`, "");
    return new FastdfsBase(roots, ip, seed);
  }

  /** `base_path`. */
  get base(): string {
    return this.roots[0] ?? "";
  }

  /** Random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return this.#random.bytes(length);
  }

  /** A file of its own. */
  async add(
    bytes: Uint8Array<ArrayBuffer>,
    file: BaseFile = {},
  ): Promise<string> {
    const id = this.newId(bytes, file);
    await this.write(id, bytes);
    if (file.meta !== undefined) await this.setMeta(id, file.meta);
    return id;
  }

  /** Put bytes where a file lies; the ID need not fit. */
  async write(id: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await Deno.writeFile(this.path(id), bytes);
    this.files.set(id, bytes);
    await this.#log("C", id);
  }

  /** Metadata as FastDFS stores it. */
  async setMeta(
    id: string,
    meta: Readonly<Record<string, string>>,
  ): Promise<void> {
    await Deno.writeFile(`${this.path(id)}-m`, encodeMetadata(meta));
    await this.#log("C", `${id}-m`);
  }

  /** A duplicate, as `check_file_duplicate` makes it: a symbolic link. */
  async addDuplicate(of: string): Promise<string> {
    const bytes = this.files.get(of) ?? new Uint8Array();
    const id = this.newId(bytes, {});
    await Deno.symlink(this.path(of), this.path(id));
    this.files.set(id, bytes);
    return id;
  }

  /** A file in the trunk file of store path 0. */
  async addPacked(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
    const needed = TRUNK_HEADER_BYTES + bytes.length;
    const allocatedBytes = Math.ceil(needed / SLOT_BYTES) * SLOT_BYTES;
    const place = { number: 1, offset: this.#trunkEnd, allocatedBytes };
    this.#trunkEnd += allocatedBytes;
    this.#lastSlotBytes = allocatedBytes;
    const id = this.#packedId(bytes, encodeTrunkPlace(place));
    const header = encodeTrunkSlot({
      kind: "file",
      allocatedBytes,
      sizeBytes: bytes.length,
      crc32: crc32(bytes),
      createdS: CREATED_S,
      tail: id.slice(-7),
    });
    await this.writeTrunk(this.#trunkEnd - 1, new Uint8Array(1));
    await this.writeTrunk(place.offset, header);
    await this.writeTrunk(place.offset + header.length, bytes);
    this.files.set(id, bytes);
    await this.#log("C", id);
    return id;
  }

  /** Make the last packed file a link, as FastDHT's duplicates are packed. */
  async writePackedLink(to: string): Promise<void> {
    const text = new TextEncoder().encode(to.slice(to.indexOf("/") + 1));
    const allocatedBytes = this.#lastSlotBytes;
    const header = encodeTrunkSlot({
      kind: "link",
      allocatedBytes,
      sizeBytes: text.length,
      crc32: crc32(text),
      createdS: CREATED_S,
      tail: "",
    });
    const offset = this.#trunkEnd - allocatedBytes;
    await this.writeTrunk(offset, header);
    await this.writeTrunk(offset + header.length, text);
  }

  /** Delete a packed file: its slot becomes free. */
  async freePacked(id: string): Promise<void> {
    const parsed = parseFileId(id);
    const place = parsed === undefined ? undefined : trunkPlace(parsed);
    if (place === undefined) throw new RangeError(`${id} names no slot`);
    const { offset, allocatedBytes } = place;
    const nothing = { sizeBytes: 0, crc32: 0, createdS: 0, tail: "" };
    const free = encodeTrunkSlot({ kind: "free", allocatedBytes, ...nothing });
    await this.writeTrunk(offset, free);
    await this.logDelete(id);
  }

  /** Where the slot of the last packed file ends. */
  get trunkEnd(): number {
    return this.#trunkEnd;
  }

  /** Put bytes into the trunk file. */
  async writeTrunk(offset: number, bytes: Uint8Array): Promise<void> {
    const path = `${this.base}/data/00/00/${trunkFileName(1)}`;
    using file = await Deno.open(path, { write: true, create: true });
    await file.seek(offset, Deno.SeekMode.Start);
    if (bytes.length > 0) await file.write(bytes);
  }

  /** A name, and nothing there. */
  newId(
    bytes: Uint8Array,
    { appender = false, extension = "", pathIndex = 0 }: BaseFile,
  ): string {
    const name = encodeFileName({
      origin: this.#ip,
      createdS: CREATED_S,
      sizeBytes: bytes.length,
      crc32: crc32(bytes),
      appender,
      random: this.#random.between(0, 2 ** 23 - 1),
      digits: this.#random.between(0, 1e6),
      extension,
    });
    const low = hexByte(this.#count++ % 4);
    return `group1/M${hexByte(pathIndex)}/00/${low}/${name}`;
  }

  /** As a packed file is named: a flag in the size, and its place. */
  #packedId(bytes: Uint8Array, place: string): string {
    const TRUNK_FLAG = 0x08;
    const plain = this.newId(bytes, {}).split("/").at(-1) ?? "";
    const facts = Uint8Array.fromBase64(plain.slice(0, 27) + "=", URL_SAFE);
    facts[8] = (facts[8] ?? 0) | TRUNK_FLAG;
    const name = facts.toBase64({ ...URL_SAFE, omitPadding: true });
    return `group1/M00/00/00/${name}${place}${plain.slice(27)}`;
  }

  /** Where a file lies. */
  path(id: string): string {
    const { pathIndex = 0 } = parseFileId(id) ?? {};
    return `${this.roots[pathIndex]}/data/${id.split("/").slice(2).join("/")}`;
  }

  /** Delete a file the way FastDFS logs it. */
  async logDelete(id: string): Promise<void> {
    await this.#log("D", id);
    this.files.delete(id);
  }

  /** Give an appender file the name of a normal one. */
  async regenerate(appender: string): Promise<string> {
    const bytes = this.files.get(appender) ?? new Uint8Array();
    const id = this.newId(bytes, {});
    await Deno.rename(this.path(appender), this.path(id));
    this.files.delete(appender);
    this.files.set(id, bytes);
    await this.#log("R", id, nameOf(appender));
    return id;
  }

  /** Remove the trunk file, as FastDFS does when nothing in it is used. */
  async removeTrunk(): Promise<void> {
    await Deno.remove(`${this.base}/data/00/00/${trunkFileName(1)}`);
  }

  async #log(operation: string, id: string, before?: string): Promise<void> {
    const more = before === undefined ? {} : { before };
    const said = { operation, name: nameOf(id), ...more };
    const line = encodeBinlogLine(CREATED_S, said);
    const path = `${this.base}/data/sync/binlog.000`;
    await Deno.writeTextFile(path, line, { append: true });
  }
}

/** Without its group. */
function nameOf(id: string): string {
  return id.slice(id.indexOf("/") + 1);
}

const RECURSIVE = { recursive: true } as const;
const URL_SAFE = { alphabet: "base64url" } as const;
