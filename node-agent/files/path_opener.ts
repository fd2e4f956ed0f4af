/**
 * Lets an operator take a store path into use again that was fenced or missing:
 *
 * | what lies there                 | what follows                                |
 * | ------------------------------- | ------------------------------------------- |
 * | this path, by its marker        | tried by a write and a flush, then opened   |
 * | nothing                         | tried, marked; its files come from the group |
 * | another path, or unknown files  | refused: nothing is changed                 |
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { hexByte } from "@kedge/schema/file-id";
import {
  describeError,
  exists,
  flushSync,
  makeDurableDir,
  removeSync,
  writeAllSync,
} from "./disk.ts";
import { folderOf, type Layout } from "./layout.ts";
import type { LocalIndex } from "./local_index.ts";
import { clearOwnNames } from "./own_names.ts";
import { readMarker, writeMarker } from "./path_gate.ts";
import type { Pump } from "./pump.ts";
import { refillKey, type Refills } from "./refills.ts";
import type { StorePaths } from "./store_paths.ts";
import type { Strangers } from "./strangers.ts";

/** Bytes that are written, flushed and read to try a disk. */
const TRIAL_BYTES = 1 << 20;
/** What a crash while entering, or a new file system, leaves behind. */
const NOTHING = new Set([".kedge-path.new", ".tmp", "lost+found"]);
/** What FastDFS leaves in the `data` folder of each of its store paths. */
const FASTDFS_SIGNS = [".data_init_flag", ".fastdfs_vars", "00/00"];

/** What {@linkcode PathOpener} works with. */
export interface PathOpenerParts {
  readonly layout: Layout;
  readonly index: LocalIndex;
  readonly paths: StorePaths;
  readonly pump: Pump;
  readonly refills: Refills;
  readonly strangers: Strangers;
}

/** A store path that is in use again. */
export interface PathOpened {
  /** `M00` is 0. */
  readonly index: number;
  /** Files that must come from the group now. */
  readonly refillFiles: number;
}

/** See the module comment. */
export class PathOpener {
  readonly #store: string;
  readonly #parts: PathOpenerParts;

  /** For the paths of this database. */
  constructor(store: string, parts: PathOpenerParts) {
    this.#store = store;
    this.#parts = parts;
  }

  /**
   * Open a path.
   *
   * @throws {Problem} `invalid-request` when it is not this path and not empty,
   * `read-only` when it still fails.
   */
  async open(index: number): Promise<PathOpened> {
    const { paths } = this.#parts;
    if (paths.stateOf(index) === undefined) {
      throw refused(`There is no store path M${hexByte(index)} here`);
    }
    return await this.#enter(index, this.#isEmpty(index));
  }

  /**
   * Open a path that holds the data of FastDFS and nothing of ours; its files
   * stay where they are until they are taken in.
   *
   * @throws {Problem} `invalid-request` when it holds neither that nor ours,
   * `read-only` when it fails.
   */
  async takeOver(index: number): Promise<PathOpened> {
    const { layout, paths, strangers } = this.#parts;
    if (paths.stateOf(index) === undefined) return await this.open(index);
    if (readMarker(layout.marker(index)) !== undefined) {
      // FastDFS may have worked there again.
      await strangers.come(index);
      return await this.open(index);
    }
    const data = layout.data(index);
    if (!FASTDFS_SIGNS.some((name) => exists(`${data}/${name}`))) {
      throw refused(`M${hexByte(index)} does not hold the data of FastDFS`);
    }
    await strangers.come(index);
    return await this.#enter(index, true);
  }

  /** Every file of a path that was taken over is ours now. */
  async allTaken(index: number): Promise<void> {
    await this.#parts.strangers.go(index);
  }

  async #enter(index: number, isEmpty: boolean): Promise<PathOpened> {
    const { layout, paths, pump, refills } = this.#parts;
    if (!isEmpty && paths.isWritable(index)) return this.#opened(index);
    if (isEmpty) clearOwnNames(layout, index);
    try {
      makeDurableDir(layout.staging(index));
      tryDisk(layout.staged(index, ".trial"));
    } catch (error) {
      throw new Problem(
        "read-only",
        `Store path M${hexByte(index)} still fails: ${describeError(error)}`,
      );
    }
    // In this order: with the marker first, a crash would leave an index that
    // believes in files which are gone.
    if (isEmpty) await this.#markEmpty(index);
    if (isEmpty) writeMarker(layout, index, this.#store);
    const fence = { kind: "fence", pathIndex: index, reason: null } as const;
    await pump.store(() => fence, [], true);
    this.#parts.index.rows.clear(); // marks may be gone
    paths.set(index, { state: "writable", reason: undefined });
    paths.lookAgain();
    refills.lookAgain();
    return this.#opened(index);
  }

  #opened(index: number): PathOpened {
    return { index, refillFiles: this.#parts.refills.filesOn(index) };
  }

  async #markEmpty(pathIndex: number): Promise<void> {
    const { pump, index } = this.#parts;
    const key = refillKey(pathIndex);
    await Promise.all([
      pump.store(() => ({ kind: "state", key, value: "1" }), [], true),
      pump.store(() => ({ kind: "empty-path", pathIndex }), [], true),
    ]);
    index.rows.clear();
  }

  /** @throws {Problem} When something else is there. */
  #isEmpty(index: number): boolean {
    const { layout } = this.#parts;
    const data = layout.data(index);
    const marker = readMarker(layout.marker(index));
    const name = `M${hexByte(index)}`;
    if (marker !== undefined) {
      if (marker.store === this.#store && marker.index === index) return false;
      throw refused(
        marker.store === this.#store
          ? `The disk of ${name} is M${hexByte(marker.index)} of this node`
          : `The disk of ${name} belongs to another store; mount the right ` +
            "one, or an empty one",
      );
    }
    if (!exists(folderOf(data))) {
      throw refused(`The folder of ${name} is not there: is it mounted?`);
    }
    if (!exists(data)) return true;
    for (const entry of Deno.readDirSync(data)) {
      if (NOTHING.has(entry.name)) continue;
      throw refused(
        `The disk of ${name} has no marker but files: put the marker ` +
          "(data/.kedge-path) back, or mount an empty disk",
      );
    }
    return true;
  }
}

/** Write, flush and read; throws what the system says. */
function tryDisk(path: string): void {
  const bytes = new Uint8Array(TRIAL_BYTES).fill(0xa5);
  const file = Deno.openSync(path, { write: true, create: true });
  try {
    writeAllSync(file, bytes);
    file.syncSync();
  } finally {
    file.close();
  }
  const read = Deno.readFileSync(path);
  removeSync(path);
  flushSync(folderOf(path));
  if (read.length !== bytes.length || read.some((byte) => byte !== 0xa5)) {
    throw new Error("what was written is not what is read");
  }
}

function refused(detail: string): Problem {
  return new Problem("invalid-request", detail);
}
