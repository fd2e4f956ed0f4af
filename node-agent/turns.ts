/**
 * A limit on things under way at once.
 *
 * Every file operation that is under way holds a thread of the runtime with its
 * memory: with a thousand uploads at once that would be hundreds.
 *
 * @module
 */

/** Lets so many callers through and has the others wait, in order. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** Let `count` callers through at once. */
  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Do something when it is our turn.
   *
   * @param turnMsMax What takes longer does not keep others waiting; missing: it
   * does.
   */
  async run<T>(work: () => Promise<T>, turnMsMax?: number): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let isOurs = true;
    const leave = () => {
      if (isOurs) this.#leave();
      isOurs = false;
    };
    const timer = turnMsMax && setTimeout(leave, turnMsMax);
    try {
      return await work();
    } finally {
      if (timer) clearTimeout(timer);
      leave();
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

/** Let others have their turn, and messages of other threads in. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
