/** The two heavy doors of the agent, loaded only when they are used. */

/** Load the agent. */
export async function loadRunAgent(): Promise<
  typeof import("../agent.ts").runAgent
> {
  return (await import("../agent.ts")).runAgent;
}

/** Load the index builder. */
export async function loadRebuildIndex(): Promise<
  typeof import("../files/rebuild.ts").rebuildIndex
> {
  return (await import("../files/rebuild.ts")).rebuildIndex;
}
