import assert from "node:assert/strict";
import { type Level, type NodeId, Problem } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import { eventually, pause } from "../../tests/helpers/eventually.ts";
import { MemoryStore } from "../../tests/helpers/memory_store.ts";
import {
  ReplicaGroup,
  stageFile,
  type TestNode,
} from "../../tests/helpers/replica_group.ts";
import { TcpTransport } from "../adapters/tcp_transport.ts";

/** Upload some bytes through a node; returns the entry that was answered. */
async function upload(
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

function tombstone(entry: FileEntry): Change {
  const { version } = entry;
  return {
    entry: { ...entry, state: "tombstone", version: version + 1 },
    body: { kind: "none" },
  };
}

/** Both nodes have the same files, and the bytes of all of them. */
async function assertEqual(a: TestNode, b: TestNode): Promise<void> {
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

async function pair(): Promise<{
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

/** Change everything by way of a log of which only the end is kept. */
const SHORT_LOG = { logKeepRecords: 3, logLagRecordsMax: 5 };

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

Deno.test("commit() answers uncertain when our own log fails", async () => {
  const { group, first } = await pair();
  using _ = group;
  first.store.faults.write = new Error("I/O error");
  await assert.rejects(upload(first, "lost"), { slug: "uncertain" });
  assert.equal(first.replicator.mayWrite().ok, false);
  await assert.rejects(upload(first, "next"), { slug: "read-only" });
});

Deno.test("commit() is refused while an operator wants read-only", async () => {
  const { group, first } = await pair();
  using _ = group;
  group.tracker.modes.set(1, "read-only");
  await eventually(() => !first.replicator.mayWrite().ok, { what: "the mode" });
  await assert.rejects(upload(first, "no"), { slug: "read-only" });
});

Deno.test("stop() answers what waits with uncertain", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  second.store.faults.delay = () => new Promise(() => {});
  const waiting = assert.rejects(upload(first, "waits"), { slug: "uncertain" });
  await eventually(() => first.store.head() === 1, { what: "the record" });
  await first.replicator.stop();
  await waiting;
});

Deno.test("fetch() keeps a good copy when ours is damaged", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { entry } = await upload(first, new Uint8Array(300_000).fill(4));
  second.store.damage(entry.id);
  const outcome = await second.replicator.fetch(entry.id);
  assert.deepEqual(outcome, { kind: "kept", entry });
  assert.equal((await second.store.read(entry)).length, 300_000);
});

Deno.test("fetch() names the peer when no copy can be kept here", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { entry } = await upload(first, "good there, no place here");
  second.store.damage(entry.id);
  const { faults } = second.store;
  const full = new Problem("insufficient-storage", "full");
  const stage = () => Promise.reject(full);
  for (const fault of [{ path: "full" as const }, { stage }]) {
    Object.assign(faults, { path: undefined, stage: undefined }, fault);
    const outcome = await second.replicator.fetch(entry.id);
    assert(outcome.kind === "elsewhere", outcome.kind);
    assert.equal(outcome.node, 1);
    assert.deepEqual(outcome.entry, entry);
  }
});

Deno.test("fetch() tells no good copy from nobody to be asked", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { entry } = await upload(first, "bad on both");
  first.store.damage(entry.id);
  second.store.damage(entry.id);
  const kindOf = async () => (await second.replicator.fetch(entry.id)).kind;
  assert.equal(await kindOf(), "damaged");
  group.stop(1);
  assert.equal(await kindOf(), "unavailable");
});

Deno.test("fetch() says absent only when every member said never", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { change } = await stageFile(first.store, Uint8Array.of(1));
  const { id } = change.entry;
  assert.deepEqual(await first.replicator.fetch(id), { kind: "absent" });
  await second.replicator.stop();
  const outcome = await first.replicator.fetch(id);
  assert.equal(outcome.kind, "unavailable");
});

Deno.test("fetch() learns of a delete and keeps the tombstone", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { change } = await stageFile(first.store, Uint8Array.of(1));
  const dead = tombstone(change.entry);
  await first.store.adopt([{ entry: dead.entry, content: { kind: "none" } }]);
  const outcome = await second.replicator.fetch(change.entry.id);
  assert.deepEqual(outcome, { kind: "tombstone" });
  assert.equal(second.store.lookup(change.entry.id)?.state, "tombstone");
});

Deno.test("mayRead() wants confirmation from a node that is not in sync", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { entry } = await upload(first, "still there");
  assert.deepEqual(first.replicator.mayRead(), { ok: true });
  group.stop(2);
  const gone = await upload(first, "deleted meanwhile");
  await eventually(() => group.tracker.current.insync.join() === "1", {
    what: "the shrink",
  });
  const back = group.start(second.store, { settings: { regrowDelayMs: 1e6 } });
  await second.store.saveRegister(group.tracker.current);
  await first.replicator.commit(tombstone(gone.entry), { kind: "none" }, "B");
  await eventually(() => {
    const may = back.replicator.mayRead();
    return may.ok && may.confirm;
  }, { what: "the wish for confirmation" });
  const kept = await back.replicator.fetch(entry.id, "confirm");
  assert.deepEqual(kept, { kind: "kept", entry });
  const dead = await back.replicator.fetch(gone.entry.id, "confirm");
  assert.deepEqual(dead, { kind: "tombstone" });
});

Deno.test("status() tells peers, lag and role", async () => {
  const { group, first } = await pair();
  using _ = group;
  await upload(first, "one");
  const status = await eventually(() => {
    const status = first.replicator.status();
    return status.peers[0]?.lagChanges === 0 ? status : undefined;
  }, { what: "no lag" });
  assert.equal(status.role, "in-sync");
  assert.equal(status.readOnly, null);
  assert.deepEqual(status.insync, [1, 2]);
  const [peer] = status.peers;
  assert.equal(peer?.linked, true);
  assert.equal(peer?.required, true);
});

Deno.test("a member whose disk is gone leaves the set, and stays out", async () => {
  const { group, first, second } = await pair();
  using _ = group;
  const { entry } = await upload(first, "on both disks");
  second.store.faults.path = "missing";
  await group.insync(1); // although nobody writes
  const { epoch } = group.tracker.current;
  await pause(600); // several times as long as coming back takes
  assert.deepEqual(group.tracker.current.insync, [1]);
  assert.equal(group.tracker.current.epoch, epoch);
  // Its index knows no delete for sure, so each read is asked about.
  assert.deepEqual(second.replicator.mayRead(), { ok: true, confirm: true });

  group.stop(2);
  const again = group.start(second.store);
  await eventually(
    () => again.lines.some((line) => line.startsWith("linked")),
    { what: "the link", pauseMs: 10 },
  );
  await pause(300);
  assert.deepEqual(group.tracker.current.insync, [1]);
  second.store.faults.path = "writable";
  await group.insync(1, 2);
  assert.deepEqual(again.store.lookup(entry.id), entry);
});

Deno.test("the last good member keeps the set although its disk is gone", async () => {
  const { group, first } = await pair();
  using _ = group;
  await upload(first, "on both disks");
  group.stop(2);
  first.store.faults.path = "missing";
  await upload(first, "shrinks the other out", "A");
  await group.insync(1);
  await pause(1500);
  assert.deepEqual(group.tracker.current.insync, [1]);
  assert.deepEqual(first.replicator.mayRead(), { ok: true });
});
