import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { eventually } from "../../tests/helpers/eventually.ts";
import { MemoryStore } from "../../tests/helpers/memory_store.ts";
import {
  ReplicaGroup,
  stageFile,
  type TestNode,
} from "../../tests/helpers/replica_group.ts";

const TEXT = new TextEncoder();

function group(ageMs = 100): ReplicaGroup {
  return new ReplicaGroup({ more: { tombstoneAgeMs: ageMs } });
}

async function upload(at: TestNode, text: string): Promise<FileEntry> {
  const { change, content } = await stageFile(at.store, TEXT.encode(text));
  await at.replicator.commit(change, content, "B");
  return change.entry;
}

async function remove(at: TestNode, entry: FileEntry): Promise<void> {
  const version = entry.version + 1;
  const epoch = at.store.register()?.epoch ?? 0;
  const dead: FileEntry = { ...entry, state: "tombstone", epoch, version };
  const change = { entry: dead, body: { kind: "none" } } as const;
  await at.replicator.commit(change, { kind: "none" }, "C");
}

async function allForgotten(...nodes: TestNode[]): Promise<void> {
  await eventually(
    () => nodes.every(({ store }) => store.tombstoneCount() === 0),
    { what: "no tombstone anywhere", pauseMs: 10, deadlineMs: 15_000 },
  );
  const [first, ...others] = await Promise.all(
    nodes.map(({ store }) => store.digests()),
  );
  for (const other of others) assert.deepEqual(other, first);
}

Deno.test("tombstones go everywhere once everybody has them; absence is proven", async () => {
  using members = group();
  const nodes = [members.add(1), members.add(2), members.add(3)];
  const [first, second, third] = nodes;
  assert(first && second && third);
  await members.insync(1, 2, 3);
  const kept = await upload(first, "kept");
  const gone = [
    await upload(first, "deleted where it was made"),
    await upload(first, "deleted at another node"),
    await upload(second, "and one more"),
  ];
  await Promise.all(
    gone.map((entry, i) => remove([first, second, third][i] ?? first, entry)),
  );
  await allForgotten(...nodes);
  for (const { store, replicator } of nodes) {
    assert.deepEqual(store.lookup(kept.id), kept);
    for (const { id } of gone) {
      assert.equal(store.lookup(id), undefined);
      const answers = new Set<string>();
      await eventually(async () => {
        const { kind } = await replicator.fetch(id);
        answers.add(kind);
        return kind === "absent";
      }, { what: "the proof that it is absent" });
      answers.delete("unavailable");
      assert.deepEqual([...answers], ["absent"]);
    }
    await eventually(() => replicator.status().tombstones.lastMs !== null, {
      what: "the time of the last collection",
    });
    const { count, forgotten } = replicator.status().tombstones;
    assert.deepEqual({ count, forgotten }, { count: 0, forgotten: 3 });
  }
});

Deno.test("a member that was away during a delete holds its tombstone", async () => {
  using members = group();
  const first = members.add(1);
  const second = members.add(2);
  const third = members.add(3);
  await members.insync(1, 2, 3);
  const entry = await upload(first, "text");
  await eventually(() => third.store.lookup(entry.id), {
    what: "it at node 3",
  });
  members.stop(3);
  await remove(second, entry);
  await members.insync(1, 2);
  for (const { replicator } of [first, second]) {
    await eventually(
      () => replicator.status().tombstones.blocked?.includes("in sync"),
      { what: "a round that is refused", pauseMs: 10 },
    );
  }
  assert.equal(first.store.lookup(entry.id)?.state, "tombstone");
  assert.equal(second.store.lookup(entry.id)?.state, "tombstone");
  assert.equal(third.store.lookup(entry.id)?.state, "present");
  const back = members.start(third.store);
  await members.insync(1, 2, 3);
  await allForgotten(first, second, back);
  assert.equal(back.store.lookup(entry.id), undefined);
});

Deno.test("a wiped member does not bring a forgotten file back", async () => {
  using members = group();
  const first = members.add(1);
  const second = members.add(2);
  await members.insync(1, 2);
  const entry = await upload(first, "made at node 1");
  await remove(second, entry); // the delete is in another log
  await allForgotten(first, second);
  members.stop(2);
  const kept = await upload(first, "made alone");
  const empty = new MemoryStore(2, 99);
  await empty.saveRegister(members.tracker.current);
  const back = members.start(empty);
  await eventually(
    () =>
      members.tracker.current.members.some(({ store }) =>
        store === empty.store
      ),
    { what: "the new database in the register" },
  );
  await members.insync(1, 2);
  assert.deepEqual(back.store.lookup(kept.id), kept);
  for (const { store } of [first, back]) {
    assert.equal(store.lookup(entry.id), undefined);
  }
  await allForgotten(first, back);
});

Deno.test("nothing is forgotten before its age, or while no tracker answers", async () => {
  using members = group(60_000);
  const first = members.add(1);
  await members.insync(1);
  const entry = await upload(first, "text");
  await remove(first, entry);
  await eventually(() => first.replicator.status().tombstones.count === 1, {
    what: "the tombstone in the status",
  });
  assert.equal(first.replicator.status().tombstones.lastMs, null);

  using hasty = group();
  const second = hasty.add(2);
  await hasty.insync(2);
  hasty.tracker.isDown = true;
  await eventually(() => second.replicator.status().trackerFailure !== "", {
    what: "a tracker that is missed",
  });
  await remove(second, await upload(second, "text"));
  await eventually(
    () => second.replicator.status().tombstones.blocked?.includes("tracker"),
    { what: "a round that is refused", pauseMs: 10 },
  );
  assert.equal(second.store.tombstoneCount(), 1);
  hasty.tracker.isDown = false;
  await allForgotten(second);
});
