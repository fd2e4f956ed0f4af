/**
 * A bounded memory of what was used lately.
 *
 * Two generations: when the young one is full it becomes the old one, and what
 * was in the old one and not used since is gone. Every operation takes constant
 * time; a map from which the oldest entry is removed again and again does not.
 *
 * @module
 */

/** Keeps the newest entries; between half and all of `countMax`. */
export class Lately<Value> {
  readonly #countMax: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  /** Keep at most this many. */
  constructor(countMax: number) {
    this.#countMax = Math.max(1, Math.floor(countMax / 2));
  }

  /** An entry, if it is still here. */
  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  /** Keep an entry. */
  set(key: string, value: Value): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#countMax) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  /** Forget everything. */
  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }

  /** Forget an entry. */
  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
