/**
 * Long programs that clean up when they are told to stop.
 *
 * @module
 */

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Ctrl-C, or the end of a `timeout`, as a failure. */
export interface Interruption extends Disposable {
  /** Fails when the program is told to stop. */
  readonly happens: Promise<never>;
}

/**
 * Watch for it until the end of a block: `await Promise.race([work, happens])`
 * lets the scopes of the block undo what they hold, as after any failure.
 */
export function interruption(): Interruption {
  const { promise, reject } = Promise.withResolvers<never>();
  // It may come while nobody waits for it.
  promise.catch(() => undefined);
  const stop = () => reject(new Error("interrupted"));
  for (const signal of SIGNALS) Deno.addSignalListener(signal, stop);
  return {
    happens: promise,
    [Symbol.dispose]: () => {
      for (const signal of SIGNALS) Deno.removeSignalListener(signal, stop);
    },
  };
}
