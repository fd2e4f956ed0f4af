/**
 * What an action does to the files of a store path.
 *
 * @module
 */

import type { UnsettledKind } from "@kedge/schema/db";
import {
  exists,
  flushSync,
  isMissing,
  removeSync,
  UNMOUNTED,
  writeAllSync,
  writeNewSync,
} from "./disk.ts";
import { folderOf, type Layout, mustParse } from "./layout.ts";

/** First part of the token of a second name of a file that lies elsewhere. */
export const LINK_TOKEN_PREFIX = "link-";

/** An action of which the database still has the bytes or the token. */
export interface Pending {
  readonly number: number;
  readonly id: string;
  readonly epoch: number;
  readonly version: number;
  kind: UnsettledKind;
  readonly pathIndex: number;
  /** Staging file, or place in a journal (`body_journal_core.ts`), or "". */
  token: string;
  offset: number;
  readonly replaces: boolean;
  /** When it was stored, by the monotonic clock. */
  readonly sinceMs: number;
  /** Whether the disk shows it. */
  done: boolean;
  /** Which one it was of those that were done; absent: not done here. */
  doneAs?: number | undefined;
  /** How many bytes of it go to a segment when it settles; 0 is none. */
  packs?: number;
}

/**
 * Does what actions say.
 *
 * With `isShared` another program (nginx) looks at the folders. Then a small
 * file gets its name only when it is whole, at the price of a rename (15 µs);
 * and its time is that of its creation, so that all copies have the same
 * `Last-Modified`, until its content changes.
 */
export class FileActions {
  readonly #layout: Layout;
  readonly #isShared: boolean;
  /** Folders made lately, of which the names may not be on the disk yet. */
  readonly newFolders = new Set<string>();
  /** Makes `path` a name of equal bytes, if there are any. */
  share: (action: Pending, payload: Uint8Array, path: string) => boolean = () =>
    false;
  /** Marks the record of a deleted file that lay in a segment. */
  bury: (action: Pending) => void = () => {};

  /** Work on these store paths. */
  constructor(layout: Layout, isShared = false) {
    this.#layout = layout;
    this.#isShared = isShared;
  }

  /**
   * Carry out an action; may be done again.
   *
   * @throws What the system says.
   */
  perform(action: Pending, payload: Uint8Array | null): void {
    const { pathIndex } = action;
    const path = this.#layout.file(action.id, pathIndex);
    switch (action.kind) {
      case "write":
        return this.#write(path, action, payload ?? new Uint8Array(0));
      case "extend":
        this.#unshare(path, action);
        return extendFile(path, action.offset, payload ?? new Uint8Array(0));
      case "join":
        return; // the bytes were there before the record
      case "rename": {
        const from = this.#layout.staged(pathIndex, action.token);
        const isSecondName = action.token.startsWith(LINK_TOKEN_PREFIX);
        // The time of a file that is somebody else's as well is left alone.
        if (!isSecondName) this.#setTime(from, action);
        this.#inFolder(path, pathIndex, () => renameOnce(from, path));
        // Of two names of one file, a rename removes neither.
        if (isSecondName) removeSync(from);
        return;
      }
      case "unlink":
        if (action.token !== "") this.bury(action);
        return removeSync(path);
      default:
        return action.kind satisfies never;
    }
  }

  /** Changed content has its own time, or nobody would look at it again. */
  #setTime(path: string, { id, version }: Pending): void {
    if (!this.#isShared) return;
    const { kind, createdS } = mustParse(id);
    if (kind === "appender" && version > 1) return;
    setTime(path, createdS);
  }

  /** Bytes that other names have too are never changed where they lie. */
  #unshare(path: string, { pathIndex, number }: Pending): void {
    if ((Deno.statSync(path).nlink ?? 1) <= 1) return;
    const own = this.#layout.staged(pathIndex, `own-${number}`);
    removeSync(own);
    Deno.copyFileSync(path, own);
    flushSync(own);
    Deno.renameSync(own, path);
  }

  #write(path: string, action: Pending, payload: Uint8Array): void {
    if (!action.replaces && !this.#isShared) {
      try {
        // Nobody sees the name before the index is told to show it.
        return this.#inFolder(
          path,
          action.pathIndex,
          () => {
            if (this.share(action, payload, path)) return;
            writeNewSync(path, payload);
          },
        );
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        if (holds(path, payload)) return; // taken in where it lay
      }
    }
    const temporary = this.#layout.staged(
      action.pathIndex,
      `write-${action.number}`,
    );
    Deno.writeFileSync(temporary, payload);
    this.#setTime(temporary, action);
    this.#inFolder(
      path,
      action.pathIndex,
      () => Deno.renameSync(temporary, path),
    );
  }

  /** Do something that needs the folder of `path`; make it when missing. */
  #inFolder(path: string, pathIndex: number, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (!this.isMounted(pathIndex)) {
        throw new Error(UNMOUNTED);
      }
      const folder = folderOf(path);
      Deno.mkdirSync(folder, { recursive: true });
      this.newFolders.add(folder);
      act();
    }
  }

  /** Whether the store path is there: never make one on the wrong disk. */
  isMounted(pathIndex: number): boolean {
    return exists(this.#layout.marker(pathIndex));
  }
}

/** Whether a file, not a link to one, has exactly these bytes. */
function holds(path: string, bytes: Uint8Array): boolean {
  const { isFile, size } = Deno.lstatSync(path);
  if (!isFile || size !== bytes.length) return false;
  const found = Deno.readFileSync(path);
  return found.length === bytes.length &&
    found.every((byte, index) => byte === bytes[index]);
}

/** Put bytes at the end of a file, over whatever lies beyond. */
function extendFile(path: string, offset: number, bytes: Uint8Array): void {
  const file = Deno.openSync(path, { write: true });
  try {
    if (file.statSync().size < offset) {
      throw new Deno.errors.NotFound("the file is shorter than the index says");
    }
    file.seekSync(offset, Deno.SeekMode.Start);
    writeAllSync(file, bytes);
    const end = offset + bytes.length;
    if (file.statSync().size > end) file.truncateSync(end);
  } finally {
    file.close();
  }
}

/** Rename; the token may have been renamed before a crash. */
function renameOnce(from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    if (isMissing(error) && !exists(from) && exists(to)) return;
    throw error;
  }
}

/** The time of a file's creation as that of its last change. */
function setTime(path: string, createdS: number): void {
  try {
    Deno.utimeSync(path, createdS, createdS);
  } catch (error) {
    if (!isMissing(error)) throw error; // renamed before a crash
  }
}
