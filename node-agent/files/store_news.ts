/**
 * What the store worker tells without being asked, brought to where it is used.
 *
 * @module
 */

import type { Log } from "../ports.ts";
import type { EarlyFiles } from "./early_files.ts";
import type { WorkerNews } from "./pump.ts";
import type { StorePaths } from "./store_paths.ts";

/** Hears the store worker. */
export class StoreNews {
  readonly #log: Log;
  paths: StorePaths | undefined;
  early: EarlyFiles | undefined;
  isDatabaseFull = false;

  constructor(log: Log) {
    this.#log = log;
  }

  hear(message: WorkerNews): void {
    switch (message.kind) {
      case "path":
        return this.paths?.set(message.pathIndex, message.state);
      case "slow-flush":
        return this.early?.pause(message.pauseMs);
      case "waiting":
        if (this.paths !== undefined) this.paths.waitingBytes = message.bytes;
        return;
      case "database-full":
        this.isDatabaseFull = message.isFull;
        return;
      case "log":
        return this.#log[message.level](message.message, message.facts);
      default:
        return message satisfies never;
    }
  }
}
