import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { RECORD_BODY_BYTES_MAX } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { quickEntriesOf } from "./quick_log_core.ts";
import { foreignRecord, someBytes, TestStore } from "./store_fixture.ts";

const QUICK = { durable: false };

/** Act in a folder of its own. */
async function inFolder(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-quick-" });
  try {
    await act(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function uploads(store: TestStore, count: number): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  for (let n = 0; n < count; n++) {
    entries.push(await store.upload(someBytes(n * 700, n), QUICK));
  }
  return entries;
}

async function assertHas(
  store: TestStore,
  entries: readonly FileEntry[],
): Promise<void> {
  for (const [n, entry] of entries.entries()) {
    assert.deepEqual(store.store.files.lookup(entry.id), entry);
    const bytes = await store.store.files.read(entry);
    assert(bytes instanceof Uint8Array);
    assert.deepEqual(Uint8Array.from(bytes), someBytes(n * 700, n));
  }
}

Deno.test("what was answered at once survives the process", async () => {
  await inFolder(async (dir) => {
    const first = await TestStore.open(dir);
    const entries = await uploads(first, 5);
    const { incarnation } = first.store.log;
    // As if it were killed: what waits is not stored.
    await first.store.close({ clean: false });
    const left = Deno.readFileSync(`${dir}/data/quick.log`);
    assert.equal([...quickEntriesOf(left)].length, 5, "nothing was at stake");
    const second = await TestStore.open(dir);
    await assertHas(second, entries);
    const { log } = second.store;
    const runs = log.incarnations();
    assert.deepEqual(runs[0], { incarnation, lastSequence: 5 });
    const limit = { records: 10, bytes: 1e6 };
    const records = await log.recordsAfter(incarnation, 0, limit);
    assert.deepEqual(
      records.map(({ change }) => change.entry.id),
      entries.map(({ id }) => id),
    );
    assert.equal(second.store.files.fileCount(), 5);
    await second.store.close({ clean: true });
    const third = await TestStore.open(dir);
    await assertHas(third, entries);
    await third.store.close({ clean: true });
  });
});

Deno.test("the longest body of a record survives the process, too", async () => {
  await inFolder(async (dir) => {
    const first = await TestStore.open(dir);
    const bytes = someBytes(RECORD_BODY_BYTES_MAX, 1);
    const how = { ...QUICK, inRecord: true };
    const { id } = await first.upload(bytes, how);
    await first.store.close({ clean: false });
    const left = Deno.readFileSync(`${dir}/data/quick.log`);
    assert.equal([...quickEntriesOf(left)].length, 1, "nothing was at stake");
    const second = await TestStore.open(dir);
    const entry = second.store.files.lookup(id);
    assert(entry !== undefined);
    const found = await second.store.files.read(entry);
    assert.deepEqual(await new Response(found).bytes(), bytes);
    await second.store.close({ clean: true });
  });
});

Deno.test("what is torn at the end of the quick log is passed over", async () => {
  await inFolder(async (dir) => {
    const first = await TestStore.open(dir);
    const entries = await uploads(first, 4);
    await first.store.close({ clean: false });
    const path = `${dir}/data/quick.log`;
    const bytes = Deno.readFileSync(path);
    const last = bytes.length - 1;
    bytes[last] = (bytes[last] ?? 0) ^ 1; // a byte of the last body
    Deno.writeFileSync(path, bytes);
    const second = await TestStore.open(dir);
    await assertHas(second, entries.slice(0, 3));
    const [, , , torn] = entries;
    assert.equal(second.store.files.lookup(torn?.id ?? ""), undefined);
    await second.store.close({ clean: true });
  });
});

Deno.test("everybody sees what was answered at once", async () => {
  await inFolder(async (dir) => {
    const store = await TestStore.open(dir);
    const { files, log } = store.store;
    const entries = await uploads(store, 4);
    const ids = entries.map(({ id }) => id).toSorted();
    const listed = () => files.list({ limit: 10 }).map(({ id }) => id);
    assert.deepEqual(listed(), ids);
    assert.deepEqual(
      files.list({ limit: 2 }).map(({ id }) => id),
      ids.slice(0, 2),
    );
    const after = { after: ids[1], limit: 10 };
    assert.deepEqual(files.list(after).map(({ id }) => id), ids.slice(2));
    assert.equal(log.head(), 4);
    const before = await log.digests();
    assert(before.some((sum) => sum !== 0), "digests of files");
    await assertHas(store, entries);
    const [entry] = await uploads(store, 1);
    assert(entry !== undefined);
    const all = await log.recordsAfter(log.incarnation, 0, {
      ...{ records: 10, bytes: 1e6 },
    });
    assert.equal(all.length, 5);
    assert.deepEqual(listed(), [...ids, entry.id].toSorted());
    await store.store.close({ clean: true });
  });
});

Deno.test("changes and deletes follow what was answered at once", async () => {
  await inFolder(async (dir) => {
    const first = await TestStore.open(dir);
    const [, second] = await uploads(first, 2);
    assert(second !== undefined);
    const appender = await first.upload(someBytes(100, 1), {
      ...{ appender: true, durable: false },
    });
    const longer = await first.write(appender, 100, someBytes(50, 2), false);
    await first.delete(second);
    const last = await first.upload(someBytes(300, 3), QUICK);
    await first.store.close({ clean: false });
    const again = await TestStore.open(dir);
    const { files } = again.store;
    assert.equal(files.lookup(second.id)?.state, "tombstone");
    assert.deepEqual(files.lookup(longer.id), longer);
    assert.deepEqual(files.lookup(last.id), last);
    assert.equal((await files.read(longer) as Uint8Array).length, 150);
    await again.store.close({ clean: true });
  });
});

Deno.test("what is answered while the store closes is in the database", async () => {
  await inFolder(async (dir) => {
    const first = await TestStore.open(dir);
    const entries = await uploads(first, 3);
    let isClosed = false;
    const closing = first.store.close({ clean: true })
      .then(() => isClosed = true);
    while (!isClosed) {
      const bytes = someBytes(entries.length * 700, entries.length);
      // Told apart from what is answered: what waits for ever.
      const answer = await Promise.race([
        first.upload(bytes, QUICK).catch(() => {}),
        closing.then(() => {}),
      ]);
      if (answer !== undefined) entries.push(answer);
      await new Promise(setImmediate);
    }
    const left = Deno.readFileSync(`${dir}/data/quick.log`);
    assert.equal([...quickEntriesOf(left)].length, 0);
    const second = await TestStore.open(dir);
    await assertHas(second, entries);
    await second.store.close({ clean: true });
  });
});

Deno.test("what a peer was told at once survives the process, each record once", async () => {
  await inFolder(async (dir) => {
    const first = await TestStore.open(dir);
    const dead = foreignRecord(9);
    const records = [1, 2, 3, 4].map((seed) => foreignRecord(seed));
    await first.store.log.apply(
      2,
      5,
      [{ sequence: 1, ...tombstone(dead) }],
      false,
    );
    const made = [...records, dead].map((one, at) => ({
      ...{ sequence: 2 + at, ...one },
    }));
    assert.deepEqual(
      await first.store.log.apply(2, 5, made, false),
      [...records.map(() => "applied"), "known"],
    );
    // It was deleted: no later record of its making brings it back.
    const { id } = dead.change.entry;
    assert.equal(first.store.files.lookup(id)?.state, "tombstone");
    const more = [5, 6].map((seed, at) => ({
      ...{ sequence: 7 + at, ...foreignRecord(seed) },
    }));
    await first.store.log.apply(2, 5, more, false);
    await first.store.close({ clean: false });
    const left = Deno.readFileSync(`${dir}/data/quick.log`);
    assert.equal([...quickEntriesOf(left)].length, 2, "nothing was at stake");
    const second = await TestStore.open(dir);
    const { log, files } = second.store;
    const position = { origin: 2, incarnation: 5, sequence: 8 };
    assert.deepEqual(log.positions(), [position]);
    for (const { change: { entry }, content } of [...made, ...more]) {
      if (entry.id === id) continue;
      const bytes = await files.read(entry);
      assert.deepEqual({ ...content, bytes }, content);
    }
    assert.equal(files.fileCount(), 6);
    const [next] = [{ sequence: 9, ...foreignRecord(7) }];
    assert.deepEqual(await log.apply(2, 5, [next], false), ["applied"]);
    await second.store.close({ clean: true });
  });
});

function tombstone({ change }: ReturnType<typeof foreignRecord>) {
  const entry: FileEntry = { ...change.entry, state: "tombstone", version: 2 };
  return {
    change: { entry, body: { kind: "none" } },
    content: { kind: "none" },
  } as const;
}

Deno.test("a start as another node leaves our records ours", async () => {
  await inFolder(async (dir) => {
    const first = await TestStore.open(dir);
    const entries = await uploads(first, 2);
    const { incarnation } = first.store.log;
    await first.store.close({ clean: false });
    await assert.rejects(TestStore.open(dir, { node: 2 }), {
      slug: "invalid-request",
    });
    const second = await TestStore.open(dir);
    await assertHas(second, entries);
    const limit = { records: 10, bytes: 1e6 };
    const records = await second.store.log.recordsAfter(incarnation, 0, limit);
    assert.equal(records.length, 2);
    assert.deepEqual(second.store.log.positions(), []);
    await second.store.close({ clean: true });
  });
});

Deno.test("a new database takes nothing from another one's quick log", async () => {
  await inFolder(async (dir) => {
    const first = await TestStore.open(dir);
    const entry = await first.upload(someBytes(500, 1), QUICK);
    await first.store.close({ clean: false });
    const left = Deno.readFileSync(`${dir}/data/quick.log`);
    assert.equal([...quickEntriesOf(left)].length, 1);
    for (const end of ["", "-wal", "-shm"]) {
      await Deno.remove(`${dir}/data/kedge.db${end}`).catch(() => {});
    }
    const again = await TestStore.open(dir, { node: 2 });
    assert.equal(again.store.files.lookup(entry.id), undefined);
    assert.deepEqual(again.store.log.positions(), []);
    await again.store.close({ clean: true });
  });
});
