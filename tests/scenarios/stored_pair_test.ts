/**
 * Two replicators over TCP with stores on a real disk.
 */

import assert from "node:assert/strict";
import type { GroupReplicator } from "../../node-agent/sync/replicator.ts";
import { DiskNode, inSync } from "../helpers/disk_node.ts";
import { eventually } from "../helpers/eventually.ts";
import { MemoryTracker } from "../helpers/memory_tracker.ts";

function patterned(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

Deno.test("two stores on disk hold the same, whatever the size and level", async () => {
  const dir = await Deno.makeTempDir();
  const tracker = new MemoryTracker();
  try {
    await using first = await DiskNode.open(dir, 1, tracker);
    await using second = await DiskNode.open(dir, 2, tracker);
    await inSync(tracker, first, second);
    for (const level of ["A", "B", "C"] as const) {
      for (const size of [0, 1, 5000, 65_536, 65_537, 3_000_000]) {
        const bytes = patterned(size);
        const { entry, holders } = await first.upload(bytes, level);
        if (level !== "A") assert.deepEqual(holders, [1, 2]);
        await eventually(() => second.store.files.lookup(entry.id), {
          what: `${size} bytes at ${level}`,
          pauseMs: 5,
        });
        assert.deepEqual(await second.read(entry), bytes);
      }
    }
    const many = await Promise.all(
      Array.from(
        { length: 300 },
        (_, i) =>
          (i % 2 ? first : second).upload(patterned(i * 40), i % 3 ? "B" : "C"),
      ),
    );
    for (const { entry } of many) {
      assert.deepEqual(await second.read(entry), await first.read(entry));
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** Not found, by proof: until everybody can be asked, nothing is said. */
async function provenAbsent(
  replicator: GroupReplicator,
  id: string,
): Promise<void> {
  const answers = new Set<string>();
  await eventually(async () => {
    const { kind } = await replicator.fetch(id);
    answers.add(kind);
    return kind === "absent";
  }, { what: `the proof that ${id} is absent`, pauseMs: 50 });
  answers.delete("unavailable");
  assert.deepEqual([...answers], ["absent"]);
}

async function forgotten(...nodes: DiskNode[]): Promise<void> {
  await eventually(
    () => nodes.every(({ store }) => store.log.tombstoneCount() === 0),
    { what: "no tombstone anywhere", pauseMs: 20, deadlineMs: 30_000 },
  );
  const [first, ...others] = await Promise.all(
    nodes.map(({ store }) => store.log.digests()),
  );
  for (const other of others) assert.deepEqual(other, first);
}

Deno.test("deletes on disk are forgotten everywhere, and a restart, a late and a wiped node bring nothing back", async () => {
  const dir = await Deno.makeTempDir();
  const tracker = new MemoryTracker();
  try {
    const first = await DiskNode.open(dir, 1, tracker);
    const second = await DiskNode.open(dir, 2, tracker);
    await inSync(tracker, first, second);
    const kept = await first.upload(patterned(1000), "C");
    const gone = [];
    for (const size of [10, 300, 70_000, 200_000]) {
      gone.push((await first.upload(patterned(size), "C")).entry);
    }
    for (const [i, entry] of gone.slice(1).entries()) {
      await (i % 2 === 0 ? first : second).delete(entry);
    }
    await forgotten(first, second);
    await second[Symbol.asyncDispose]();
    // The other one is away during the last delete: it is remembered.
    const [late] = gone;
    assert(late);
    await first.delete(late);
    await first[Symbol.asyncDispose]();
    await using again = await DiskNode.open(dir, 1, tracker);
    assert.equal(again.store.files.lookup(late.id)?.state, "tombstone");
    await eventually(() => again.replicator.status().tombstones.blocked, {
      what: "a round that is refused",
      pauseMs: 20,
    });
    assert.equal(again.store.log.tombstoneCount(), 1);
    const back = await DiskNode.open(dir, 2, tracker);
    await inSync(tracker, again, back);
    await forgotten(again, back);
    await back[Symbol.asyncDispose]();
    // Its disk is replaced: it is filled from logs that name the deleted files.
    const { epoch } = tracker.current;
    await Deno.remove(`${dir}/2`, { recursive: true });
    await using empty = await DiskNode.open(dir, 2, tracker);
    await eventually(() => tracker.current.epoch > epoch, {
      what: "the new database in the register",
      pauseMs: 20,
    });
    await inSync(tracker, again, empty);
    for (const { store, replicator } of [again, empty]) {
      assert.equal(store.files.fileCount(), 1);
      for (const { id } of gone) {
        assert.equal(store.files.lookup(id), undefined);
        await provenAbsent(replicator, id);
      }
    }
    assert.deepEqual(await empty.read(kept.entry), patterned(1000));
    await forgotten(again, empty);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a node on disk that was away is filled by records, one that is new by comparison", async () => {
  const dir = await Deno.makeTempDir();
  const tracker = new MemoryTracker();
  try {
    await using first = await DiskNode.open(dir, 1, tracker);
    const second = await DiskNode.open(dir, 2, tracker);
    await inSync(tracker, first, second);
    const before = await first.upload(patterned(500_000), "B");
    await second[Symbol.asyncDispose]();
    const sizes = [10, 70_000, 65_536, 1_200_000];
    const alone = [];
    for (const size of sizes) {
      alone.push(await first.upload(patterned(size), "B"));
    }
    await using again = await DiskNode.open(dir, 2, tracker);
    await inSync(tracker, first, again);
    await using third = await DiskNode.open(dir, 3, tracker);
    await inSync(tracker, first, again, third);
    for (const { entry } of [before, ...alone]) {
      const bytes = patterned(entry.sizeBytes);
      assert.deepEqual(await again.read(entry), bytes);
      assert.deepEqual(await third.read(entry), bytes);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
