import assert from "node:assert/strict";
import {
  newEntry,
  someBytes,
  TestStore,
} from "../../node-agent/files/store_fixture.ts";
import { MemoryStore } from "../helpers/memory_store.ts";
import { changeLogContract } from "./change_log_contract.ts";

changeLogContract("files/", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-contract-" });
  const { store } = await TestStore.open(dir);
  return {
    files: store.files,
    log: store.log,
    async [Symbol.asyncDispose]() {
      await store.close({ clean: true });
      await Deno.remove(dir, { recursive: true });
    },
  };
});

changeLogContract("memory", () => {
  const store = new MemoryStore(1);
  return Promise.resolve({
    files: store,
    log: store,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});

async function withStore(
  act: (store: TestStore, dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-contract-" });
  const store = await TestStore.open(dir);
  try {
    await act(store, dir);
  } finally {
    await store.close();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("hostile peers: other bytes than announced are refused", () =>
  withStore(async (store) => {
    const { log, files } = store.store;
    const staged = await store.stage(someBytes(10));
    const id = files.newId({ staged, extension: "", appender: false });
    const entry = newEntry(id, staged);
    const wrong = [
      { entry, bytes: someBytes(10, 2) },
      { entry, bytes: someBytes(11) },
      { entry: { ...entry, sha256: "0".repeat(64) }, bytes: someBytes(10) },
      { entry: { ...entry, sizeBytes: 11 }, bytes: someBytes(11) },
      { entry: { ...entry, origin: 9 }, bytes: someBytes(10) },
      {
        entry: { ...entry, id: id.replace("group1", "group2") },
        bytes: someBytes(10),
      },
      {
        entry: { ...entry, id: "group1/M00/../../../etc/passwd" },
        bytes: someBytes(10),
      },
    ];
    for (const { entry, bytes } of wrong) {
      const change = { entry, body: { kind: "whole" } } as const;
      const content = { kind: "inline", bytes } as const;
      await assert.rejects(
        log.apply(2, 1, [{ sequence: 1, change, content }], true),
        { name: "Problem" },
      );
      await assert.rejects(log.adopt([{ entry, content }], true), {
        name: "Problem",
      });
    }
    assert.equal(files.fileCount(), 0);
    assert.deepEqual(log.positions(), []);
  }));

Deno.test("files of a store path that this node lacks find a place", () =>
  withStore(async (store, dir) => {
    const staged = await store.stage(someBytes(10));
    const made = store.store.files
      .newId({ staged, extension: "", appender: false });
    const id = made.replace("/M00/", "/M05/");
    const entry = newEntry(id, staged);
    const content = { kind: "inline", bytes: someBytes(10) } as const;
    await store.store.log.adopt([{ entry, content }], true);
    assert.deepEqual(await store.read(entry), someBytes(10));
    const path = `${dir}/p0/data/M05/${id.split("/").slice(2).join("/")}`;
    assert.equal((await Deno.stat(path)).size, 10);
    const parts = await store.store.log.digests();
    const bucket = parts.findIndex((digest) => digest !== 0);
    assert.deepEqual(await store.store.log.bucket(bucket), [entry]);
  }));

Deno.test("tombstones that everybody has are forgotten, others stay", () =>
  withStore(async (store) => {
    const { log, files } = store.store;
    const [a, b] = [
      await store.upload(someBytes(1)),
      await store.upload(someBytes(2)),
    ];
    await store.delete(a); // record 3
    await store.delete(b); // record 4
    assert.equal(await log.collectTombstones(3), 1);
    assert.equal(files.lookup(a.id), undefined);
    assert.equal(files.lookup(b.id)?.state, "tombstone");
    assert.equal(await log.collectTombstones(3), 0);
    assert.equal(await log.collectTombstones(4), 1);
    assert.deepEqual([...new Set(await log.digests())], [0]);
  }));

Deno.test("many writers at once: every record once, in order", () =>
  withStore(async (store) => {
    const { log, files } = store.store;
    const entries = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const staged = await store.stage(someBytes(200 + index, index), false);
        const id = files.newId({ staged, extension: "x", appender: false });
        return { entry: newEntry(id, staged), staged };
      }),
    );
    await Promise.all(entries.map(({ entry, staged }, index) =>
      log.append(
        {
          sequence: index + 1,
          change: { entry, body: { kind: "whole" } },
          content: { kind: "staged", staged },
        },
        index % 3 === 0,
      )
    ));
    assert.equal(new Set(entries.map(({ entry }) => entry.id)).size, 300);
    assert.equal(log.head(), 300);
    assert.equal(files.fileCount(), 300);
    const listed = files.list({ limit: 1000 }).map(({ id }) => id);
    assert.deepEqual(listed, entries.map(({ entry }) => entry.id).toSorted());
    const [after = "", next] = listed;
    assert.equal(files.list({ limit: 1, after })[0]?.id, next);
    assert.equal(files.list({ limit: 9, prefix: "group2" }).length, 0);
  }));
