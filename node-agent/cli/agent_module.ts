/** The two heavy doors of the agent, loaded only when they are used. */

import type { AgentConfig } from "@kedge/schema/config/agent";
import type { Log } from "../ports.ts";

/** What an agent says when it is ready to serve. */
export interface AgentReady {
  /** Its number. */
  readonly node: number;
  /** Its group. */
  readonly group: string;
  /** Base URL of its HTTP door. */
  readonly url: string;
}

/** `runAgent()` of `node-agent/agent.ts`. */
export type RunAgent = (
  config: AgentConfig,
  options: {
    readonly log: Log;
    readonly signal: AbortSignal;
    readonly onReady: (ready: AgentReady) => void;
  },
) => Promise<void>;

/** `rebuildIndex()` of `node-agent/files`. */
export type RebuildIndex = (
  config: AgentConfig,
  say: (line: string) => void,
) => Promise<{ readonly files: number }>;

/** Load the agent. */
export async function loadRunAgent(): Promise<RunAgent> {
  const door = new URL("../agent.ts", import.meta.url).href;
  return (await import(door)).runAgent;
}

/** Load the index builder. */
export async function loadRebuildIndex(): Promise<RebuildIndex> {
  const door = new URL("../files/rebuild.ts", import.meta.url).href;
  return (await import(door)).rebuildIndex;
}
