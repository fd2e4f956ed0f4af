import assert from "node:assert/strict";
import { INLINE_BODY_BYTES_MAX, type Level } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import { eventually, pause } from "../../tests/helpers/eventually.ts";
import { MemoryStore } from "../../tests/helpers/memory_store.ts";
import { ReplicaGroup, stageFile } from "../../tests/helpers/replica_group.ts";
import { TcpTransport } from "../adapters/tcp_transport.ts";
import {
  assertEqual,
  pair,
  tombstone,
  upload,
} from "../../tests/helpers/replica_changes.ts";

/** Change everything by way of a log of which only the end is kept. */
const SHORT_LOG = { logKeepRecords: 3, logLagRecordsMax: 5 };

for (const level of ["B", "C"] as const) {
  Deno.test(`a change at level ${level} is on both nodes when it is answered`, async () => {
    const { group, first, second } = await pair();
    using _ = group;
    const done = await upload(first, "hello", level);
    assert.deepEqual(done.holders, [1, 2]);
    assert.equal(done.level, level);
    assert.deepEqual(second.store.lookup(done.entry.id), done.entry);
    await assertEqual(first, second);
  });
}

Deno.test("a change at level A reaches the other node without being asked", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { entry } = await upload(first, "soon", "A");
  await eventually(() => second.store.lookup(entry.id), { what: "the file" });
});

Deno.test("two nodes replicate over TCP", async () => {
  using group = new ReplicaGroup({ transport: () => new TcpTransport() });
  const first = group.add(1);
  const second = group.add(2);
  await group.insync(1, 2);
  const small = await upload(second, "over the wire", "C");
  const large = await upload(first, new Uint8Array(3_000_000).fill(7));
  assert.deepEqual(small.holders, [1, 2]);
  assert.deepEqual(large.holders, [1, 2]);
  await assertEqual(first, second);
});

Deno.test("a large body is relayed ahead of its record", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const body = new Uint8Array(bytes.length * 20);
  for (let at = 0; at < body.length; at += bytes.length) body.set(bytes, at);
  const relay = first.replicator.openRelay();
  const { change, content } = await stageFile(first.store, body, relay);
  assert.equal(second.store.stagedCount, 1, "the body came first");
  first.store.damage(change.entry.id);
  await first.replicator.commit(change, content, "B");
  assert.equal(second.store.stagedCount, 0, "the record took it");
  assert.deepEqual(await second.store.read(change.entry), body);
});

Deno.test("a member in sync holds the cut up, and is never passed", async () => {
  using group = new ReplicaGroup({ more: SHORT_LOG });
  const first = group.add(1);
  const second = group.add(2);
  await group.insync(1, 2);
  for (let i = 0; i < 10; i++) await upload(first, `file ${i}`);
  const { incarnation } = first.store;
  await eventually(() => {
    assert.deepEqual(first.store.cut(), { incarnation, sequence: 7 });
    return true;
  }, { what: "the cut", pauseMs: 20, deadlineMs: 10_000 });
  await eventually(() => first.replicator.status().log.records === 3, {
    what: "the status to say so",
    pauseMs: 20,
  });
  assert.equal(first.replicator.status().log.waitsFor, null);
  await upload(first, "and on");
  await assertEqual(first, second);
});

Deno.test("a member that comes back to a cut log compares, then follows it", async () => {
  using group = new ReplicaGroup({ more: SHORT_LOG });
  const first = group.add(1);
  const { store } = group.add(2);
  await group.insync(1, 2);
  const gone = await upload(first, "deleted meanwhile");
  group.stop(2);
  const keyed = await stageFile(first.store, Uint8Array.of(1, 2, 3));
  const { change, content } = keyed;
  await first.replicator.commit(change, content, "A", "a-key");
  for (let i = 0; i < 12; i++) await upload(first, `file ${i}`, "A");
  await first.replicator
    .commit(tombstone(gone.entry), { kind: "none" }, "A");
  await group.insync(1);
  await eventually(() => (first.store.cut()?.sequence ?? 0) >= 9, {
    what: "the cut to pass the member that is away",
    pauseMs: 20,
    deadlineMs: 10_000,
  });
  const second = group.start(store);
  await group.insync(1, 2);
  await assertEqual(first, second);
  assert(second.lines.some((line) => line.startsWith("skipped records")));
  assert.equal(second.store.remembered("a-key")?.id, change.entry.id);
  const { holders } = await upload(first, "through the log again", "C");
  assert.deepEqual(holders, [1, 2]);
});

Deno.test("a new member is brought in by a node whose log is cut", async () => {
  using group = new ReplicaGroup({ more: SHORT_LOG });
  const first = group.add(1);
  await group.insync(1);
  for (let i = 0; i < 12; i++) await upload(first, `file ${i}`, "A");
  await eventually(() => first.store.cut()?.sequence === 9, {
    what: "the cut of a group of one",
    pauseMs: 20,
    deadlineMs: 10_000,
  });
  const second = group.add(2);
  await group.insync(1, 2);
  await assertEqual(first, second);
  const { holders } = await upload(first, "through the log", "C");
  assert.deepEqual(holders, [1, 2]);
});

Deno.test("a body is pulled only once it is stored where it was made", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const gate = Promise.withResolvers<void>();
  first.store.faults.delay = () => gate.promise;
  const bytes = new Uint8Array(200_000).fill(9);
  const { change, content } = await stageFile(first.store, bytes);
  const done = first.replicator.commit(change, content, "B");
  await pause(150); // it is sent and asked for meanwhile
  const { id } = change.entry;
  assert.equal(second.store.lookup(id), undefined, "not even as damaged");
  assert.deepEqual(second.store.positions(), []);
  gate.resolve();
  assert.deepEqual((await done).holders.toSorted(), [1, 2]);
  assert.deepEqual(await second.store.read(change.entry), bytes);
});

Deno.test("a large body that was not relayed is pulled", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const body = new Uint8Array(1_500_000).fill(9);
  const { change, content } = await stageFile(first.store, body);
  const done = await first.replicator.commit(change, content, "B");
  assert.deepEqual(done.holders, [1, 2]);
  assert.deepEqual(await second.store.read(change.entry), body);
});

Deno.test("an agent from before longer records asks for their bytes", async () => {
  using group = new ReplicaGroup();
  const first = group.add(1);
  const store = new MemoryStore(2);
  group.tracker.change({ kind: "add", node: 2, store: store.store });
  const recordBytesMax = INLINE_BODY_BYTES_MAX;
  const older = group.start(store, { recordBytesMax });
  await group.insync(1, 2);
  let pulled = 0;
  older.store.faults.stage = () => {
    pulled++;
    return Promise.resolve();
  };
  const send = async (sizeBytes: number) => {
    const bytes = new Uint8Array(sizeBytes).fill(9);
    const { change } = await stageFile(first.store, bytes);
    const content = { kind: "inline", bytes } as const;
    const { holders } = await first.replicator.commit(change, content, "B");
    assert.deepEqual(holders.toSorted(), [1, 2]);
    assert.deepEqual(await older.store.read(change.entry), bytes);
  };
  await send(INLINE_BODY_BYTES_MAX);
  assert.equal(pulled, 0);
  await send(INLINE_BODY_BYTES_MAX + 1);
  assert.equal(pulled, 1);
});

Deno.test("a relay that is given up leaves nothing staged", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const relay = first.replicator.openRelay();
  await relay?.write(new Uint8Array(100_000));
  relay?.abort();
  const { entry } = await upload(first, new Uint8Array(200_000));
  assert.equal(second.store.stagedCount, 0);
  assert.equal((await second.store.read(entry)).length, 200_000);
});

Deno.test("many changes at once are all on both nodes", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const levels: readonly Level[] = ["A", "B", "C"];
  const uploads = Array.from(
    { length: 600 },
    (_, i) => upload(i % 2 ? first : second, `file ${i}`, levels[i % 3]),
  );
  for (const { level, holders } of await Promise.all(uploads)) {
    if (level !== "A") assert.deepEqual(holders, [1, 2]);
  }
  await assertEqual(first, second);
});

Deno.test("an appender that grows fast is the same on both nodes", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  let { entry } = await upload(first, "");
  const done: Promise<unknown>[] = [];
  for (let i = 0; i < 50; i++) {
    const bytes = new TextEncoder().encode(`line ${i}\n`);
    const next: FileEntry = {
      ...entry,
      version: entry.version + 1,
      sizeBytes: entry.sizeBytes + bytes.length,
      sha256: null,
    };
    const body = {
      kind: "range",
      offset: entry.sizeBytes,
      lengthBytes: bytes.length,
      baseEpoch: entry.epoch,
      baseVersion: entry.version,
    } as const;
    const content = { kind: "inline", bytes } as const;
    done.push(first.replicator.commit({ entry: next, body }, content, "B"));
    entry = next;
  }
  await Promise.all(done);
  await assertEqual(first, second);
});

Deno.test("an owner's change of a state that is gone changes nothing", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { entry } = await upload(first, "master", "B");
  const later = { ...entry, version: 3, meta: { by: "the former owner" } };
  const bytes = new TextEncoder().encode("master");
  await first.store.adopt([
    { entry: later, content: { kind: "inline", bytes } },
  ]);
  const change: Change = {
    entry: { ...entry, version: 2, meta: { by: "us" } },
    body: { kind: "none" },
  };
  await assert.rejects(
    first.replicator.commit(change, { kind: "none" }, "B"),
    { slug: "precondition-failed" },
  );
  assert.deepEqual(first.store.lookup(entry.id), later);
  await assertEqual(first, second);
});

Deno.test("an owner's change is not sent before it is stored here", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { entry } = await upload(first, "text", "B");
  const gate = Promise.withResolvers<void>();
  first.store.faults.delay = () => gate.promise;
  const change: Change = {
    entry: { ...entry, version: 2, meta: { colour: "red" } },
    body: { kind: "none" },
  };
  const done = first.replicator.commit(change, { kind: "none" }, "B");
  const another = upload(second, "from the other side", "A");
  await another; // frames have gone both ways meanwhile
  await pause(50);
  assert.equal(second.store.lookup(entry.id)?.version, 1);
  gate.resolve();
  assert.equal((await done).level, "B");
  assert.deepEqual(second.store.lookup(entry.id), change.entry);
});
