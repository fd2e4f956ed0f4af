/**
 * The store of an agent: opened with its settings, and packing small files as
 * the group wants.
 *
 * @module
 */

import type { GroupSettings } from "@kedge/schema";
import type { AgentConfig } from "@kedge/schema/config/agent";
import { systemClock } from "./adapters/clock.ts";

import { openStore, type Store } from "./files/store.ts";
import type { Admission } from "./join.ts";
import type { Log } from "./ports.ts";

/** What is needed besides the configuration. */
export interface AgentStoreNeeds {
  readonly admission: Admission;
  /** What operators chose for the group, as last heard. */
  readonly settings: GroupSettings | undefined;
  readonly log: Log;
  readonly onFailed: (why: string) => void;
}

/** An open store that learns what the group wants of it. */
export interface AgentStore extends Store {
  /** A tracker told the settings: a change takes effect at once. */
  follow(settings: GroupSettings): void;
}

/**
 * Open the store. See `openStore` for what is thrown.
 *
 * Where the group says nothing of `smallFileMax`, the agent's own setting counts.
 */
export async function openAgentStore(
  config: AgentConfig,
  { admission, settings, log, onFailed }: AgentStoreNeeds,
): Promise<AgentStore> {
  let present = settings?.smallFileMax ?? config.smallFileMax;
  const store = await openStore({
    dataDir: config.dataDir,
    storePaths: config.storePaths,
    node: admission.identity.node,
    group: admission.identity.group,
    subdirCount: config.subdirCountPerPath,
    distributeMode: config.distributeMode,
    rotateCount: config.distributeRotateCount,
    checkDuplicates: config.checkDuplicates,
    smallFileMax: present,
    fsyncAfterBytes: config.fsyncAfterBytes,
    reserve: config.reserve,
    isShared: config.downloads?.nginxDir !== undefined,
    newStore: admission.newStore,
    clock: systemClock,
    log,
    onFailed,
  });
  // Who starts an agent looks at its log first.
  for (const alarm of store.files.alarms()) log.warn(alarm, {});
  return {
    ...store,
    follow({ smallFileMax = config.smallFileMax }) {
      if (smallFileMax === present) return;
      present = smallFileMax;
      log.info("the group packs small files differently", { smallFileMax });
      // A store that cannot be told is closed, and has said so.
      store.pack(smallFileMax).catch(() => {});
    },
  };
}
