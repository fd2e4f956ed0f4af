/**
 * Random numbers that can be had again: every run prints its seed, and
 * `KEDGE_SEED` repeats it.
 *
 * @module
 */

import { say } from "./say.ts";

/** A stream of random numbers. */
export class Random {
  #state: number;

  /** Start from a seed. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Next number, 0 ≤ n < 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Whole number, both ends possible. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** One of several. */
  pick<T>(choices: readonly T[]): T {
    const chosen = choices[Math.floor(this.next() * choices.length)];
    if (chosen === undefined) throw new Error("nothing to choose from");
    return chosen;
  }

  /** Bytes that no other call gives again. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const words = new Uint32Array(Math.ceil(length / 4) || 1);
    for (let i = 0; i < words.length; i++) words[i] = this.next() * 2 ** 32;
    return new Uint8Array(words.buffer, 0, length);
  }
}

/** The seed of this run: `KEDGE_SEED`, or a new one; printed with a name. */
export function seedOfRun(name: string): number {
  const given = Deno.env.get("KEDGE_SEED");
  const seed = given === undefined
    ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 1
    : Number(given);
  say(`${name}: KEDGE_SEED=${seed}`);
  return seed;
}
