import assert from "node:assert/strict";
import { ReplicaGroup, stageFile } from "../../tests/helpers/replica_group.ts";

Deno.test("a change at level B is on both nodes when it is answered", async () => {
  using group = new ReplicaGroup();
  const first = group.add(1);
  const second = group.add(2);
  await group.insync(1, 2);
  const bytes = new TextEncoder().encode("hello");
  const { change, content } = await stageFile(first.store, bytes);
  const done = await first.replicator.commit(change, content, "B");
  assert.deepEqual(done, { level: "B", holders: [1, 2] });
  const entry = second.store.lookup(change.entry.id);
  assert.deepEqual(entry, change.entry);
  assert.deepEqual(await second.store.read(change.entry), bytes);
});
