/** The two heavy doors of the agent, loaded only when they are used. */

import type { AgentConfig } from "@kedge/schema/config/agent";

/** `rebuildIndex()` of `node-agent/files`. */
export type RebuildIndex = (
  config: AgentConfig,
  say: (line: string) => void,
) => Promise<{
  readonly files: number;
  readonly damaged: number;
  readonly strange: number;
}>;

/** Load the agent. */
export async function loadRunAgent(): Promise<
  typeof import("../agent.ts").runAgent
> {
  return (await import("../agent.ts")).runAgent;
}

/** Load the index builder. */
export async function loadRebuildIndex(): Promise<RebuildIndex> {
  const door = new URL("../files/rebuild.ts", import.meta.url).href;
  return (await import(door)).rebuildIndex;
}
