import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { eventually, pause } from "../../tests/helpers/eventually.ts";
import { MemoryStore } from "../../tests/helpers/memory_store.ts";
import { ReplicaGroup, stageFile } from "../../tests/helpers/replica_group.ts";
import {
  assertEqual,
  pair,
  tombstone,
  upload,
} from "../../tests/helpers/replica_changes.ts";

Deno.test("a node that was away catches up and is in sync again", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  await upload(first, "before");
  group.stop(2);
  const alone = await upload(first, "while away");
  assert.deepEqual(alone.holders, [1], "taken out before the answer");
  assert.equal(alone.level, "A");
  const large = await upload(first, new Uint8Array(400_000).fill(3));
  const gone = await upload(first, "deleted");
  await first.replicator.commit(tombstone(gone.entry), { kind: "none" }, "B");
  const back = group.start(second.store);
  await group.insync(1, 2);
  assert(back.store.lookup(large.entry.id));
  await assertEqual(first, back);
});

Deno.test("a new member is filled before it counts", async () => {
  using group = new ReplicaGroup();
  const first = group.add(1);
  await group.insync(1);
  const entries: FileEntry[] = [];
  for (let i = 0; i < 400; i++) {
    entries.push((await upload(first, `file ${i}`)).entry);
  }
  const [victim] = entries;
  assert(victim);
  await first.replicator.commit(tombstone(victim), { kind: "none" }, "B");
  const second = group.add(2);
  await group.insync(1, 2);
  assert.equal(second.store.lookup(victim.id)?.state, "tombstone");
  await assertEqual(first, second);
});

Deno.test("a wiped member comes back under its number and is refilled", async () => {
  using group = new ReplicaGroup();
  const first = group.add(1);
  const old = new MemoryStore(2, 7);
  group.tracker.change({ kind: "add", node: 2, store: old.store });
  const second = group.start(old);
  await group.insync(1, 2);
  for (let i = 0; i < 20; i++) await upload(first, `file ${i}`);
  await upload(second, "in a run of the old database");
  group.stop(2);
  // A new database draws the number of its run at random: also a lower one.
  const empty = new MemoryStore(2, 1);
  await empty.saveRegister(group.tracker.current);
  const back = group.start(empty);
  await eventually(
    () =>
      group.tracker.current.members.find((one) => one.node === 2)?.store ===
        empty.store,
    { what: "the new database in the register" },
  );
  await group.insync(1, 2);
  await assertEqual(first, back);
  const fresh = await upload(back, "in the new run");
  assert.deepEqual(fresh.holders, [1, 2]);
  await assertEqual(first, back);
});

Deno.test("who lacks bytes has them before it is in sync again", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const entries: FileEntry[] = [];
  // More than one round of repairs in the background.
  for (let i = 0; i < 200; i++) {
    entries.push((await upload(first, `file ${i}`)).entry);
  }
  group.stop(2);
  await upload(first, "takes the other out");
  await group.insync(1);
  for (const { id } of entries) second.store.damage(id);
  group.start(second.store);
  await group.insync(1, 2);
  assert.deepEqual(await second.store.damaged(9), []);
  assert.deepEqual(
    (await second.store.read(entries[7] ?? assert.fail())).length,
    6,
  );
});

Deno.test("a wiped only member is no proof that a file never existed", async () => {
  using group = new ReplicaGroup();
  const first = group.add(1);
  await group.insync(1);
  const { entry } = await upload(first, "the only copy");
  group.stop(1);
  const empty = new MemoryStore(1, 1);
  const back = group.start(empty);
  const alarms = () => group.tracker.reports.get(1)?.alarms ?? [];
  await eventually(
    () => alarms().find((text) => text.includes("kedge group force group1 1")),
    { what: "the alarm that says what to do", pauseMs: 10 },
  );
  assert.equal(group.tracker.current.members[0]?.store, first.store.store);
  const { kind } = await back.replicator.fetch(entry.id);
  assert.equal(kind, "unavailable");
  assert.equal(back.replicator.mayWrite().ok, false);

  group.tracker.change({ kind: "force", node: 1, store: empty.store });
  await eventually(() => back.replicator.mayWrite().ok, {
    what: "the operator's word",
    pauseMs: 10,
  });
  assert.equal((await back.replicator.fetch(entry.id)).kind, "absent");
  await eventually(() => alarms().length === 0, { what: "no alarm" });
});

Deno.test("a comparison also gives what the other side lacks", async () => {
  using group = new ReplicaGroup();
  const first = group.add(1);
  await group.insync(1);
  await upload(first, "mine");
  const store = new MemoryStore(2);
  const { change, content } = await stageFile(
    store,
    new Uint8Array(100_000).fill(5),
  );
  await store.adopt([{ entry: { ...change.entry, epoch: 1 }, content }]);
  group.tracker.change({ kind: "add", node: 2, store: store.store });
  const second = group.start(store);
  await group.insync(1, 2);
  assert(first.store.lookup(change.entry.id));
  await assertEqual(first, second);
});

Deno.test("records of earlier runs of the log are sent first", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  group.stop(2);
  await upload(first, "run 1");
  group.stop(1);
  first.store.restart();
  const again = group.start(first.store);
  await group.insync(1);
  await upload(again, "run 2");
  const back = group.start(second.store);
  await group.insync(1, 2);
  await upload(again, "run 2, both");
  await assertEqual(again, back);
  assert.deepEqual(
    back.store.positions().filter((one) => one.origin === 1)
      .map(({ incarnation, sequence }) => `${incarnation}/${sequence}`),
    ["1/1", "2/2"],
  );
});

Deno.test("three nodes hold what is answered at level B", async () => {
  using group = new ReplicaGroup();
  const nodes = [group.add(1), group.add(2), group.add(3)];
  await group.insync(1, 2, 3);
  for (const node of nodes) {
    const done = await upload(node, `from ${node.node}`);
    assert.deepEqual(done.holders, [1, 2, 3]);
  }
  const [first, second, third] = nodes;
  assert(first && second && third);
  await assertEqual(first, second);
  await assertEqual(second, third);
});

Deno.test("without trackers both nodes go on; without a peer too, nothing is answered", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  group.tracker.isDown = true;
  assert.deepEqual((await upload(first, "no tracker")).holders, [1, 2]);
  group.stop(2);
  await assert.rejects(upload(first, "no peer"), { slug: "uncertain" });
  group.tracker.isDown = false;
  assert.deepEqual((await upload(first, "alone")).holders, [1]);
  const back = group.start(second.store);
  await group.insync(1, 2);
  await assertEqual(first, back);
});

Deno.test("links that break under load lose nothing that was answered", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const answered: FileEntry[] = [];
  let isDone = false;
  const writers = [first, second].flatMap((node) =>
    Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; !isDone; i++) {
        try {
          const done = await upload(node, `${node.node} ${writer} ${i}`);
          answered.push(done.entry);
        } catch {
          // Not answered, so nothing was promised.
        }
        // Everything is in memory: without this no timer would ever fire.
        await pause(1);
      }
    })
  );
  for (let i = 0; i < 10; i++) {
    await pause(60);
    group.network.cut(true);
    await pause(i * 4);
    group.network.cut(false);
  }
  isDone = true;
  await Promise.all(writers);
  await group.insync(1, 2);
  assert(answered.length > 100, `only ${answered.length} answered`);
  for (const { id } of answered) {
    assert(first.store.lookup(id), id);
    assert(second.store.lookup(id), id);
  }
  await assertEqual(first, second);
});

Deno.test("a peer whose disk refuses is taken out and comes back", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  second.store.faults.write = new Error("no space left");
  const alone = await upload(first, "full");
  assert.deepEqual(alone.holders, [1]);
  assert.equal(second.store.lookup(alone.entry.id), undefined);
  second.store.faults.write = undefined;
  await group.insync(1, 2);
  await assertEqual(first, second);
});
