/**
 * Groups and changes for the tests of the replicator.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Level, type NodeId } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import { eventually } from "./eventually.ts";
import { ReplicaGroup, stageFile, type TestNode } from "./replica_group.ts";

/** Upload bytes through a node. */
export async function upload(
  at: TestNode,
  text: string | Uint8Array,
  level: Level = "B",
): Promise<{ entry: FileEntry; holders: readonly NodeId[]; level: Level }> {
  const bytes = typeof text === "string"
    ? new TextEncoder().encode(text)
    : text;
  const relay = at.replicator.openRelay();
  const { change, content } = await stageFile(at.store, bytes, relay);
  const done = await at.replicator.commit(change, content, level);
  const holders = done.holders.toSorted((a, b) => a - b);
  return { entry: change.entry, level: done.level, holders };
}

/** The delete of a file. */
export function tombstone(entry: FileEntry): Change {
  const { version } = entry;
  return {
    entry: { ...entry, state: "tombstone", version: version + 1 },
    body: { kind: "none" },
  };
}

/** Both nodes hold the same files. */
export async function assertEqual(a: TestNode, b: TestNode): Promise<void> {
  const sorted = (node: TestNode) =>
    node.store.list().toSorted((x, y) => x.id < y.id ? -1 : 1);
  await eventually(() => {
    assert.deepEqual(sorted(a), sorted(b));
    return true;
  }, { what: "equal stores", pauseMs: 10 });
  for (const entry of sorted(a)) {
    if (entry.state === "tombstone") continue;
    assert.deepEqual(await b.store.read(entry), await a.store.read(entry));
  }
}

/** Two nodes in sync. */
export async function pair(): Promise<{
  group: ReplicaGroup;
  first: TestNode;
  second: TestNode;
}> {
  const group = new ReplicaGroup();
  const first = group.add(1);
  const second = group.add(2);
  await group.insync(1, 2);
  return { group, first, second };
}
