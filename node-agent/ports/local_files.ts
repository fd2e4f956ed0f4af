/**
 * This node's files, as `http/` and `sync/` see them. Implemented by `files/`.
 *
 * @module
 */

import type { StorePathReport } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import type {
  ByteSpan,
  ContentEdit,
  ReadRoom,
  Staged,
  StageRequest,
} from "./content.ts";

/** Content of a file: a buffer for small spans, a stream for large ones. */
export type FileBody =
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array<ArrayBuffer>>;

/**
 * This node's files: bytes on disk and the index. Implemented by `files/`.
 *
 * Every method that touches a disk throws {@linkcode Problem}s only:
 * `insufficient-storage`, `read-only` (fenced), `damaged`, `too-large`.
 */
export interface LocalFiles {
  /** Take bytes in. Nothing is visible until a change refers to them. */
  stage(request: StageRequest): Promise<Staged>;
  /** Forget staged bytes. Never throws. */
  discard(staged: Staged): Promise<void>;
  /**
   * Choose a new file ID, unused here for ever (index and tombstones asked).
   *
   * @param options Origin, size, CRC, extension, appender flag, store path.
   */
  newId(options: {
    readonly staged: Staged;
    readonly extension: string;
    readonly appender: boolean;
  }): string;
  /**
   * Length and CRC-32 that a file will have after an edit: what the entry of
   * the change must say. Reads what it must; shows nothing to anybody. The
   * caller holds the file's lock until the change is committed or given up.
   *
   * @throws {Problem} `damaged`, or `insufficient-storage`.
   */
  foresee(
    entry: FileEntry,
    edit: ContentEdit,
  ): Promise<{ readonly sizeBytes: number; readonly crc32: number }>;
  /** What this node knows of a file; fast, from memory or the index. */
  lookup(id: string): FileEntry | undefined;
  /**
   * The content of a present file as the body of a response. Bytes are checked
   * against the checksums: wrong bytes are never returned as good.
   *
   * @param room Where a file that is read whole may be put.
   * @returns At once when it is surely in memory. The caller may give its memory
   * back: it is nobody else's.
   * @throws {Problem} `damaged` when the copy is missing, short or wrong; also
   * at once.
   */
  read(
    entry: FileEntry,
    span?: ByteSpan,
    room?: ReadRoom,
  ): FileBody | Promise<FileBody>;
  /**
   * Whether {@linkcode LocalFiles.read} of this part now gives a stream that
   * takes next to no memory, however slow its client is.
   */
  isLean?(entry: FileEntry, span: ByteSpan): boolean;
  /**
   * Whether a program that we trust may send the content by itself, from where
   * the file ID says. Not when it is too small to be worth it, may change, is
   * not all there, or lies elsewhere.
   */
  isPlain?(entry: FileEntry): boolean;
  /**
   * When the content was written here last, in Unix seconds, as the disk says;
   * `undefined` when it has not taken it yet, or cannot tell.
   */
  changedS?(entry: FileEntry): Promise<number | undefined>;
  /** Entries in ID order, for operators. */
  list(query: {
    readonly prefix?: string | undefined;
    readonly after?: string | undefined;
    readonly sinceS?: number | undefined;
    readonly untilS?: number | undefined;
    readonly limit: number;
  }): FileEntry[];
  /** Whether this key was used before, and for which file. */
  remembered(idempotencyKey: string): RememberedUpload | undefined;
  /** State of every disk. */
  storePaths(): StorePathReport[];
  /** Present files. */
  fileCount(): number;
  /** What operators should see. */
  alarms(): string[];
}

/** What an `Idempotency-Key` stands for. */
export interface RememberedUpload {
  /** The file that it made. */
  readonly id: string;
  /** SHA-256 of the content it was used with, in hex. */
  readonly sha256: string;
}
