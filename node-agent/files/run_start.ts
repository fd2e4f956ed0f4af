/**
 * What happens to a database before the first batch: whose it is, which run of
 * the log this is, what a crash left behind.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { removeSync } from "./disk.ts";
import type { Finisher } from "./finisher.ts";
import type { Layout } from "./layout.ts";
import type { WriteStatements } from "./statements.ts";
import type { PathState, WorkerOptions } from "./worker_messages.ts";

/** A run of the log. */
export interface RunStart {
  /** Identity of the database. */
  readonly store: string;
  /** A new one unless the last run was ended cleanly (promises F7). */
  readonly incarnation: number;
  /** Digests that a clean end saved. */
  readonly digests: string | undefined;
}

/**
 * Begin a run; durable when it returns.
 *
 * @throws {Problem} `invalid-request` when the database is another node's.
 */
export function beginRun(
  statements: WriteStatements,
  options: WorkerOptions,
): RunStart {
  const { node, group, newStore, newIncarnation } = options;
  const get = (key: string) => statements.state.get({ key })?.value;
  const put = (key: string, value: string | number) =>
    statements.putState.run({ key, value: String(value) });
  statements.begin();
  const store = get("store");
  if (store === undefined) {
    put("store", newStore);
    put("node", node);
    put("group", group);
  } else {
    const owner = `node ${get("node")} of ${get("group")}`;
    if (owner !== `node ${node} of ${group}`) {
      throw new Problem(
        "invalid-request",
        `This database belongs to ${owner}, not to node ${node} of ${group}`,
      );
    }
  }
  const last = Number(get("incarnation"));
  const next = get("clean") === "1" ? last : last + 1;
  const incarnation = store === undefined ? newIncarnation : next;
  const digests = get("digests");
  put("incarnation", incarnation);
  put("clean", 0);
  statements.dropState.run({ key: "digests" });
  statements.commit();
  return { store: store ?? newStore, incarnation, digests };
}

/** Staging files that no record names are of nobody. */
export function sweepStaging(
  layout: Layout,
  paths: readonly PathState[],
  finisher: Finisher,
): void {
  paths.forEach(({ state }, index) => {
    if (state !== "writable") return;
    const needed = finisher.tokens(index);
    for (const { name } of Deno.readDirSync(layout.staging(index))) {
      if (!needed.has(name)) removeSync(layout.staged(index, name));
    }
  });
}
