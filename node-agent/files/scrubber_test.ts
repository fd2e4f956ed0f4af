import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import {
  diskPath,
  newEntry,
  someBytes,
  TestStore,
  withDir,
} from "./store_fixture.ts";

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

Deno.test("what a disk has not taken yet is not damaged: its bytes are kept", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, { settleDelayMs: 1e9 });
    const { files, log } = store.store;
    // The first one lies in a journal: the path is fenced after it.
    const sizes = [150_000, 5000, 300_000];
    const staged = await Promise.all(
      sizes.map((size) => store.stage(someBytes(size, size), true, true)),
    );
    const entries = staged.map((one) => {
      const how = { staged: one, extension: "", appender: false };
      return newEntry(files.newId(how), one);
    });
    const marker = `${dir}/p0/data/.kedge-path`;
    await Deno.rename(marker, `${dir}/marker`);
    for (const [at, entry] of entries.entries()) {
      const one = staged[at];
      assert(one !== undefined);
      const change = { entry, body: { kind: "whole" } } as const;
      await store.log(change, { kind: "staged", staged: one });
    }
    await Deno.rename(`${dir}/marker`, marker);
    assert.equal(files.storePaths()[0]?.state, "fenced");
    const opened: string[] = [];
    const { openSync } = Deno;
    using _spy = {
      [Symbol.dispose]: () => void (Deno.openSync = openSync),
    };
    Deno.openSync = (path, how) => {
      opened.push(String(path));
      return openSync(path, how);
    };
    const readAll = async () => {
      for (const entry of entries) {
        const bytes = await store.read(entry);
        assert.deepEqual(bytes, someBytes(entry.sizeBytes, entry.sizeBytes));
      }
      await log.flush();
      assert.deepEqual(await log.damaged(10), []);
    };
    await readAll();
    const journals = opened.filter((path) => path.includes("/bodies-"));
    assert.deepEqual(journals, [], "a journal was read in the event loop");
    const repair = () => Promise.resolve(false);
    const scrubber = store.store.scrubber({ bytesPerS: 0, repair });
    const found = await scrubber.run(new AbortController().signal);
    assert.equal(found?.damaged, 0);
    await readAll();
    await store.store.openPath(0);
    await store.store.settle(0);
    for (const entry of entries) await Deno.stat(diskPath(dir, entry.id));
    await readAll();
    await store.close();
  }));
