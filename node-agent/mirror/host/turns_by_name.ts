/**
 * What is done to one thing is done in turn; to different things at once.
 *
 * @module
 */

/** See the module comment. */
export class TurnsByName {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Do it when all that was begun before with this name has ended. */
  take<T>(name: string, act: () => Promise<T>): Promise<T> {
    const earlier = this.#last.get(name) ?? Promise.resolve();
    const turn = earlier.then(act, act);
    this.#last.set(name, turn);
    const end = () => {
      if (this.#last.get(name) === turn) this.#last.delete(name);
    };
    turn.then(end, end);
    return turn;
  }
}
