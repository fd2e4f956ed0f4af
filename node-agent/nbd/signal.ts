/**
 * "Something changed: look again."
 *
 * @module
 */

/** Wakes one waiter. */
export class Signal {
  #wake: (() => void) | undefined;

  /**
   * Wait for the next {@linkcode notify}. Check the condition first, in the same
   * turn: a notification that nobody waits for is forgotten.
   */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Wake who waits. */
  readonly notify = (): void => {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  };
}
