/**
 * The folders of a FastDFS storage, read and never followed out of.
 *
 * ```text
 * STORE_PATH/data/HH/LL/NAME       a file; NAME is the last part of its ID
 * STORE_PATH/data/HH/LL/NAME-m     its metadata
 * STORE_PATH/data/HH/LL/NNNNNN     a trunk file
 * ```
 *
 * Anybody may have put anything there. Only names that are file IDs are taken;
 * a symbolic link is read as text, and counts only when that text names a file
 * of the storage.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { type FileId, hexByte, parseFileId } from "@kedge/schema/file-id";
import { isTrunkFileName } from "@kedge/schema/fastdfs";
import { pause } from "../turns.ts";

/** A file to be taken in. */
export interface SourceFile {
  readonly id: string;
  readonly parsed: FileId;
  /** The regular file that has its bytes. */
  readonly path: string;
  /** Whether a symbolic link of FastDFS leads there. */
  readonly isDuplicate: boolean;
  /** Its metadata, if it has any. */
  readonly metaPath: string | undefined;
}

/** Something that is not taken, and why. */
export interface Oddity {
  /** For programs. */
  readonly reason: string;
  readonly name: string;
  readonly detail: string;
}

/** What one folder holds, or a part of it. */
export interface SourceFolder {
  readonly pathIndex: number;
  readonly path: string;
  readonly files: readonly SourceFile[];
  /** Names of its trunk files. */
  readonly trunks: readonly string[];
  readonly oddities: readonly Oddity[];
}

/** The names of one folder. */
interface Listing {
  readonly pathIndex: number;
  readonly path: string;
  readonly names: ReadonlySet<string>;
  /** There may be more: nothing is said of what is not among them. */
  readonly isPartial: boolean;
}

/** Names of one folder that are looked at before others have a turn. */
const PART_COUNT = 1000;

const FOLDER = /^[0-9A-F]{2}$/;
/**
 * What it keeps beside the folders, where `base_path` is a store path, and what
 * a node keeps there that took the path over.
 */
const KEPT_BESIDE: ReadonlySet<string> = new Set([
  ...["sync", "trunk", "fdfs_storaged.pid", "storage_stat.dat"],
  ...[".data_init_flag", ".fastdfs_vars", "storaged.pid"],
  ...[".kedge-path", ".tmp", ".segments"],
]);
const LINK_TARGET =
  /^(\/.*)\/data\/([0-9A-F]{2})\/([0-9A-F]{2})\/([A-Za-z0-9._-]{1,127})$/;
const META_SUFFIX = "-m";
/** What FastDFS leaves when it stops in the middle of a copy. */
const UNFINISHED = /^\.cp.*\.tmp$/;

/** The store paths of one storage. */
export class SourceTree {
  readonly #group: string;
  readonly #roots: readonly string[];
  readonly #data: readonly string[];

  /**
   * Look at store paths.
   *
   * @param roots `store_path0`, `store_path1`, …
   * @throws {Problem} `invalid-request` when one has no `data` folder.
   */
  constructor(group: string, roots: readonly string[]) {
    this.#group = group;
    this.#roots = roots.map((root) => root.replace(/\/+$/, ""));
    this.#data = this.#roots.map((root, index) => {
      try {
        const data = Deno.realPathSync(`${root}/data`);
        if (!Deno.statSync(data).isDirectory) throw new Error("not a folder");
        return data;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new Problem(
          "invalid-request",
          `Store path M${hexByte(index)} has no folder ${root}/data that can ` +
            `be read on this node's host: ${why}`,
        );
      }
    });
  }

  /** How many store paths there are. */
  get pathCount(): number {
    return this.#data.length;
  }

  /** The `data` folder of a store path, symbolic links resolved. */
  data(pathIndex: number): string | undefined {
    return this.#data[pathIndex];
  }

  /** Every folder with what it holds, in order; a large one in parts. */
  async *folders(): AsyncGenerator<SourceFolder> {
    for (const [pathIndex, data] of this.#data.entries()) {
      const highs = subfolders(data);
      yield withOddities(pathIndex, data, highs.oddities);
      for (const high of highs.names) {
        const lows = subfolders(`${data}/${high}`);
        yield withOddities(pathIndex, `${data}/${high}`, lows.oddities);
        for (const low of lows.names) {
          await pause();
          yield* this.#folder(pathIndex, high, low);
        }
      }
    }
  }

  /** Of a folder with millions of files only the names are in memory at once. */
  async *#folder(
    pathIndex: number,
    high: string,
    low: string,
  ): AsyncGenerator<SourceFolder> {
    const path = `${this.#data[pathIndex]}/${high}/${low}`;
    const place = `${this.#group}/M${hexByte(pathIndex)}/${high}/${low}`;
    const entries: Deno.DirEntry[] = [];
    let isPartial = false;
    try {
      for await (const entry of Deno.readDir(path)) entries.push(entry);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      isPartial = true;
      yield withOddities(pathIndex, path, [unreadable(path, error)]);
    }
    const names = new Set(entries.map(({ name }) => name));
    for (let at = 0; at < entries.length; at += PART_COUNT) {
      if (at > 0) await pause();
      const part = entries.slice(at, at + PART_COUNT);
      yield this.#part(part, { pathIndex, path, place, names, isPartial });
    }
  }

  #part(
    entries: readonly Deno.DirEntry[],
    { place, ...folder }: Listing & {
      /** The first parts of IDs. */
      readonly place: string;
    },
  ): SourceFolder {
    const files: SourceFile[] = [];
    const trunks: string[] = [];
    const oddities: Oddity[] = [];
    for (const entry of entries) {
      const { name } = entry;
      const id = `${place}/${name}`;
      if (isTrunkFileName(name) && entry.isFile) {
        trunks.push(name);
        continue;
      }
      const found = this.#entry(entry, id, folder);
      if (found === undefined) continue;
      if ("reason" in found) oddities.push(found);
      else files.push(found);
    }
    const { pathIndex, path } = folder;
    return { pathIndex, path, files, trunks, oddities };
  }

  #entry(
    entry: Deno.DirEntry,
    id: string,
    { pathIndex, path, names, isPartial }: Listing,
  ): SourceFile | Oddity | undefined {
    const { name } = entry;
    const full = `${path}/${name}`;
    const odd = (reason: string, detail: string) => {
      return { reason, name: full, detail };
    };
    if (name.endsWith(META_SUFFIX)) {
      const master = id.slice(0, -META_SUFFIX.length);
      const parsed = parseFileId(master);
      if (parsed?.kind === "trunk") return undefined;
      if (parsed !== undefined) {
        const isOrphan = !names.has(name.slice(0, -META_SUFFIX.length));
        return isOrphan && !isPartial
          ? odd("metadata-without-file", "its file is not there")
          : undefined;
      }
    }
    const parsed = parseFileId(id);
    if (parsed === undefined || parsed.kind === "trunk") {
      return UNFINISHED.test(name)
        ? odd("unfinished", "FastDFS did not finish this copy")
        : odd("not-a-file-id", "the name is not that of a file");
    }
    // It is looked for where its name may not have been read.
    const metaPath = isPartial || names.has(name + META_SUFFIX)
      ? full + META_SUFFIX
      : undefined;
    const file = { id, parsed, path: full, metaPath, isDuplicate: false };
    if (entry.isFile) return file;
    if (!entry.isSymlink) {
      return odd("not-a-regular-file", "neither a file nor a link to one");
    }
    const target = this.#targetOf(full, pathIndex);
    return target === undefined
      ? odd("outside-the-tree", "a link to something that is not a file here")
      : { ...file, path: target, isDuplicate: true };
  }

  /** The file that a symbolic link of FastDFS names. */
  #targetOf(link: string, pathIndex: number): string | undefined {
    let text: string;
    try {
      text = Deno.readLinkSync(link);
    } catch {
      return undefined;
    }
    const [, root = "", high = "", low = "", name = ""] =
      LINK_TARGET.exec(text) ?? [];
    if (name === "") return undefined;
    // The storage may have been mounted elsewhere when the link was made.
    const named = this.#roots.indexOf(root);
    const at = named < 0 ? pathIndex : named;
    return this.within({ pathIndex: at, high, low, name });
  }

  /**
   * The path of a regular file, if all of it is inside the tree.
   *
   * @param place Its parts; the name comes from a disk and may be anything.
   */
  within(place: {
    readonly pathIndex: number;
    readonly high: string;
    readonly low: string;
    readonly name: string;
  }): string | undefined {
    const data = this.#data[place.pathIndex];
    if (data === undefined || place.name.includes("/")) return undefined;
    const folder = `${data}/${place.high}/${place.low}`;
    try {
      if (Deno.realPathSync(folder) !== folder) return undefined;
      const path = `${folder}/${place.name}`;
      return Deno.lstatSync(path).isFile ? path : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Names of the real folders with two hexadecimal digits, in order. */
function subfolders(path: string) {
  const names: string[] = [];
  const oddities: Oddity[] = [];
  try {
    for (const { name, isDirectory } of readFolder(path)) {
      const odd = (reason: string, detail: string) =>
        oddities.push({ reason, name: `${path}/${name}`, detail });
      if (FOLDER.test(name)) {
        if (isDirectory) names.push(name);
        else odd("not-a-folder", "not taken: mount what lies behind it there");
      } else if (!KEPT_BESIDE.has(name)) {
        odd("not-of-fastdfs", "FastDFS puts no files under such a name");
      }
    }
  } catch (error) {
    oddities.push(unreadable(path, error));
  }
  return { names: names.sort(), oddities };
}

function withOddities(
  pathIndex: number,
  path: string,
  oddities: readonly Oddity[],
): SourceFolder {
  return { pathIndex, path, files: [], trunks: [], oddities };
}

function unreadable(name: string, error: unknown): Oddity {
  const why = error instanceof Error ? error.message : String(error);
  const detail = `it could not be read to its end (${why}): files of it may ` +
    "be missing here; make it readable, and run the import again";
  return { reason: "unreadable-folder", name, detail };
}

/** A folder that vanished, or may not be read, is found out by its files. */
function readFolder(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
