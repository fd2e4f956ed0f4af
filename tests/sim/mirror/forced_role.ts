/**
 * Whether a person makes a node Primary whatever it lacks.
 *
 * @module
 */

/** See the module comment. */
export class ForcedRole {
  #commands = 0;
  #isDeclared = false;

  /** A command forces it, or its disk was declared good by one. */
  get isForced(): boolean {
    return this.#commands > 0 || this.#isDeclared;
  }

  /** A command begins; others may be under way. */
  begin(): void {
    this.#commands++;
  }

  /** One of them was answered. */
  end(): void {
    this.#commands--;
    this.#isDeclared = false;
  }

  /** The disk was none that would have done. */
  declare(): void {
    this.#isDeclared = true;
  }

  /** The process has ended, and answers nothing any more. */
  forget(): void {
    this.#commands = 0;
    this.#isDeclared = false;
  }
}
