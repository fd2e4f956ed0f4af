import assert from "node:assert/strict";
import { Problem } from "@kedge/schema";
import { eventually, pause } from "../../tests/helpers/eventually.ts";
import { stageFile } from "../../tests/helpers/replica_group.ts";
import {
  pair,
  tombstone,
  upload,
} from "../../tests/helpers/replica_changes.ts";

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
  const now = first.replicator.mayRead();
  // It holds for as long as the lease does, without any further word.
  assert(now.ok && now.confirm === undefined && (now.forMs ?? 0) > 0);
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

Deno.test("a member whose log failed leaves the set although no append fails", async () => {
  const { group, first } = await pair();
  using _ = group;
  await upload(first, "answered before it was in the database", "A");
  first.replicator.logFailed("the database cannot be written");
  await group.insync(2);
  assert.match(first.replicator.status().readOnly ?? "", /cannot be written/);
  await assert.rejects(upload(first, "nothing more", "A"), {
    slug: "read-only",
  });
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
  // Nobody else may take over from the only member in sync.
  assert.deepEqual(first.replicator.mayRead(), { ok: true, forMs: Infinity });
});
