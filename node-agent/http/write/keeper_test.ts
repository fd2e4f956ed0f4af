import assert from "node:assert/strict";
import { KEPT_VERSION_MIN, NOBODY } from "@kedge/schema";
import type { FileEntry, FileMeta } from "@kedge/schema/change";
import { compareEntries } from "@kedge/schema/change";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import { crc32 } from "node:zlib";
import { FakeDoor } from "../../../tests/helpers/fake_door.ts";
import type { FakeGroupOptions } from "../../../tests/helpers/fake_replicator.ts";

const PLACE = { group: "group1", pathIndex: 0, high: 1, low: 2 };

function idOf(bytes: Uint8Array, appender = false, origin: string | number) {
  const name = encodeFileName({
    origin,
    createdS: 1_795_300_000,
    sizeBytes: bytes.length,
    crc32: crc32(bytes),
    appender,
    random: 5,
    digits: 7,
    extension: "txt",
  });
  return encodeFileId(PLACE, name);
}

async function keep(
  door: FakeDoor,
  id: string,
  text: string,
  meta: FileMeta = {},
) {
  const body = new TextEncoder().encode(text);
  const { keeper } = door.app;
  const staged = await keeper.stage({ body, sizeBytes: body.length }, 0);
  return await keeper.keep({ id, staged, meta });
}

/** The same two files at a member, whichever it is. */
async function member(
  text: string,
  meta: FileMeta,
  options: FakeGroupOptions = {},
): Promise<FileEntry> {
  const door = new FakeDoor(options);
  const id = idOf(new TextEncoder().encode("appended"), true, "10.0.0.1");
  assert.equal(await keep(door, id, text, meta), "added");
  const entry = door.files.lookup(id);
  assert(entry !== undefined);
  return entry;
}

Deno.test("a file is the same whichever member takes it in", async () => {
  const one = await member("abc", { a: "1" });
  const two = await member("abc", { a: "1" }, {
    node: 2,
    members: [1, 2],
    insync: [1, 2],
  });
  assert.deepEqual({ ...one, epoch: 0 }, { ...two, epoch: 0 });
  assert.equal(one.origin, NOBODY);
});

Deno.test("two contents of one file never have one order", async () => {
  const entries = await Promise.all([
    member("abc", {}),
    member("abd", {}),
    member("abc", { a: "1" }),
    member("abc", { a: "2" }),
  ]);
  for (const [at, a] of entries.entries()) {
    for (const b of entries.slice(at + 1)) {
      assert.notEqual(
        compareEntries({ ...a, epoch: 1 }, { ...b, epoch: 1 }),
        0,
      );
    }
  }
});

Deno.test("what has the number of a node is told from an upload", async () => {
  const door = new FakeDoor();
  const id = idOf(new TextEncoder().encode("plain"), false, 100_001);
  assert.equal(await keep(door, id, "plain"), "added");
  const entry = door.files.lookup(id);
  assert(entry !== undefined);
  assert.equal(entry.origin, 100_001);
  assert(entry.version >= KEPT_VERSION_MIN);
  assert.equal(await keep(door, id, "plain"), "known");
  assert.equal(await keep(door, id, "plain", { a: "1" }), "replaced");
  assert.equal(await keep(door, id, "plain", { a: "2" }), "replaced");
  assert.equal(await keep(door, id, "plain", { a: "2" }), "known");
  await door.app.operations.setMeta(id, { a: "3" }, "overwrite");
  assert.equal(await keep(door, id, "plain", { a: "4" }), "changed-here");
  await door.app.operations.remove(id);
  assert.equal(await keep(door, id, "plain"), "deleted");
});

Deno.test("only the owner takes a later state, at level B at least", async () => {
  const door = new FakeDoor({ node: 2, members: [1, 2], insync: [1, 2] });
  door.replicator.groupSettings = {
    ...door.replicator.groupSettings,
    level: "A",
  };
  const id = idOf(new Uint8Array(), true, "10.0.0.1");
  assert.equal(await keep(door, id, "first"), "added");
  assert.equal(door.replicator.committed.at(-1)?.level, "B");
  assert.equal(await keep(door, id, "second"), "not-owner");
  door.replicator.current = { ...door.replicator.current, insync: [2] };
  assert.equal(await keep(door, id, "second"), "replaced");
  const plain = idOf(new TextEncoder().encode("x"), false, "10.0.0.1");
  assert.equal(await keep(door, plain, "x"), "added");
  assert.equal(door.replicator.committed.at(-1)?.level, "A");
});

Deno.test("a file of another group or without an ID is refused", async () => {
  const door = new FakeDoor();
  const id = idOf(new Uint8Array(), false, "10.0.0.1");
  for (const wrong of [id.replace("group1", "group2"), "group1/x", "../x"]) {
    await assert.rejects(keep(door, wrong, ""), /Not a file ID of this group/);
  }
  assert.equal(door.files.stored.size, 0);
});

Deno.test("the time of an import is no time of a change", async () => {
  const door = new FakeDoor();
  Object.assign(door.files, { changedS: () => Promise.resolve(1_800_000_000) });
  const id = idOf(new TextEncoder().encode("appended"), true, "10.0.0.1");
  await keep(door, id, "abc");
  const { operations } = door.app;
  const changedS = async () =>
    await operations.changedS(await operations.find(id));
  assert.equal(await changedS(), 1_795_300_000);
  const body = new TextEncoder().encode("more");
  await operations.write(id, { body, sizeBytes: body.length });
  assert.equal(await changedS(), 1_800_000_000);
});
