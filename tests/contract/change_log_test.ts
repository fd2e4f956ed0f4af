import assert from "node:assert/strict";
import { KEPT_VERSION_MIN, NOBODY } from "@kedge/schema";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
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
    settle: () => store.settle(0),
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
    settle: () => Promise.resolve(),
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

Deno.test("a tombstone stays while its file lies on the disk", () =>
  withStore(async (store) => {
    const { log, files } = store.store;
    const entry = await store.upload(someBytes(1));
    await store.delete(entry);
    assert.equal(await log.collectTombstones(log.tombstoneMark()), 0);
    assert.equal(files.lookup(entry.id)?.state, "tombstone");
    await store.store.settle(0);
    assert.equal(await log.collectTombstones(log.tombstoneMark()), 1);
  }));

Deno.test("the tombstone of a file that an import may bring again stays", () =>
  withStore(async (store) => {
    const { log, files } = store.store;
    const numbered = await store.upload(someBytes(1));
    const name = encodeFileName({
      ...{ origin: "10.0.0.1", createdS: 1_795_300_000, appender: false },
      ...{ sizeBytes: 1, crc32: numbered.crc32 },
      ...{ random: 5, digits: 7, extension: "" },
    });
    const place = { group: "group1", pathIndex: 0, high: 1, low: 2 };
    const id = encodeFileId(place, name);
    const foreign = { ...numbered, id, origin: NOBODY };
    const content = { kind: "inline", bytes: someBytes(1) } as const;
    await log.adopt([{ entry: foreign, content }], true);
    await store.delete({ ...numbered, version: KEPT_VERSION_MIN });
    await store.delete(foreign);
    await store.store.settle(0);
    assert.equal(await log.collectTombstones(log.tombstoneMark()), 0);
    for (const { id } of [numbered, foreign]) {
      assert.equal(files.lookup(id)?.state, "tombstone");
    }
  }));

Deno.test("a name is not used again once its tombstone is forgotten", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-contract-" });
  let nowS = 1_790_000_000;
  const clock = { monotonicMs: () => 0, wallMs: () => nowS * 1000 };
  const open = () => TestStore.open(dir, { clock, random: () => 0 });
  const used = new Set<string>();
  try {
    for (let run = 0; run < 3; run++) {
      const store = await open();
      const { log } = store.store;
      for (let i = 0; i < 2; i++) {
        const file = await store.upload(someBytes(5));
        assert(!used.has(file.id), `${file.id} was used`);
        used.add(file.id);
        await store.delete(file);
        await store.store.settle(0);
        await log.collectTombstones(log.tombstoneMark());
        assert.equal(store.store.files.lookup(file.id), undefined);
        nowS -= 100; // the clock is set back
      }
      await store.close();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

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
