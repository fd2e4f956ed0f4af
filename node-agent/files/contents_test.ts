import assert from "node:assert/strict";
import { MIB } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { someBytes, TestStore } from "./store_fixture.ts";

const CHANGED = { slug: "unavailable", message: /changed while it was read/ };
const PART = { from: 2 * MIB, lengthBytes: 1000 };

/** An appender of some MiB in a store of its own. */
async function withAppender(
  sizeBytes: number,
  act: (
    store: TestStore,
    entry: FileEntry,
    bytes: Uint8Array<ArrayBuffer>,
  ) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-contents-" });
  const store = await TestStore.open(dir);
  try {
    const bytes = someBytes(sizeBytes);
    await act(store, await store.upload(bytes, { appender: true }), bytes);
  } finally {
    await store.close();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("parts of a file that changed in between are not put together", async () => {
  await withAppender(3 * MIB + 5, async (store, entry) => {
    const next = await store.write(entry, PART.from, someBytes(500, 2));
    await assert.rejects(store.read(entry, PART), CHANGED);
    await assert.rejects(store.read(entry), CHANGED);
    assert.equal((await store.read(next, PART)).length, 1000);
    await store.write(next, next.sizeBytes, someBytes(10, 3));
    await assert.rejects(store.read(entry, PART), CHANGED);
  });
});

Deno.test("what was appended or said of a file meanwhile changes no part", async () => {
  await withAppender(3 * MIB, async (store, entry, bytes) => {
    const version = entry.version + 1;
    const named = { ...entry, meta: { a: "b" }, version };
    await store.log({ entry: named, body: { kind: "none" } });
    const part = bytes.subarray(PART.from, PART.from + PART.lengthBytes);
    assert.deepEqual(await store.read(entry, PART), part);
    const next = await store.write(named, entry.sizeBytes, someBytes(10, 3));
    assert.deepEqual(await store.read(entry, PART), part);
    const whole = await store.read(entry);
    assert.equal(whole.length, bytes.length);
    assert(bytes.every((byte, at) => whole[at] === byte));
    await store.write(next, 0, someBytes(10, 4));
    await assert.rejects(store.read(entry, PART), CHANGED);
  });
});
