/**
 * Keeps equal bytes once per store path: `check_file_duplicate`.
 *
 * Every upload has its own file ID, row and name; names with equal bytes become
 * hard links of one file. The file system counts the references, so a delete is
 * what it always was: the name goes, and the bytes with the last name. Index,
 * log and peers know nothing of it, and nothing about them can go wrong here.
 *
 * ```text
 * small file, after its commit ─▶ another file of this path has its SHA-256 and
 *    the same bytes ─▶ link OTHER NAME, nothing is written
 * file settles (flushed) ─▶ another settled file of this path has its SHA-256
 *    ─▶ both are read and compared ─▶ link OTHER .tmp/x, rename .tmp/x NAME
 * ```
 *
 * At every moment NAME is a whole file that was flushed, the old or the linked
 * one: a crash at any step costs the saving at most. A hash alone is not
 * believed: if OTHER rotted since, a good copy would be thrown away.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { DatabaseSync } from "node:sqlite";
import { and, asc, eq, ne, sql } from "drizzle-orm";
import { type FileRow, files } from "@kedge/schema/db";
import { Prepared, write } from "./database.ts";
import {
  cannotExist,
  describeError,
  errorCode,
  isFull,
  isMissing,
  removeSync,
} from "./disk.ts";
import type { Pending } from "./file_actions.ts";
import type { Finisher } from "./finisher.ts";
import { Lately } from "./lately.ts";
import type { Layout } from "./layout.ts";
import { hasSameBytes } from "./same_bytes.ts";
import type { WriteStatements } from "./statements.ts";
import { pause } from "../turns.ts";

/** Files with the same SHA-256 that are tried. */
const CANDIDATES = 4;
/** Contents of which a file to link to is remembered. */
const BASES_KEPT = 1000;
const ALONE: Batch = { waiting: new Set(), lately: new Set() };
/** Longest time without a look at what others want, in ms. */
const SLICE_MS = 3;
/** File systems without hard links say so by these. */
const NO_LINKS = new Set(["EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS"]);

const CREATE =
  `CREATE INDEX IF NOT EXISTS files_sha256 ON files (sha256, createdS)
  WHERE sha256 IS NOT NULL`;
const DROP = "DROP INDEX IF EXISTS files_sha256";

/** What a linker works with, and what it tells about disks. */
export interface DuplicateParts {
  readonly database: DatabaseSync;
  readonly statements: WriteStatements;
  readonly layout: Layout;
  /** A link or rename failed: the path takes no more bytes. */
  fence(pathIndex: number, reason: string): void;
  /** Whether a path takes bytes. */
  mayWrite(pathIndex: number): boolean;
  /** Knows what is not flushed, and is told how to share bytes. */
  readonly finisher: Pick<Finisher, "waiting" | "share">;
  /** Whether the database is closed: nothing may be asked of it. */
  isOver(): boolean;
  warn(message: string, facts: Record<string, unknown>): void;
}

/** A file that may be linked to, and what it was when it was looked at. */
interface Found {
  readonly row: FileRow;
  readonly path: string;
  readonly info: Deno.FileInfo;
}

/** What settles together. */
interface Batch {
  /** Files that are not flushed. */
  readonly waiting: ReadonlySet<string>;
  /** Files that were flushed just now. */
  readonly lately: ReadonlySet<string>;
}

/**
 * Make a linker, and the index that finds equal contents; without one neither
 * costs anything.
 *
 * @returns `undefined` when it is not wanted, or when the disk has no room for
 * the index.
 */
export function openDuplicates(
  isWanted: boolean,
  parts: DuplicateParts,
): Duplicates | undefined {
  try {
    parts.database.exec(isWanted ? CREATE : DROP);
  } catch (error) {
    const why = describeError(error);
    parts.warn("equal files are kept apart: no index of contents", { why });
    return undefined;
  }
  if (!isWanted) return undefined;
  const duplicates = new Duplicates(parts);
  parts.finisher.share = (...file) => duplicates.share(...file);
  return duplicates;
}

/** Links equal files of one store. One call at a time. */
export class Duplicates {
  readonly #parts: DuplicateParts;
  readonly #sameHash: Prepared<FileRow>;
  /** File of a content to link to: the oldest may have no room for a link. */
  readonly #bases = new Lately<string>(BASES_KEPT);
  readonly #withoutLinks = new Set<number>();

  /** Work on one database and its store paths. */
  constructor(parts: DuplicateParts) {
    this.#parts = parts;
    const at = sql.placeholder;
    this.#sameHash = new Prepared(
      parts.database,
      write.select().from(files).where(and(
        eq(files.sha256, at("sha256")),
        eq(files.pathIndex, at("pathIndex")),
        ne(files.id, at("id")),
        eq(files.tombstone, 0),
        eq(files.damaged, 0),
        eq(files.appender, 0),
      )).orderBy(asc(files.createdS)).limit(CANDIDATES),
    );
  }

  /**
   * Make a new name for bytes that are here already, instead of a new file.
   * They need not be flushed: the name itself is not settled, and when it
   * settles what it names is flushed.
   *
   * @param payload All bytes of the file.
   * @returns Whether `path` is there now.
   */
  share(
    { id, pathIndex }: Pending,
    payload: Uint8Array,
    path: string,
  ): boolean {
    const row = this.#parts.statements.file.get({ id });
    if (row === undefined || !canShare(row)) return false;
    if (row.pathIndex !== pathIndex || row.sizeBytes !== payload.length) {
      return false;
    }
    if (this.#withoutLinks.has(pathIndex)) return false;
    try {
      for (const other of this.#candidates(row, ALONE)) {
        const bytes = Deno.readFileSync(other.path);
        if (Buffer.compare(bytes, payload) !== 0) continue;
        Deno.linkSync(other.path, path);
        this.#bases.set(keyOf(row), other.row.id);
        return true;
      }
      this.#bases.set(keyOf(row), id); // it is written now
    } catch {
      // Whatever is wrong here, a file is written: it says so if it matters.
    }
    return false;
  }

  /**
   * Link what settled to equal files that settled before.
   *
   * @param settled Actions whose files are on the disk, and still unsettled in
   * the database: a crash does them again.
   */
  async link(settled: readonly Pending[]): Promise<void> {
    const batch = {
      waiting: this.#parts.finisher.waiting(),
      lately: new Set(settled.map(({ id }) => id)),
    };
    let sinceMs = performance.now();
    for (const { id, pathIndex, kind } of settled) {
      if (performance.now() - sinceMs > SLICE_MS) {
        await pause();
        sinceMs = performance.now();
      }
      if (this.#parts.isOver()) return;
      if (kind !== "write" && kind !== "rename") continue;
      if (this.#withoutLinks.has(pathIndex)) continue;
      try {
        const own = this.#find(this.#parts.statements.file.get({ id }));
        if (own?.row.pathIndex === pathIndex) {
          await this.#linkOne(own, batch);
        }
      } catch (error) {
        // A file that cannot be read now stays as it is; the scrub will see.
        this.#parts.warn("an equal file could not be looked for", {
          id,
          why: describeError(error),
        });
      }
    }
  }

  async #linkOne(own: Found, batch: Batch): Promise<void> {
    const { pathIndex, id } = own.row;
    const key = keyOf(own.row);
    for (const other of this.#candidates(own.row, batch)) {
      if (this.#withoutLinks.has(pathIndex)) return;
      if (other.info.ino === own.info.ino) return;
      if (other.info.dev !== own.info.dev) continue;
      const { sizeBytes } = own.row;
      const isSame = await hasSameBytes(own.path, other.path, sizeBytes);
      if (this.#parts.isOver()) return;
      if (!isSame || !this.#replace(own, other)) continue;
      this.#bases.set(key, other.row.id);
      return;
    }
    this.#bases.set(key, id);
  }

  /** What was linked to last, then the oldest: all become links of one. */
  *#candidates(
    { id, sha256, pathIndex }: FileRow,
    { waiting, lately }: Batch,
  ): Iterable<Found> {
    const base = this.#bases.get(keyOf({ sha256, pathIndex }));
    const mayBe = (row: FileRow | undefined) => {
      // What a power loss may still take away is nothing to link to.
      const isFit = row?.sha256 === sha256 && row?.pathIndex === pathIndex &&
        row.id !== id && !waiting.has(row.id);
      return isFit ? this.#find(row) : undefined;
    };
    if (base !== undefined) {
      const found = mayBe(this.#parts.statements.file.get({ id: base }));
      if (found !== undefined) yield found;
    }
    // Those that settle together would only find one another.
    const rows = this.#sameHash.all({ id, sha256, pathIndex }).sort((a, b) =>
      Number(lately.has(a.id)) - Number(lately.has(b.id))
    );
    for (const row of rows) {
      const found = mayBe(row);
      if (found !== undefined) yield found;
    }
  }

  /** A file as it is on the disk, if it can share its bytes. */
  #find(row: FileRow | undefined): Found | undefined {
    if (row === undefined || !canShare(row)) return undefined;
    const path = this.#parts.layout.file(row.id, row.pathIndex);
    try {
      const info = Deno.lstatSync(path);
      const isWhole = info.isFile && info.size === row.sizeBytes;
      return isWhole ? { row, path, info } : undefined;
    } catch (error) {
      if (cannotExist(error)) return undefined;
      throw error;
    }
  }

  /** Whether `own` is a link to `other` now. Nothing happens in between. */
  #replace(own: Found, other: Found): boolean {
    const { pathIndex } = own.row;
    if (!this.#isStill(own) || !this.#isStill(other)) return false;
    if (!this.#parts.mayWrite(pathIndex)) return false;
    const link = this.#parts.layout.staged(pathIndex, "same");
    try {
      Deno.linkSync(other.path, link);
      Deno.renameSync(link, own.path);
      return true;
    } catch (error) {
      this.#failed(error, pathIndex);
      return false;
    }
  }

  /** Whether neither the index nor the disk has changed since. */
  #isStill({ row, path, info }: Found): boolean {
    const now = this.#find(this.#parts.statements.file.get({ id: row.id }));
    return now !== undefined && now.path === path &&
      now.row.epoch === row.epoch && now.row.version === row.version &&
      now.info.ino === info.ino && now.info.size === info.size &&
      +(now.info.mtime ?? 0) === +(info.mtime ?? 0);
  }

  #failed(error: unknown, pathIndex: number): void {
    try {
      removeSync(this.#parts.layout.staged(pathIndex, "same"));
    } catch {
      // Swept at the next start; until then linking fails there.
    }
    const code = errorCode(error);
    // Room for names is nothing to worry about: the file keeps its own bytes.
    const isHarmless = code === "EMLINK" || code === "EEXIST";
    if (isHarmless || isFull(error) || isMissing(error)) return;
    const why = describeError(error);
    if (NO_LINKS.has(code)) {
      this.#withoutLinks.add(pathIndex);
      this.#parts.warn("equal files are kept apart: there are no hard links", {
        pathIndex,
        why,
      });
    } else this.#parts.fence(pathIndex, `link of a file: ${why}`);
  }
}

function keyOf(
  { pathIndex, sha256 }: Pick<FileRow, "pathIndex" | "sha256">,
): string {
  return `${pathIndex}:${sha256}`;
}

/** Whether the bytes of a file may have other names. */
function canShare(row: FileRow): boolean {
  if (row.sha256 === null || row.sizeBytes === 0) return false;
  // An appender is changed where it lies.
  return row.appender === 0 && row.tombstone === 0 && row.damaged === 0;
}
