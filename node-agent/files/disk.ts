/**
 * Small things done to disks, and what their failures mean.
 *
 * @module
 */

import { Problem } from "@kedge/schema";

/** Why nothing can be done on a store path that has no marker any more. */
export const UNMOUNTED = "its marker file is gone: is the disk mounted?";

/** The `errno` name of a failure, such as `ENOSPC`, or "". */
export function errorCode(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  return "code" in error && typeof error.code === "string" ? error.code : "";
}

/** Whether there is no more room: nothing is wrong with the disk. */
export function isFull(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOSPC" || code === "EDQUOT" || isOutOfFiles(error);
}

/**
 * Whether nothing could be opened, for too much is open: nothing was tried on the
 * disk. Whoever may connect can bring this about, and it passes.
 */
export function isOutOfFiles(error: unknown): boolean {
  const code = errorCode(error);
  return code === "EMFILE" || code === "ENFILE";
}

/** Whether SQLite had no room. */
export function isDatabaseFull(error: unknown): boolean {
  return /database or disk is full/.test(describeError(error));
}

/** Whether the file or folder does not exist. */
export function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || errorCode(error) === "ENOENT";
}

/**
 * Whether there is nothing by this name, nor can be: a folder on the way to it is
 * a file. Whoever wanted to write there met a disk that is not as it should be.
 */
export function cannotExist(error: unknown): boolean {
  return isMissing(error) || errorCode(error) === "ENOTDIR";
}

/**
 * Whether a failed read says something about the content: it is not there, or
 * the disk cannot give it. Anything else (too many open files, no memory, a
 * read that was called off) says nothing.
 */
export function isContentFault(error: unknown): boolean {
  return cannotExist(error) ||
    ["EIO", "EBADMSG", "EUCLEAN"].includes(errorCode(error));
}

/** A failure in words for an operator, without the stack. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The refusal of a request that met a full disk or a broken one. */
export function problemOfDisk(error: unknown, what: string): Problem {
  if (error instanceof Problem) return error;
  const why = `${what}: ${describeError(error)}`;
  return new Problem(isFull(error) ? "insufficient-storage" : "read-only", why);
}

/** Write all bytes: one call may write fewer than asked. */
export function writeAllSync(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    done += file.writeSync(bytes.subarray(done));
  }
}

/**
 * Make a file with these bytes; there must be none. `Deno.writeFileSync` copies
 * them first.
 */
export function writeNewSync(path: string, bytes: Uint8Array): void {
  const file = Deno.openSync(path, { write: true, createNew: true });
  try {
    writeAllSync(file, bytes);
  } finally {
    file.close();
  }
}

/** Write all bytes: one call may write fewer than asked. */
export async function writeAll(
  file: Deno.FsFile,
  bytes: Uint8Array,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await file.write(bytes.subarray(done));
  }
}

/**
 * Read until `into` is full or the file ends.
 *
 * @returns Bytes read.
 */
export function readFullSync(file: Deno.FsFile, into: Uint8Array): number {
  let done = 0;
  while (done < into.length) {
    const count = file.readSync(into.subarray(done));
    if (count === null) break;
    done += count;
  }
  return done;
}

/**
 * Read until `into` is full or the file ends.
 *
 * @returns Bytes read.
 */
export async function readFull(
  file: Deno.FsFile,
  into: Uint8Array,
): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const count = await file.read(into.subarray(done));
    if (count === null) break;
    done += count;
  }
  return done;
}

/** Flush a file, or the names in a folder, to the disk. */
export function flushSync(path: string): void {
  const file = Deno.openSync(path);
  try {
    file.syncSync();
  } finally {
    file.close();
  }
}

/**
 * Flush a file, or the names in a folder. Only the wait is left to another
 * thread: opening is quicker than to hand it over.
 */
export async function flush(path: string): Promise<void> {
  const file = Deno.openSync(path);
  try {
    await file.sync();
  } finally {
    file.close();
  }
}

/**
 * Flush the content and length of a file, not its times, for half of what
 * {@linkcode flush} costs.
 */
export async function flushContent(path: string): Promise<void> {
  const file = Deno.openSync(path);
  try {
    await file.syncData();
  } finally {
    file.close();
  }
}

/** As {@linkcode flushContent}, on this thread. */
export function flushContentSync(path: string): void {
  const file = Deno.openSync(path);
  try {
    file.syncDataSync();
  } finally {
    file.close();
  }
}

/** Write a file and bring it and its name to the disk, whole or not at all. */
export function writeDurableSync(path: string, text: string): void {
  const temporary = `${path}.new`;
  Deno.writeTextFileSync(temporary, text);
  flushSync(temporary);
  Deno.renameSync(temporary, path);
  flushSync(path.slice(0, path.lastIndexOf("/")));
}

/** Remove a file that may be gone already. */
export function removeSync(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!cannotExist(error)) throw error;
  }
}

/** Make a folder; its name and those of new folders above it are durable. */
export function makeDurableDir(path: string): void {
  const made: string[] = [];
  for (let at = path; !exists(at); at = folderAbove(at)) made.push(at);
  Deno.mkdirSync(path, { recursive: true, mode: 0o750 });
  for (const folder of made) flushSync(folderAbove(folder));
  flushSync(folderAbove(path));
}

/** The folder that something lies in. */
export function folderAbove(path: string): string {
  const slash = path.replace(/\/+$/, "").lastIndexOf("/");
  if (slash < 0) return ".";
  return slash === 0 ? "/" : path.slice(0, slash);
}

/** Whether there is something by this name. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (cannotExist(error)) return false;
    throw error;
  }
}

/** Length of a file in bytes; `undefined` when it cannot be known. */
export function sizeOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).size;
  } catch {
    return undefined;
  }
}
