/**
 * Handlers of the configuration that somebody waits for. Each call has a number
 * of its own: what a late one says is never taken for the answer of another.
 *
 * @module
 */

import type { VolumeEffects } from "./volume_types.ts";

/** What follows from the exit code of a handler. */
export type HandlerEnded = (exitCode: number) => void;

/** See the module comment. */
export class HandlerCalls {
  /** 0 is for handlers that nobody waits for. */
  #lastId = 0;
  readonly #open = new Map<number, HandlerEnded>();

  constructor(readonly effects: VolumeEffects) {}

  /** Run a handler; `ended` is called once, when it has ended. */
  run(name: string, ended: HandlerEnded): void {
    const id = ++this.#lastId;
    this.#open.set(id, ended);
    this.effects.runHelper(name, id);
  }

  /** A handler has ended. */
  ended(id: number, exitCode: number): void {
    const ended = this.#open.get(id);
    this.#open.delete(id);
    ended?.(exitCode);
  }
}
