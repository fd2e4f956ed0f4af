/**
 * What the standing connections of a resource began with, as long as that is
 * not what the resource is told to run by.
 *
 * @module
 */

import {
  type GreetingOptions,
  hasConnection,
  pendingOptions,
} from "@kedge/schema/mirror/pending-options";

/** A volume and its connection. */
export interface ConnectedVolume {
  readonly volume: number;
  readonly state: { readonly connection: string };
}

/** See the module comment. */
export class GreetedOptions {
  /** By volume: each has a connection of its own. */
  readonly #begun = new Map<number, GreetingOptions>();

  constructor(
    /** What the next connection begins with. */
    public wanted: GreetingOptions,
  ) {}

  /** The resource is told to run by others. */
  change(wanted: GreetingOptions, volumes: readonly ConnectedVolume[]): void {
    for (const { volume, state } of volumes) {
      if (!hasConnection(state.connection)) this.#begun.delete(volume);
      else {
        const begun = this.#begun.get(volume) ?? this.wanted;
        // Away from A counts at once.
        const { protocol } = wanted.protocol === "A" ? begun : wanted;
        this.#begun.set(volume, { ...begun, protocol });
      }
    }
    this.wanted = wanted;
  }

  /** A volume is in another state. */
  moved({ volume, state }: ConnectedVolume): void {
    if (!hasConnection(state.connection)) this.#begun.delete(volume);
  }

  /** Names of the options that some connection does not run by yet. */
  get pending(): string[] {
    const names = [...this.#begun.values()]
      .flatMap((begun) => pendingOptions(begun, this.wanted));
    return [...new Set(names)];
  }
}
