/**
 * One agent per data folder.
 *
 * @module
 */

import { Problem } from "@kedge/schema";

/**
 * Lock a data folder. The system lets go when the process ends, however.
 *
 * @param path The lock file; made when missing.
 * @returns Close it to let go.
 * @throws {Problem} `already-exists` when another agent holds it.
 */
export function lockDataDir(path: string): Deno.FsFile {
  const file = Deno.openSync(path, { write: true, create: true, mode: 0o640 });
  if (file.tryLockSync(true)) return file;
  file.close();
  throw new Problem(
    "already-exists",
    `Another agent uses this folder: ${path} is locked`,
  );
}
