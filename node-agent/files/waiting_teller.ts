/**
 * Tells how many bytes wait to be packed, so that they count as taken.
 *
 * @module
 */

/** Change of the bytes that is told. */
const STEP_BYTES = 256 << 10;

/** Tells now and then, and always the last word. */
export class WaitingTeller {
  readonly #bytes: readonly number[];
  readonly #tell: (bytes: readonly number[]) => void;
  #told = 0;

  /** Watch these bytes, by store path. */
  constructor(
    bytes: readonly number[],
    tell: (bytes: readonly number[]) => void,
  ) {
    this.#bytes = bytes;
    this.#tell = tell;
  }

  /** Look at them. */
  look(): void {
    const bytes = Array.from(this.#bytes, (one) => one ?? 0);
    const total = bytes.reduce((sum, one) => sum + one, 0);
    const step = Math.abs(total - this.#told);
    if (step === 0 || (step < STEP_BYTES && total > 0)) return;
    this.#told = total;
    this.#tell(bytes);
  }
}
