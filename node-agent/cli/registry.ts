/** Every command of `kedge`, by name. Modules are loaded when they are used. */

import type { CommandEntry } from "./command.ts";

/** All commands, in the order of the overview. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "start",
    summary: "run a tracker and a replicated group on this machine",
    section: "run",
    load: async () => (await import("./start.ts")).start,
  },
  {
    name: "tracker",
    summary: "run a tracker",
    section: "run",
    load: async () => (await import("./tracker.ts")).tracker,
  },
  {
    name: "agent",
    summary: "run a node agent, or rebuild its index",
    section: "run",
    load: async () => (await import("./agent.ts")).agent,
  },
];
