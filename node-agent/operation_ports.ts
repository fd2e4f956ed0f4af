/**
 * What doors other than HTTP do with files: the same operations, with the same
 * promises, without requests and responses. Implemented by `http/`, which
 * shares its locks and its knowledge of owners; `agent.ts` hands it on.
 *
 * @module
 */

import type { FileEntry, FileMeta } from "@kedge/schema/change";
import type { FastdfsView } from "@kedge/schema/fastdfs-view";
import type { ByteSpan, ReadRoom, Staged } from "./ports.ts";

/** Bytes that come from a client; their number is known. */
export interface IncomingBytes {
  /** A whole buffer when short; a stream is read once, and only to its end. */
  readonly body: Uint8Array | ReadableStream<Uint8Array>;
  readonly sizeBytes: number;
}

/** What a new file is to be. */
export interface NewFile {
  /** Store path; the store's policy when missing. */
  readonly pathIndex?: number | undefined;
  /** Without its dot; "" is none. */
  readonly extension: string;
  readonly appender: boolean;
}

/** The content of a file, or of a part of it; it belongs to who asked. */
export type FileContent =
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array<ArrayBuffer>>;

/**
 * Operations on files of this group. A change whose owner is another node is
 * made there, through that node's HTTP door.
 *
 * Everything throws {@linkcode Problem}s; a promise that resolves is an
 * acknowledgement at the level of the group, at least B for changes.
 */
export interface FileOperations {
  /** A file to be read: `file-not-found` is proof. */
  find(id: string): FileEntry | Promise<FileEntry>;
  /** When its content was made or changed last, in Unix seconds. */
  changedS(entry: FileEntry): Promise<number>;
  /** Its content, verified, from a repaired copy when ours is damaged. */
  read(
    entry: FileEntry,
    span?: ByteSpan,
    room?: ReadRoom,
  ): FileContent | Promise<FileContent>;
  /** Make a file. Returns its ID. */
  create(bytes: IncomingBytes, file: NewFile): Promise<string>;
  /** Make a file derived from a master. Returns its ID. */
  derive(
    master: string,
    bytes: IncomingBytes,
    name: { readonly prefix: string; readonly extension: string },
  ): Promise<string>;
  /** Put bytes into an appender file; at its end when `offset` is missing. */
  write(id: string, bytes: IncomingBytes, offset?: number): Promise<void>;
  /** Cut an appender file, or extend it with zeros. */
  truncate(id: string, sizeBytes: number): Promise<void>;
  /** Change the user metadata. */
  setMeta(
    id: string,
    meta: FileMeta,
    how: "overwrite" | "merge",
  ): Promise<void>;
  /** Delete a file on every member. */
  remove(id: string): Promise<void>;
  /**
   * Give an appender file the ID of a file that does not change any more. Both
   * exist for a moment; the old one is deleted last. Returns the new ID.
   */
  freeze(id: string): Promise<string>;
}

/** A file that keeps the ID which another store gave it. */
export interface KeptFile {
  readonly id: string;
  /** Its content, verified by the caller as far as the ID says it. */
  readonly staged: Staged;
  readonly meta: FileMeta;
}

/** What became of a file that was to be kept. */
export type Kept =
  | "added"
  /** It was taken in before, unchanged here since, and is another now. */
  | "replaced"
  /** It is here with this content. */
  | "known"
  /** It was deleted here. */
  | "deleted"
  /** It was changed here: what is here stays. */
  | "changed-here"
  /** Another member owns it, and must take the new content in. */
  | "not-owner";

/** Whether a file that was kept may go again. */
export type Dropping =
  /** It is as it was taken in, and ours to delete. */
  | "may-go"
  /** It is not here, or was not taken in from another store. */
  | "not-kept"
  /** It was changed here: it stays. */
  | "changed-here"
  /** Another member owns it. */
  | "not-owner";

/**
 * Takes files in under the IDs they have. Everything throws
 * {@linkcode Problem}s; a promise that resolves to "added" or "replaced" is an
 * acknowledgement at the level of the group.
 */
export interface FileKeeper {
  /** Group of this agent: the first part of every ID. */
  readonly group: string;
  /** What is known of a file here. */
  lookup(id: string): FileEntry | undefined;
  /** Take bytes in; they are for {@linkcode keep} or to be discarded. */
  stage(bytes: IncomingBytes, pathIndex: number): Promise<Staged>;
  /** Forget staged bytes. Never throws. */
  discard(staged: Staged): Promise<void>;
  /** Why metadata cannot be kept; `undefined` when it can. */
  metaFault(meta: FileMeta): string | undefined;
  /** @throws {Problem} `too-large` when the group takes no file of this size. */
  checkSize(sizeBytes: number): void;
  /** Add the file; its staged bytes are used or discarded in any case. */
  keep(file: KeptFile): Promise<Kept>;
  /** Whether {@linkcode drop} would delete it. */
  dropping(id: string): Dropping;
  /**
   * Delete a file that was kept, if it may go. "may-go": it is deleted, durably
   * on every member in sync.
   */
  drop(id: string): Promise<Dropping>;
}

/** Files that lie on the disk of a store path already. */
export interface LinkingStore {
  /**
   * Give a whole file of the same file system a second name in the store: no
   * bytes are copied. Nobody may change the file from then on.
   *
   * @param path A regular file, not a symbolic link.
   * @throws {Deno.errors} What the system says, such as `EXDEV` for a file of
   * another file system; nothing is left behind then.
   */
  link(path: string, pathIndex: number): Promise<Staged>;
  /**
   * Use a store path that holds the data of FastDFS, beside that data.
   *
   * @throws {Problem} `invalid-request`, `read-only`.
   */
  takeOver(pathIndex: number): Promise<unknown>;
  /** All that lay there is taken in: other programs may read its folders. */
  allTaken(pathIndex: number): Promise<void>;
}

/** The cluster as a FastDFS gateway needs it. */
export interface FastdfsCluster {
  /** Asks a tracker. @throws {Error} When none answered. */
  fastdfsView(): Promise<FastdfsView>;
}
