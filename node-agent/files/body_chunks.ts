/**
 * A body as it comes, no longer than allowed.
 *
 * @module
 */

import { Problem } from "@kedge/schema";

/** Reads one body once; what was given out is not held any more. */
export class BodyChunks {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #sizeBytesMax: number;
  #held: Uint8Array[] = [];
  #total = 0;
  #isDone = false;

  /** Read at most this much. */
  constructor(body: ReadableStream<Uint8Array>, sizeBytesMax: number) {
    this.#reader = body.getReader();
    this.#sizeBytesMax = sizeBytesMax;
  }

  async #read(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#reader.read();
    if (done) {
      this.#isDone = true;
      return undefined;
    }
    this.#total += value.length;
    if (this.#total > this.#sizeBytesMax) throw tooLarge(this.#sizeBytesMax);
    return value;
  }

  /**
   * The whole body when it is short; otherwise {@linkcode next} gives all of it.
   *
   * @param limit Longest body to be given whole, in bytes.
   * @throws {Problem} `too-large`.
   */
  async wholeUpTo(limit: number): Promise<Uint8Array | undefined> {
    while (this.#total <= limit) {
      const part = await this.#read();
      if (part === undefined) return joined(this.#held);
      this.#held.push(part);
    }
    return undefined;
  }

  /**
   * The next bytes, which nobody will change.
   *
   * @returns `undefined` at the end.
   * @throws {Problem} `too-large`.
   */
  async next(): Promise<Uint8Array | undefined> {
    const held = this.#held.shift();
    if (held !== undefined || this.#isDone) return held;
    return await this.#read();
  }

  /** Read no more. Never throws. */
  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {});
  }
}

/** Pieces as one; a single piece as it is. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The refusal of a body that is too long. */
export function tooLarge(sizeBytesMax: number): Problem {
  return new Problem(
    "too-large",
    `The body is longer than ${sizeBytesMax} bytes`,
    { sizeBytesMax },
  );
}
