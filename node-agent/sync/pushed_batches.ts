/**
 * Batches of records that peers have pushed and that are not applied yet.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { PushedBatch, Session } from "./session.ts";

/** See the module comment. */
export class PushedBatches {
  /** Those that the core has not judged yet. */
  readonly #waiting = new Map<number, PushedBatch>();
  /** Those that are being applied, and who sent them. */
  readonly #accepted = new Map<number, Session>();
  #last = 0;

  /** Keep a batch for the core's judgement; returns its number. */
  add(pushed: PushedBatch): number {
    const batch = ++this.#last;
    this.#waiting.set(batch, pushed);
    return batch;
  }

  /** The core takes a batch; `undefined` when its connection is gone. */
  accept(batch: number): PushedBatch | undefined {
    const pushed = this.#waiting.get(batch);
    if (pushed === undefined) return undefined;
    this.#waiting.delete(batch);
    this.#accepted.set(batch, pushed.session);
    return pushed;
  }

  /** The core refuses a batch. */
  reject(batch: number): void {
    this.#waiting.delete(batch);
  }

  /** A batch is stored; returns who sent it. */
  applied(batch: number): Session | undefined {
    const session = this.#accepted.get(batch);
    this.#accepted.delete(batch);
    return session;
  }

  /** A connection is gone: what was not judged came for nothing. */
  unlinked(session: Session): void {
    for (const [batch, pushed] of this.#waiting) {
      if (pushed.session === session) this.#waiting.delete(batch);
    }
  }

  /** What a peer pushed could not be stored. */
  failed(origin: NodeId): void {
    for (const [batch, session] of this.#accepted) {
      if (session.control.peer === origin) this.#accepted.delete(batch);
    }
  }
}
