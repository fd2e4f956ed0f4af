/**
 * How doors other than HTTP delete a file.
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import type { AgentHttpDeps } from "../deps.ts";
import { nextEntry } from "./edits.ts";

/** Nothing but the state changes. */
const NO_BYTES = { kind: "none" } as const;

/**
 * Commit a tombstone; the caller holds the file's lock. Durable everywhere: a
 * power cut must not bring the file back (F4).
 */
export async function bury(
  deps: AgentHttpDeps,
  entry: FileEntry,
): Promise<void> {
  const dead = {
    state: "tombstone",
    name: null,
    type: null,
    meta: {},
  } as const;
  const next = nextEntry(deps, entry, dead);
  await deps.replicator.commit({ entry: next, body: NO_BYTES }, NO_BYTES, "C");
}
