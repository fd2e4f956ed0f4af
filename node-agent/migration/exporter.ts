/**
 * Writes every file of the group the way a FastDFS storage has it, under the
 * same IDs.
 *
 * ```text
 * TO/data/HH/LL/NAME, NAME-m, NNNNNN      M00 (store_path0 = base_path = TO)
 * TO/M01/data/HH/LL/…                     M01 (store_path1 = TO/M01), …
 * TO/data/.data_init_flag, TO/data/sync/binlog.000, binlog_index.dat
 * ```
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import { type FileId, hexByte, parseFileId } from "@kedge/schema/file-id";
import {
  binlogIndex,
  dataInitFlag,
  encodeBinlogLine,
} from "@kedge/schema/fastdfs";
import { encodeMetadata } from "@kedge/schema/wire/fastdfs";
import type { FileContent, FileOperations } from "../operation_ports.ts";
import type { LocalFiles } from "../ports.ts";
import { Lanes } from "./lanes.ts";
import { pause } from "../turns.ts";
import type { Pace } from "./pace.ts";
import type { Progress } from "./progress.ts";
import { TrunkWriter } from "./trunk_writer.ts";

const FILES_AT_ONCE = 16;
const PAGE = 1000;
/** Length at which FastDFS begins the next binlog, in bytes. */
const BINLOG_BYTES = 2 ** 30;

/** What an export works with. */
export interface ExporterParts {
  readonly files: Pick<LocalFiles, "list">;
  /** Reads from a peer what is damaged here. */
  readonly operations: Pick<FileOperations, "read">;
  readonly pace: Pace;
  readonly progress: Progress;
  /** Seconds since the Unix epoch. */
  readonly nowS: () => number;
  /** Whether an earlier run wrote there: it left metadata, too. */
  readonly isRepeat: boolean;
}

/** One export. */
export class Exporter {
  readonly #to: string;
  readonly #parts: ExporterParts;
  readonly #lanes = new Lanes(FILES_AT_ONCE);
  readonly #trunks = new TrunkWriter();
  readonly #folders = new Set<string>();
  #binlog: Deno.FsFile | undefined;
  #binlogNumber = 0;
  #binlogBytes = 0;

  /** Begin with {@linkcode run}. */
  constructor(to: string, parts: ExporterParts) {
    this.#to = to;
    this.#parts = parts;
  }

  /** Do it. @throws When it cannot go on, or was stopped. */
  async run(): Promise<void> {
    const { progress } = this.#parts;
    for await (const { sizeBytes } of this.#entries()) {
      progress.filesTotal++;
      progress.bytesTotal += sizeBytes;
    }
    progress.phase = "files";
    await Deno.mkdir(`${this.#to}/data/sync`, { recursive: true });
    try {
      for await (const entry of this.#entries()) {
        await this.#lanes.run(() => this.#take(entry));
        await this.#log(entry);
      }
      await this.#lanes.end();
      progress.phase = "packed";
      await this.#trunks.end();
    } finally {
      await this.#lanes.settled();
      this.#binlog?.close();
    }
    await this.#facts();
  }

  async *#entries(): AsyncGenerator<FileEntry> {
    for (let after: string | undefined = "";;) {
      const page: FileEntry[] = this.#parts.files.list({ after, limit: PAGE });
      yield* page.filter(({ state }) => state === "present");
      await this.#parts.pace.take(0);
      await pause();
      after = page.at(-1)?.id;
      if (page.length < PAGE || after === undefined) return;
    }
  }

  async #take(entry: FileEntry): Promise<void> {
    const { pace, progress } = this.#parts;
    const parsed = parseFileId(entry.id);
    if (parsed === undefined) return;
    await pace.take(entry.sizeBytes);
    try {
      if (isMetaName(entry.id)) throw new Error(META_NAME);
      const isNew = await this.#write(entry, parsed);
      if (isNew) {
        progress.count(parsed.kind === "trunk" ? "packed" : parsed.kind);
      } else progress.known++;
    } catch (error) {
      if (isOfTheDisk(error)) throw error;
      const detail = error instanceof Error ? error.message : String(error);
      const name = entry.id;
      progress.problem({ kind: "damaged", reason: "unreadable", name, detail });
    }
    progress.filesDone++;
    progress.bytesDone += entry.sizeBytes;
  }

  /** Whether it was not there yet. */
  async #write(entry: FileEntry, parsed: FileId): Promise<boolean> {
    const { operations } = this.#parts;
    const folder = `${this.#root(parsed.pathIndex)}/data/${
      hexByte(parsed.high)
    }/${hexByte(parsed.low)}`;
    if (!this.#folders.has(folder)) {
      await Deno.mkdir(folder, { recursive: true });
      this.#folders.add(folder);
    }
    const path = `${folder}/${parsed.name}`;
    const isThere = await isWritten(path, entry, parsed);
    if (parsed.kind === "trunk") {
      const bytes = await wholeOf(await operations.read(entry));
      await this.#trunks.put(folder, parsed, bytes);
    } else if (!isThere) {
      await replace(path, await operations.read(entry), entry.createdS);
    }
    await this.#writeMeta(path, entry);
    return !isThere;
  }

  async #writeMeta(path: string, entry: FileEntry): Promise<void> {
    if (Object.keys(entry.meta).length === 0) {
      if (this.#parts.isRepeat) await removeIfThere(`${path}-m`);
      return;
    }
    this.#parts.progress.withMeta++;
    await replace(`${path}-m`, encodeMetadata(entry.meta), entry.createdS);
  }

  #root(pathIndex: number): string {
    return pathIndex === 0 ? this.#to : `${this.#to}/M${hexByte(pathIndex)}`;
  }

  /** So that the storage can fill others, and knows its packed files. */
  async #log({ id, createdS, meta }: FileEntry): Promise<void> {
    const name = id.slice(id.indexOf("/") + 1);
    const created = encodeBinlogLine(createdS, { operation: "C", name });
    const hasMeta = Object.keys(meta).length > 0;
    const line = { operation: "C", name: `${name}-m` };
    const lines = created + (hasMeta ? encodeBinlogLine(createdS, line) : "");
    const bytes = new TextEncoder().encode(lines);
    if (this.#binlogBytes + bytes.length > BINLOG_BYTES) {
      this.#binlog?.close();
      this.#binlog = undefined;
      this.#binlogBytes = 0;
      this.#binlogNumber++;
    }
    const number = String(this.#binlogNumber).padStart(3, "0");
    this.#binlog ??= await Deno.create(
      `${this.#to}/data/sync/binlog.${number}`,
    );
    await writeAll(this.#binlog, bytes);
    this.#binlogBytes += bytes.length;
  }

  /** Last: a storage starts on what has these. */
  async #facts(): Promise<void> {
    const data = `${this.#to}/data`;
    await Deno.writeTextFile(
      `${data}/sync/binlog_index.dat`,
      binlogIndex(this.#binlogNumber),
    );
    await Deno.writeTextFile(
      `${data}/.data_init_flag`,
      dataInitFlag({
        joinedS: this.#parts.nowS(),
        trunkFileNumber: this.#trunks.numberMax,
      }),
    );
  }
}

/** Whether an earlier run wrote it: whole files get their name last. */
async function isWritten(
  path: string,
  { sizeBytes, createdS }: FileEntry,
  { kind }: FileId,
): Promise<boolean> {
  if (kind !== "normal") return false;
  try {
    const { isFile, size, mtime } = await Deno.lstat(path);
    return isFile && size === sizeBytes && mtime?.getTime() === createdS * 1000;
  } catch {
    return false;
  }
}

const META_NAME = "FastDFS would take it for the metadata of its master";

/** Whether a derived file has the name of a metadata file. */
function isMetaName(id: string): boolean {
  return id.endsWith("-m") && parseFileId(id.slice(0, -2)) !== undefined;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function replace(
  path: string,
  content: FileContent | Uint8Array,
  createdS: number,
): Promise<void> {
  // No ID begins with a dot, but `NAME.new` may be a file derived from NAME.
  const temporary = path.replace(/[^/]*$/, ".new-$&");
  await Deno.writeFile(temporary, content, { mode: 0o644 });
  await Deno.utime(temporary, createdS, createdS);
  await Deno.rename(temporary, path);
}

async function wholeOf(content: FileContent): Promise<Uint8Array> {
  if (content instanceof Uint8Array) return content;
  return await new Response(content).bytes();
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await file.write(bytes.subarray(at));
  }
}

/** A full or broken disk ends the run; a file that is lost does not. */
function isOfTheDisk(error: unknown): boolean {
  return error instanceof Error && ("code" in error ||
    error instanceof Deno.errors.PermissionDenied ||
    error.name === "AbortError");
}
