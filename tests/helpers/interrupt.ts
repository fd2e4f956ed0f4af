/**
 * Long programs that clean up when they are told to stop.
 *
 * @module
 */

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Work until it is done, or until Ctrl-C or the end of a `timeout`: then the
 * scopes around it undo what they hold, as after any failure.
 *
 * @throws {Error} When it was interrupted.
 */
export async function interruptible<T>(work: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new Error("interrupted"));
  for (const signal of SIGNALS) Deno.addSignalListener(signal, stop);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, stop);
  }
}
