/** What `kedge start` does for an agent that has not joined yet. */

import { z } from "zod";
import { messageOf } from "../errors.ts";
import { type Layout, writeWhole } from "./layout.ts";
import type { Operator } from "./operator.ts";
import type { PlannedAgent } from "./plan_core.ts";
import { tokenFile } from "./programs.ts";

/** What is read of `agent.json`; `identity` is missing until the join. */
const IdentityFile = z.object({
  identity: z.object({ node: z.int() }).optional(),
});

/** A token is used again while it is younger than this, in milliseconds. */
const TOKEN_AGE_MS_MAX = 50 * 60_000;

/**
 * The number that the tracker gave to an agent.
 *
 * @returns `undefined` until it has joined.
 * @throws {Error} When its file cannot be read; it names the file.
 */
export async function identityOf(
  layout: Layout,
  { index }: PlannedAgent,
): Promise<number | undefined> {
  const path = `${layout.node(index)}/agent.json`;
  try {
    const text = await Deno.readTextFile(path);
    return IdentityFile.parse(JSON.parse(text)).identity?.node;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new Error(
      `${path} is damaged: bring it back, or move it away and start again; the node keeps its number and its files (${
        messageOf(error).split("\n")[0]
      })`,
    );
  }
}

/**
 * Lay a join token where the agent looks for it.
 *
 * A token that is there already is used again: an agent that died after the
 * tracker had admitted it repeats the same join, and must not become a second
 * node.
 */
export async function provideToken(
  layout: Layout,
  agent: PlannedAgent,
  operator: Operator,
): Promise<void> {
  const path = tokenFile(layout, agent);
  const ageMs = await Deno.stat(path).then(
    ({ mtime }) => Date.now() - (mtime?.getTime() ?? 0),
    () => Infinity,
  );
  if (ageMs < TOKEN_AGE_MS_MAX) return;
  await writeWhole(path, await operator.joinToken(agent.group) + "\n", 0o600);
}

/** The agent has joined: its token is of no more use. */
export async function removeToken(
  layout: Layout,
  agent: PlannedAgent,
): Promise<void> {
  await Deno.remove(tokenFile(layout, agent)).catch(() => {});
}
