/**
 * Store paths on which files may lie that are not ours (yet): a storage of
 * FastDFS that is taken in where it lies. Damaged files keep their names there,
 * and so do deleted ones and links that lead anywhere. The agent never looks at
 * them, but a program that reads the folders by itself would give them out.
 *
 * @module
 */

import type { Pump } from "./pump.ts";
import type { ReadStatements } from "./statements.ts";

/** Name of the fact in the table `state`. */
function strangersKey(pathIndex: number): string {
  return `strangers:${pathIndex}`;
}

/** See the module comment. */
export class Strangers {
  readonly #pump: Pump;
  readonly #known = new Set<number>();

  /** What the database remembers of so many paths. */
  constructor(statements: ReadStatements, pump: Pump, pathCount: number) {
    this.#pump = pump;
    for (let index = 0; index < pathCount; index++) {
      const value = statements.state.get({ key: strangersKey(index) })?.value;
      if (value === "1") this.#known.add(index);
    }
  }

  /** Whether some may lie there. */
  mayBeOn(pathIndex: number): boolean {
    return this.#known.has(pathIndex);
  }

  /** Some may be there from now on; it is on the disk. */
  async come(pathIndex: number): Promise<void> {
    this.#known.add(pathIndex);
    await this.#store(pathIndex, "1");
  }

  /** All of them are ours. */
  async go(pathIndex: number): Promise<void> {
    if (!this.#known.has(pathIndex)) return;
    await this.#store(pathIndex, "0");
    this.#known.delete(pathIndex);
  }

  async #store(pathIndex: number, value: string): Promise<void> {
    const key = strangersKey(pathIndex);
    await this.#pump.store(() => ({ kind: "state", key, value }), [], true);
  }
}
