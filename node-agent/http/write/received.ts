/**
 * Bytes that arrived and are not yet a file.
 *
 * @module
 */

import type { LocalFiles, Staged } from "../../ports.ts";
import type { FormFacts } from "./upload_facts.ts";

/** Bytes that arrived; discarded at the end unless they were handed over. */
export class Received implements AsyncDisposable {
  /** Whether a change refers to the bytes now. */
  isHandedOver = false;
  /** The bytes. */
  readonly staged: Staged;
  /** What a form said; `undefined` for a raw body. */
  form: FormFacts | undefined;
  readonly #files: Pick<LocalFiles, "discard">;

  /** Take charge of staged bytes. */
  constructor(files: Pick<LocalFiles, "discard">, staged: Staged) {
    this.#files = files;
    this.staged = staged;
  }

  /** Throw the bytes away unless a change refers to them. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isHandedOver) return;
    await this.#files.discard(this.staged);
  }
}
