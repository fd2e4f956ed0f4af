/**
 * The composition root of a node agent: the one place that knows which
 * implementation stands behind which port, and in which order they live.
 *
 * ```text
 * identity ─▶ (join) ─▶ store ─▶ replicator ─▶ HTTP door ─▶ ready
 *                                                  … signal …
 * HTTP door closes ─▶ replicator stops ─▶ store closes cleanly
 * ```
 *
 * @module
 */

import type { AgentConfig } from "@kedge/schema/config/agent";
import { ReplyCache } from "./adapters/reply_cache.ts";
import { RunMarker } from "./adapters/run_marker.ts";
import { exists } from "./files/disk.ts";
import { admit } from "./join.ts";
import { type AgentSurroundings, Life } from "./agent_life.ts";
import { openAgentStore } from "./agent_store.ts";

export type { AgentReady, AgentSurroundings } from "./agent_life.ts";

/**
 * Run an agent until `signal` is aborted.
 *
 * @param config Complete settings.
 * @param surroundings Log, stop signal, and who wants to know.
 * @throws {Error} With the cause and the next step, when it cannot start.
 */
export async function runAgent(
  config: AgentConfig,
  surroundings: AgentSurroundings,
): Promise<void> {
  while (!surroundings.signal.aborted) {
    const restart = await runOnce(config, surroundings);
    if (restart === undefined) return;
    surroundings.log.warn("starting the agent again", { why: restart });
  }
}

/** One life: from the identity to the end. Returns why to live again, if so. */
async function runOnce(
  config: AgentConfig,
  surroundings: AgentSurroundings,
): Promise<string | undefined> {
  const { log, signal } = surroundings;
  const admission = await admit(config);
  const marker = new RunMarker(config.dataDir);
  const isNew = !exists(`${config.dataDir}/kedge.db`);
  const cache = new ReplyCache(config.dataDir);
  const heard = admission.firstReply ?? await cache.load();
  let tellGroup = (_why: string) => {};
  const store = await openAgentStore(config, {
    admission,
    settings: heard?.settings,
    log,
    onFailed: (why) => {
      log.warn("the change log can no longer be written", { why });
      marker.failed().catch(() => {});
      tellGroup(why);
    },
  });
  const parts = { admission, store, marker, cache };
  const life = new Life(config, surroundings, parts);
  tellGroup = (why) => life.logFailed(why);
  try {
    await life.begin(await marker.begin(isNew));
    const restart = await life.untilEnd(signal);
    await life.end();
    await store.close({ clean: restart === undefined });
    if (restart === undefined) await marker.endCleanly();
    return restart;
  } catch (error) {
    await life.end();
    await store.close({ clean: false });
    throw error;
  }
}
