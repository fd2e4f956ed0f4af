/** Placeholder until the scrubber lands. */

import type { AgentConfig } from "@kedge/schema/config/agent";
import type { Store } from "./files/store.ts";
import type { Clock, Log, Replicator } from "./ports.ts";

/** Runs scrubs when they are due, and when somebody asks. */
export class ScrubSchedule {
  constructor(_config: AgentConfig, _parts: {
    readonly store: Store;
    readonly replicator: Replicator;
    readonly clock: Clock;
    readonly log: Log;
  }) {}
  schedule(): void {}
  start() {
    return null;
  }
  stop(): void {}
  report() {
    return null;
  }
}
