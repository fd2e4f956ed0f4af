/**
 * Where things lie on a node. Every path of a file is rebuilt from the parsed
 * fields of its ID.
 *
 * ```text
 * DATA/kedge.db  DATA/agent.lock  DATA/.reserve
 * DATA/quick.log               records that are not in the database yet
 * PATH/data/.kedge-path  PATH/data/.tmp/TOKEN  PATH/data/HH/LL/NAME
 * PATH/data/.tmp/bodies-N     bodies whose files are not flushed yet
 * PATH/data/.tmp/early-…      files that were answered and have no name yet
 * PATH/data/.segments/NNNNNN.seg   many small files
 * PATH/data/Mxx/HH/LL/NAME     a file of a store path that this node lacks
 * ```
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import {
  type FileId,
  hexByte,
  parseFileId,
  relativePath,
} from "@kedge/schema/file-id";

/** Paths of one agent. */
export class Layout {
  readonly #dataDir: string;
  readonly #storePaths: readonly string[];

  /**
   * Name the folders of an agent.
   *
   * @param dataDir Folder of the database.
   * @param storePaths Folders of `M00`, `M01`, …
   */
  constructor(dataDir: string, storePaths: readonly string[]) {
    this.#dataDir = dataDir;
    this.#storePaths = storePaths;
  }

  /** How many store paths there are. */
  get pathCount(): number {
    return this.#storePaths.length;
  }

  /** The database. */
  get database(): string {
    return `${this.#dataDir}/kedge.db`;
  }

  /** Held while an agent runs. */
  get lock(): string {
    return `${this.#dataDir}/agent.lock`;
  }

  /** Records that are not in the database yet. */
  get quickLog(): string {
    return `${this.#dataDir}/quick.log`;
  }

  /** Space kept back for deletes when the disk is full. */
  get reserve(): string {
    return `${this.#dataDir}/.reserve`;
  }

  /** Folder of all files of a store path. */
  data(pathIndex: number): string {
    return `${this.#storePaths[pathIndex]}/data`;
  }

  /** Says whose store path this is. */
  marker(pathIndex: number): string {
    return `${this.data(pathIndex)}/.kedge-path`;
  }

  /** Folder of staging files. */
  staging(pathIndex: number): string {
    return `${this.data(pathIndex)}/.tmp`;
  }

  /** One staging file. */
  staged(pathIndex: number, token: string): string {
    return `${this.staging(pathIndex)}/${token}`;
  }

  /** One file that holds many small ones. */
  segment(pathIndex: number, segment: number): string {
    const name = String(segment).padStart(6, "0");
    return `${this.data(pathIndex)}/.segments/${name}.seg`;
  }

  /**
   * Where a file lies.
   *
   * @param id A file ID.
   * @param pathIndex Store path that holds it here.
   * @throws {Problem} `invalid-file-id`.
   */
  file(id: string, pathIndex: number): string {
    const parsed = mustParse(id);
    const home = parsed.pathIndex === pathIndex
      ? ""
      : `M${hexByte(parsed.pathIndex)}/`;
    return `${this.data(pathIndex)}/${home}${relativePath(parsed)}`;
  }
}

/**
 * The parts of a file ID.
 *
 * @throws {Problem} `invalid-file-id`.
 */
export function mustParse(id: string): FileId {
  const parsed = parseFileId(id);
  if (parsed === undefined) {
    throw new Problem("invalid-file-id", "A file ID was expected", {
      given: id.slice(0, 160),
    });
  }
  return parsed;
}

/** The folder of a path. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
