/**
 * Forgets old records of a simulated agent's log from time to time, with the
 * real decision and sizes small enough to hurt.
 *
 * @module
 */

import { decideCut } from "../../node-agent/sync/log_cut_core.ts";
import type { SimAgent } from "./sim_agent.ts";

/** Pause between two looks, in ms. */
const CUT_MS = 400;

/** Forget what may go, again and again in this life of the agent. */
export function cutFromTimeToTime(agent: SimAgent): void {
  const { rng, config } = agent.world;
  if (config.keepRecords === undefined) return;
  agent.after(rng.faults.range(0.5, 1.5) * CUT_MS, () => {
    cutNow(agent, config.keepRecords ?? Infinity);
    cutFromTimeToTime(agent);
  });
}

function cutNow(agent: SimAgent, keepRecords: number): void {
  const { core, store, node, links, disk, world } = agent;
  const { register } = core;
  if (register === undefined) return;
  const members = register.members.filter((member) => member.node !== node)
    .map((member) => ({
      node: member.node,
      isInSync: register.insync.includes(member.node),
      flushed: links.flushedBy(member.node, member.store),
    }));
  const { upTo, waitsFor } = decideCut({
    runs: store.runs(),
    cut: store.cut,
    members,
    keepRecords,
    lagRecordsMax: world.config.lagRecordsMax,
  });
  if (waitsFor !== undefined) world.mark("a member holds up the cut");
  if (upTo === undefined) return;
  world.mark("log cut");
  disk.write(false, {
    store: () => {
      store.cutLog(upTo);
      // Nor from memory: what is forgotten is sent to nobody.
      const stored = store.log.get(store.incarnation) ?? [];
      agent.log.splice(0, stored.length, ...stored);
      agent.note(`cuts its log at ${upTo.incarnation}/${upTo.sequence}`);
      return {};
    },
    written: () => links.pumpAll(),
  });
}
