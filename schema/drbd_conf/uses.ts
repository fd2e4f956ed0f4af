/**
 * What may stand only once: names, ports and minors that are taken.
 *
 * @module
 */

import { ParseError, type Place } from "./errors.ts";

/** Places where names were used first. */
export class Uses {
  readonly #first = new Map<string, Place>();

  /**
   * Takes a name of a kind (`net section`, `IP`), or refuses with both places
   * when it is taken, in drbdadm's words.
   */
  claim(kind: string, name: string, at: Place): void {
    const key = `${kind}\n${name}`;
    const first = this.#first.get(key);
    if (first === undefined) {
      this.#first.set(key, at);
      return;
    }
    throw new ParseError([
      { ...place(at), text: `conflicting use of ${kind} '${name}' ...` },
      { ...place(first), text: `${kind} '${name}' first used here.` },
    ]);
  }
}

/** Only file and line of something that has more. */
export function place(at: Place): Place {
  return { file: at.file, line: at.line };
}
