/** A seeded random source, so that a failing run can be run again (sfc32). */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  /** @param stream Keeps the concerns of one seed apart from each other. */
  constructor(seed: number, stream: number) {
    this.#a = seed >>> 0;
    this.#b = Math.imul(stream + 1, 0x9e3779b1) >>> 0;
    this.#c = 0x2545f491;
    for (let i = 0; i < 12; i++) this.#next32();
  }

  /** A number in 0 ≤ n < 1. */
  next(): number {
    return this.#next32() / 2 ** 32;
  }

  /** A number in min ≤ n < max. */
  range(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  /** An integer in min ≤ n ≤ max. */
  between(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  /** True with this probability, 0…1. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of these. */
  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  #next32(): number {
    const t = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }
}
