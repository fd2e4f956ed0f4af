import assert from "node:assert/strict";
import { rebuildIndex } from "./rebuild.ts";
import { diskPath, someBytes, TestStore } from "./store_fixture.ts";

const IDENTITY = { node: 1, group: "group1" };

Deno.test("rebuildIndex() finds every file again and trusts none that is wrong", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    let store = await TestStore.open(dir);
    const small = await store.upload(someBytes(100, 1));
    const large = await store.upload(someBytes(2_500_000, 2));
    const bad = await store.upload(someBytes(3000, 3));
    const gone = await store.upload(someBytes(10, 4));
    let grown = await store.upload(someBytes(10, 5), { appender: true });
    grown = await store.write(grown, 10, someBytes(20, 6));
    await store.delete(gone);
    const before = store.store.log;
    await store.close();
    await Deno.writeFile(diskPath(dir, bad.id), someBytes(3000, 9));
    await Deno.writeTextFile(`${dir}/p0/data/00/00/README`, "not ours");
    await Deno.writeTextFile(`${dir}/data/quick.log`, "not stored yet");

    const lines: string[] = [];
    const options = {
      dataDir: `${dir}/data`,
      storePaths: [`${dir}/p0`],
      identity: IDENTITY,
    };
    const report = await rebuildIndex(options, (line) => lines.push(line));
    assert.deepEqual(report, { files: 4, damaged: 1, strange: 1 });
    assert(lines.length > 0);
    const aside = `${dir}/data/kedge.db.old-1`;
    assert((await Deno.stat(aside)).isFile);
    const records = await Deno.readTextFile(`${aside}-quick.log`);
    assert.equal(records, "not stored yet");

    store = await TestStore.open(dir);
    const { files, log } = store.store;
    assert.notEqual(log.store, before.store);
    assert.notEqual(log.incarnation, before.incarnation);
    assert.equal(files.fileCount(), 4);
    assert.deepEqual(await store.read(small), someBytes(100, 1));
    assert.deepEqual((await log.damaged(10)).map(({ id }) => id), [bad.id]);
    const found = files.lookup(large.id);
    assert.equal(found?.epoch, 0);
    assert.equal(found.sha256, large.sha256);
    assert.deepEqual(await store.read(found), someBytes(2_500_000, 2));
    const appender = files.lookup(grown.id);
    assert.equal(appender?.sizeBytes, 30);
    assert.equal(appender.appender, true);
    // A member's state with the same bytes needs no bytes.
    const none = { kind: "none" } as const;
    const entry = { ...large, name: "a.bin" };
    assert.deepEqual(await log.adopt([{ entry, content: none }], true), [
      "applied",
    ]);
    assert.deepEqual(await store.read(entry), someBytes(2_500_000, 2));
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("rebuildIndex() refuses a running agent and a missing disk", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    const store = await TestStore.open(dir);
    const options = {
      dataDir: `${dir}/data`,
      storePaths: [`${dir}/p0`],
      identity: IDENTITY,
    };
    await assert.rejects(rebuildIndex(options, () => {}), {
      slug: "already-exists",
    });
    await store.close();
    await assert.rejects(
      rebuildIndex({ ...options, storePaths: [`${dir}/p1`] }, () => {}),
      { slug: "invalid-request" },
    );
    assert((await Deno.stat(`${dir}/data/kedge.db`)).isFile);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("rebuildIndex() takes no metadata of FastDFS for a file", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    const store = await TestStore.open(dir);
    const file = await store.upload(someBytes(100, 1));
    await store.close();
    await Deno.writeTextFile(`${diskPath(dir, file.id)}-m`, "a\x02b");
    await Deno.writeTextFile(`${dir}/p0/data/.data_init_flag`, "");
    const options = {
      dataDir: `${dir}/data`,
      storePaths: [`${dir}/p0`],
      identity: IDENTITY,
    };
    const report = await rebuildIndex(options, () => {});
    assert.deepEqual(report, { files: 1, damaged: 0, strange: 1 });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
