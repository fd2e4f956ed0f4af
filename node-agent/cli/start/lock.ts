/** One `kedge start` per data directory: a lock that dies with its process. */

import { CliError } from "../errors.ts";

/** A held lock. */
export interface DataLock extends Disposable {
  /** The file that is locked. */
  readonly path: string;
}

/**
 * Lock a data directory. The system releases the lock when this process ends,
 * however it ends; the file itself stays.
 *
 * @param path The lock file, made when missing.
 * @throws {CliError} When somebody else holds it, naming who.
 */
export function lockData(path: string): DataLock {
  const file = Deno.openSync(path, {
    read: true,
    write: true,
    create: true,
    mode: 0o600,
  });
  if (!file.tryLockSync(true)) {
    file.close();
    const holder = Deno.readTextFileSync(path).trim();
    throw new CliError(
      `The data directory is in use by another "kedge start"` +
        (holder === "" ? "" : ` (process ${holder})`),
      holder === ""
        ? "choose another one with --data"
        : `stop it with: kill ${holder}   or choose another with --data`,
    );
  }
  file.truncateSync();
  file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
  return { path, [Symbol.dispose]: () => file.close() };
}
