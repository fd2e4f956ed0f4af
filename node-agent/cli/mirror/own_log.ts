/**
 * Keeps the log of a daemon that runs in the background from growing for ever.
 *
 * The shell that started it appends its output to the file, so that putting the
 * file aside by its name would change nothing: it is copied, then emptied.
 *
 * @module
 */

/** A log is put aside as `NAME.1` at this size, in bytes: `/run` is memory. */
const LOG_BYTES_MAX = 8 * 1024 * 1024;
/** Pause between two looks at it, in ms. */
const LOOK_MS = 60_000;

/**
 * Look after our own log now and then.
 *
 * @param path Where our output goes; `undefined`, or another file: nothing is
 * done.
 * @returns Ends it.
 */
export function boundOwnLog(path: string | undefined): Disposable {
  const look = () => {
    if (path !== undefined) putAside(path);
  };
  const timer = setInterval(look, LOOK_MS);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/**
 * Copy a log that is too large to `PATH.1`, and empty it; without a copy when
 * there is no room for one. What cannot be done is tried again later: nobody
 * depends on it.
 *
 * @param output What must be the same file: our standard error.
 * @returns Whether it was done.
 */
export function putAside(
  path: string,
  { bytesMax = LOG_BYTES_MAX, output = "/dev/stderr" } = {},
): boolean {
  try {
    const log = Deno.statSync(path);
    if (log.size <= bytesMax) return false;
    const ours = Deno.statSync(output);
    if (ours.dev !== log.dev || ours.ino !== log.ino) return false;
    copy(path, `${path}.1`);
    Deno.truncateSync(path, 0);
    return true;
  } catch {
    return false;
  }
}

/** Half a copy would only take what is left of `/run`. */
function copy(from: string, to: string): void {
  try {
    Deno.copyFileSync(from, to);
  } catch {
    try {
      Deno.removeSync(to);
    } catch {
      // Nothing was made.
    }
  }
}
