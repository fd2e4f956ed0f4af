/**
 * Waits for states of a mirror daemon by its events: who asks again and again
 * takes time of the processors that it measures.
 *
 * @module
 */

import { MirrorEvent } from "@kedge/schema/mirror/control-api";
import type { MirrorNode } from "./mirror_pair.ts";

/** A state as events tell it. */
type SeenState = NonNullable<MirrorEvent["after"]>;

/** The states of one node, from the moment it is opened. */
export class StateWatch implements AsyncDisposable {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  private constructor(body: ReadableStream<Uint8Array>) {
    const decoder = new TextDecoderStream() as unknown as TransformStream<
      Uint8Array,
      string
    >;
    this.#reader = body.pipeThrough(decoder).getReader();
  }

  /** Listen to a node. */
  static async open(node: MirrorNode): Promise<StateWatch> {
    return new StateWatch(await node.events());
  }

  /**
   * Wait for a state.
   *
   * @returns When it was heard of, as `performance.now()`.
   * @throws {Error} When the daemon has ended.
   */
  async until(isWanted: (state: SeenState) => boolean): Promise<number> {
    for (;;) {
      for (let end = 0; (end = this.#rest.indexOf("\n")) >= 0;) {
        const line = JSON.parse(this.#rest.slice(0, end));
        this.#rest = this.#rest.slice(end + 1);
        const event = MirrorEvent.safeParse(line).data; // "ready" is none
        if (event?.after !== undefined && isWanted(event.after)) {
          return performance.now();
        }
      }
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("the daemon has ended");
      this.#rest += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
  }
}
