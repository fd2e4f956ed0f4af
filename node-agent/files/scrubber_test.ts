import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { diskPath, someBytes, TestStore } from "./store_fixture.ts";

Deno.test("a scrub finds every bad copy, repairs what it can, deletes nothing", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    const store = await TestStore.open(dir);
    const { log, files } = store.store;
    const entries: FileEntry[] = [];
    for (let index = 0; index < 6; index++) {
      const size = index % 2 === 0 ? 5000 : 1_500_000;
      entries.push(await store.upload(someBytes(size, index)));
    }
    await store.delete(await store.upload(someBytes(7)));
    await store.store.settle(0);
    const [, flipped, missing, hopeless] = entries;
    assert(flipped && missing && hopeless);
    const bytes = someBytes(1_500_000, 1);
    bytes[1_400_000] = (bytes[1_400_000] ?? 0) ^ 4;
    await Deno.writeFile(diskPath(dir, flipped.id), bytes);
    await Deno.remove(diskPath(dir, missing.id));
    await Deno.truncate(diskPath(dir, hopeless.id), 9);
    const asked: string[] = [];
    const repair = async (id: string) => {
      asked.push(id);
      if (id === hopeless.id) return false;
      const index = entries.findIndex((entry) => entry.id === id);
      const entry = entries[index];
      if (entry === undefined) return false;
      const content = {
        kind: "inline",
        bytes: someBytes(entry.sizeBytes, index),
      } as const;
      await log.adopt([{ entry, content }], true);
      return true;
    };
    const scrubber = store.store.scrubber({ bytesPerS: 0, repair });
    assert.equal(scrubber.progress(), null);
    const found = await scrubber.run(new AbortController().signal);
    const total = 3 * 5000 + 3 * 1_500_000;
    assert.equal(found?.totalBytes, total);
    assert.equal(found.repaired, 2);
    assert.equal(found.damaged, 1);
    assert.deepEqual(
      asked.toSorted(),
      [flipped.id, missing.id, hopeless.id].toSorted(),
    );
    for (const [index, entry] of entries.entries()) {
      if (entry === hopeless) {
        await assert.rejects(store.read(entry), { slug: "damaged" });
        assert.deepEqual(files.lookup(entry.id), entry);
        assert.equal((await Deno.stat(diskPath(dir, entry.id))).size, 9);
      } else {
        const wanted = someBytes(entry.sizeBytes, index);
        assert.deepEqual(await store.read(entry), wanted);
      }
    }
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a scrub that was stopped goes on where it was", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    let store = await TestStore.open(dir);
    for (let index = 0; index < 5; index++) {
      await store.upload(someBytes(1000, index));
    }
    await store.store.settle(0);
    const ids = store.store.files.list({ limit: 9 }).map(({ id }) => id);
    for (const id of ids) await Deno.remove(diskPath(dir, id));
    const stop = new AbortController();
    const asked: string[] = [];
    const repair = (id: string) => {
      asked.push(id);
      if (asked.length === 2) stop.abort();
      return Promise.resolve(false);
    };
    let scrubber = store.store.scrubber({ bytesPerS: 0, repair });
    assert.equal(await scrubber.run(stop.signal), null);
    await store.close();
    store = await TestStore.open(dir);
    scrubber = store.store.scrubber({ bytesPerS: 0, repair });
    const found = await scrubber.run(new AbortController().signal);
    assert.equal(found?.damaged, 5 + 1); // the one at the stop is read again
    assert.deepEqual([...new Set(asked)], ids);
    assert.equal(asked.length, 6);
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a scrub takes back a mark over bytes that are right", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    const store = await TestStore.open(dir);
    const { log } = store.store;
    const bytes = someBytes(300_000);
    const entry = await store.upload(bytes);
    await store.store.settle(0);
    const path = diskPath(dir, entry.id);
    await Deno.rename(path, `${path}.away`);
    await assert.rejects(store.read(entry), { slug: "damaged" });
    await log.flush(); // the mark is stored on its own
    assert.equal((await log.damaged(10)).length, 1);
    await Deno.rename(`${path}.away`, path);
    const repair = () => Promise.resolve(false); // nobody else has it
    const scrubber = store.store.scrubber({ bytesPerS: 0, repair });
    const found = await scrubber.run(new AbortController().signal);
    assert.equal(found?.repaired, 1);
    assert.equal(found.damaged, 0);
    assert.deepEqual(await store.read(entry), bytes);
    assert.deepEqual(store.store.files.alarms(), []);
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
