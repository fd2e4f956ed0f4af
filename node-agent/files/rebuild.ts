/**
 * Makes a new database from the files alone: `kedge agent rebuild-index`.
 *
 * File IDs say origin, length and CRC-32, so most of a lost index is on the
 * disks. The new database has a new identity: the group takes the node for
 * empty and compares everything. What the files do not say (metadata, names,
 * versions of appenders, deletes) comes back from the other members; entries
 * made here have epoch 0, so that theirs win.
 *
 * @module
 */

import { createHash, randomUUID } from "node:crypto";
import { z } from "zod";
import { GroupName, NOBODY, NodeId, Problem } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { rowOf } from "@kedge/schema/db";
import { RECORD_ALIGN_BYTES } from "@kedge/schema/disk/segment";
import { type FileId, parseFileId } from "@kedge/schema/file-id";
import { BlockChecksums } from "./crc32.ts";
import { openForWriting } from "./database.ts";
import { describeError, exists, readFullSync, sizeOf } from "./disk.ts";
import { folderOf, Layout } from "./layout.ts";
import { lockDataDir } from "./lock.ts";
import { writeMarker } from "./path_gate.ts";
import { type ScannedRecord, scanSegment } from "./segments.ts";
import { SegmentStatements } from "./segment_statements.ts";
import { WriteStatements } from "./statements.ts";

const READ_BYTES = 1 << 20;
/** Files per transaction, and per line of progress. */
const BATCH_FILES = 1000;
const FOLDER = /^[0-9A-F]{2}$/;
const SEGMENT = /^([0-9]{6,15})\.seg$/;
const FOREIGN_HOME = /^M[0-9A-F]{2}$/;
/** What FastDFS leaves in the `data` folders of a storage taken over in place. */
const FASTDFS_SIGNS = [".data_init_flag", ".fastdfs_vars"];

/** Whose index to make. */
export interface RebuildOptions {
  /** Folder of the database. */
  readonly dataDir: string;
  /** Folders of `M00`, `M01`, …, in the order they always had. */
  readonly storePaths: readonly string[];
  /** Number and group; from `DATA/agent.json` when missing. */
  readonly identity?: { readonly node: NodeId; readonly group: string };
}

/** What was found. */
export interface RebuildReport {
  /** Files in the new index. */
  readonly files: number;
  /** Files whose content is wrong: to be fetched from a member. */
  readonly damaged: number;
  /** Names that are no file IDs; left alone. */
  readonly strange: number;
}

const IdentityFile = z.object({
  identity: z.object({ node: NodeId, group: GroupName }),
});

/**
 * Make a new database from the files. The old one is kept beside it.
 *
 * @param options The agent must not run.
 * @param say Called with a line for the operator now and then.
 * @throws {Problem} `already-exists` while an agent uses the folder.
 */
export async function rebuildIndex(
  options: RebuildOptions,
  say: (line: string) => void,
): Promise<RebuildReport> {
  const { dataDir, storePaths } = options;
  const layout = new Layout(dataDir, storePaths);
  const { node, group } = options.identity ?? await readIdentity(dataDir);
  for (let index = 0; index < storePaths.length; index++) {
    if (!exists(layout.data(index))) {
      throw new Problem(
        "invalid-request",
        `Store path ${index} has no "data" folder: is the disk mounted?`,
      );
    }
  }
  const lock = lockDataDir(layout.lock);
  try {
    keepAside(layout);
    const database = openForWriting(layout.database);
    try {
      const rebuilder = new Rebuilder(
        layout,
        new WriteStatements(database),
        { node, group, say, segments: new SegmentStatements(database) },
      );
      return rebuilder.run();
    } finally {
      database.close();
    }
  } finally {
    lock.close();
  }
}

async function readIdentity(dataDir: string) {
  try {
    const text = await Deno.readTextFile(`${dataDir}/agent.json`);
    const parsed = IdentityFile.safeParse(JSON.parse(text));
    if (!parsed.success) throw new Error("it names no node; did it ever join?");
    return parsed.data.identity;
  } catch (error) {
    throw new Problem(
      "invalid-request",
      `Cannot read who this node is from its "agent.json": ${
        describeError(error)
      }`,
    );
  }
}

/**
 * The old database may hold what nobody else has, and so may the records that
 * were not in it yet: never delete them.
 */
function keepAside({ database, quickLog }: Layout): void {
  const parts = ["-wal", "-shm", ""].map((end) => [database + end, end]);
  parts.push([quickLog, "-quick.log"]);
  const aside = (number: number, end = "") => `${database}.old-${number}${end}`;
  let number = 1; // a run that was killed may have moved the first two
  while (parts.slice(2).some(([, end]) => exists(aside(number, end)))) number++;
  for (const [path = "", end] of parts) {
    if (exists(path)) Deno.renameSync(path, aside(number, end));
  }
}

/** Whose files they are, and who hears how it goes. */
interface RebuildContext {
  readonly node: NodeId;
  readonly group: string;
  readonly say: (line: string) => void;
}

/** One run over all store paths. */
class Rebuilder {
  readonly #layout: Layout;
  readonly #statements: WriteStatements;
  readonly #context: RebuildContext;
  readonly #segments: SegmentStatements;
  #files = 0;
  #damaged = 0;
  #strange = 0;
  /** Whether files of FastDFS may lie there that were never taken in. */
  readonly #isFastdfs: boolean;

  constructor(
    layout: Layout,
    statements: WriteStatements,
    context: RebuildContext & { readonly segments: SegmentStatements },
  ) {
    this.#segments = context.segments;
    this.#layout = layout;
    this.#statements = statements;
    this.#context = context;
    const paths = Array.from({ length: layout.pathCount }, (_, path) => path);
    this.#isFastdfs = paths.some((path) =>
      FASTDFS_SIGNS.some((name) => exists(`${layout.data(path)}/${name}`))
    );
  }

  run(): RebuildReport {
    const { node, group } = this.#context;
    const store = randomUUID();
    this.#statements.begin();
    const facts = { store, node, group, incarnation: Date.now(), clean: 1 };
    for (const [key, value] of Object.entries(facts)) {
      this.#statements.putState.run({ key, value: String(value) });
    }
    for (let index = 0; index < this.#layout.pathCount; index++) {
      this.#context.say(`reading store path M${index}`);
      this.#scan(index);
      this.#scanSegments(index);
      this.#statements.putPath.run({ pathIndex: index, fenced: null });
    }
    this.#statements.commit();
    // Last: until then the paths belong to the old database.
    for (let index = 0; index < this.#layout.pathCount; index++) {
      writeMarker(this.#layout, index, store);
    }
    return {
      files: this.#files,
      damaged: this.#damaged,
      strange: this.#strange,
    };
  }

  #scan(pathIndex: number): void {
    const data = this.#layout.data(pathIndex);
    const home = `M${pathIndex.toString(16).toUpperCase().padStart(2, "0")}`;
    this.#scanHome(data, home, pathIndex);
    for (const { name } of Deno.readDirSync(data)) {
      if (!FOREIGN_HOME.test(name)) continue;
      this.#scanHome(`${data}/${name}`, name, pathIndex);
    }
  }

  #scanHome(folder: string, home: string, pathIndex: number): void {
    for (const high of folders(folder)) {
      for (const low of folders(`${folder}/${high}`)) {
        const place = `${folder}/${high}/${low}`;
        for (const { name, isFile } of Deno.readDirSync(place)) {
          const id = `${this.#context.group}/${home}/${high}/${low}/${name}`;
          const parsed = isFile ? parseFileId(id) : undefined;
          if (parsed === undefined || this.#isMetadata(id)) this.#strange++;
          else this.#add(`${place}/${name}`, id, { parsed, pathIndex });
        }
      }
    }
  }

  /** After an import in place, metadata of FastDFS lies beside its files. */
  #isMetadata(id: string): boolean {
    return this.#isFastdfs && id.endsWith("-m") &&
      parseFileId(id.slice(0, -2)) !== undefined;
  }

  #add(
    path: string,
    id: string,
    where: { parsed: FileId; pathIndex: number },
  ): void {
    const read = readFile(path);
    this.#put(id, where, read);
  }

  #put(
    id: string,
    { parsed, pathIndex }: { parsed: FileId; pathIndex: number },
    content: ReadContent,
  ): void {
    const { sums } = content;
    const { entry, isRight } = entryOf(id, parsed, content);
    const row = rowOf(entry, {
      pathIndex,
      damaged: isRight ? 0 : 1,
      blockCrcs: isRight ? sums.packed() : null,
    });
    this.#statements.putFile.run({ ...row });
    this.#files++;
    if (!isRight) this.#damaged++;
    if (this.#files % BATCH_FILES !== 0) return;
    this.#statements.commit();
    this.#statements.begin();
    this.#context.say(`${this.#files} files so far`);
  }

  /** Small files that share a file. */
  #scanSegments(pathIndex: number): void {
    const folder = folderOf(this.#layout.segment(pathIndex, 1));
    if (!exists(folder)) return;
    for (const { name } of sorted(Deno.readDirSync(folder))) {
      const segment = Number(SEGMENT.exec(name)?.[1] ?? NaN);
      if (Number.isNaN(segment)) this.#strange++;
      else this.#scanSegment(pathIndex, segment);
    }
  }

  #scanSegment(pathIndex: number, segment: number): void {
    const path = this.#layout.segment(pathIndex, segment);
    const sizeBytes = Math.ceil((sizeOf(path) ?? 0) / RECORD_ALIGN_BYTES) *
      RECORD_ALIGN_BYTES;
    this.#segments.putSegment.run({ pathIndex, segment, sizeBytes });
    for (const record of scanSegment(path)) {
      const { id, offset, lengthBytes, isLive } = record;
      const parsed = parseFileId(id);
      const isOurs = id.startsWith(`${this.#context.group}/`);
      if (parsed === undefined || !isOurs) this.#strange++;
      else if (this.#isElsewhere(id)) continue;
      else if (isLive) {
        if (this.#hasBetter(record)) continue;
        this.#forget(id); // a later record is of later bytes
        this.#put(id, { parsed, pathIndex }, readRecordBody(record));
        const place = { pathIndex, segment, offset, lengthBytes };
        this.#segments.putPlace.run({ id, ...place });
      } else if (this.#segments.placeOf.get({ id })?.pathIndex === pathIndex) {
        this.#forget(id); // it may have moved to another store path
      }
    }
  }

  /** Whether these bytes are wrong, and the same ones are right elsewhere. */
  #hasBetter({ id, sizeBytes, crc32, isRight }: ScannedRecord): boolean {
    if (isRight) return false;
    const row = this.#statements.file.get({ id });
    return row?.damaged === 0 && row.sizeBytes === sizeBytes &&
      row.crc32 === crc32;
  }

  /** Whether a file has a file of its own, with the right bytes. */
  #isElsewhere(id: string): boolean {
    const row = this.#statements.file.get({ id });
    return row?.damaged === 0 &&
      this.#segments.placeOf.get({ id }) === undefined;
  }

  #forget(id: string): void {
    const row = this.#statements.file.get({ id });
    if (row === undefined) return;
    this.#segments.dropPlace.run({ id });
    this.#statements.dropFile.run({ id });
    this.#files--;
    if (row.damaged === 1) this.#damaged--;
  }
}

/** Content that was read. */
interface ReadContent {
  readonly sums: BlockChecksums;
  readonly sha256: string;
  /** Whether it could be read. */
  readonly isRead: boolean;
  /** What its record says that it is; a file of its own says nothing. */
  readonly said?: Pick<ScannedRecord, "sizeBytes" | "crc32">;
}

function readRecordBody(said: ScannedRecord): ReadContent {
  const sums = new BlockChecksums();
  sums.update(said.body);
  const sha256 = createHash("sha256").update(said.body).digest("hex");
  return { sums, sha256, isRead: true, said };
}

function readFile(path: string): ReadContent {
  const sums = new BlockChecksums();
  const hash = createHash("sha256");
  let isRead = true;
  try {
    const file = Deno.openSync(path);
    try {
      const buffer = new Uint8Array(READ_BYTES);
      for (;;) {
        const count = readFullSync(file, buffer);
        const bytes = buffer.subarray(0, count);
        sums.update(bytes);
        hash.update(bytes);
        if (count < buffer.length) break;
      }
    } finally {
      file.close();
    }
  } catch {
    isRead = false; // it cannot be read: a member has it
  }
  return { sums, sha256: hash.digest("hex"), isRead };
}

function entryOf(id: string, parsed: FileId, content: ReadContent) {
  const { sums, sha256, isRead, said = sums } = content;
  // The name of an appender or a derived file does not say what it must be.
  const isFixed = parsed.sizeBytes !== undefined;
  const { sizeBytes, crc32 } = isFixed
    ? { sizeBytes: parsed.sizeBytes, crc32: parsed.crc32 }
    : said;
  const isRight = isRead && sizeBytes === sums.sizeBytes &&
    crc32 === sums.crc32;
  const entry: FileEntry = {
    id,
    state: "present",
    epoch: 0,
    version: 1,
    origin: typeof parsed.origin === "number" ? parsed.origin : NOBODY,
    sizeBytes,
    crc32,
    sha256: isRight && isFixed ? sha256 : null,
    type: null,
    name: null,
    meta: {},
    createdS: parsed.createdS,
    appender: parsed.kind === "appender",
    master: null,
  };
  return { entry, isRight };
}

function sorted(entries: Iterable<Deno.DirEntry>): Deno.DirEntry[] {
  return [...entries].sort((a, b) => a.name < b.name ? -1 : 1);
}

function folders(path: string): string[] {
  const names: string[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(path)) {
    if (isDirectory && FOLDER.test(name)) names.push(name);
  }
  return names.sort();
}
