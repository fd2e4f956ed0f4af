import assert from "node:assert/strict";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import type { Staged } from "../ports.ts";
import { isGood } from "./content_check.ts";
import {
  diskPath,
  factsOf,
  newEntry,
  someBytes,
  TestStore,
  withDir,
} from "./store_fixture.ts";

const LARGE = someBytes(1_500_000, 1);
const SMALL = someBytes(900, 2);

function idOf(bytes: Uint8Array): string {
  const name = encodeFileName({
    ...factsOf(bytes),
    origin: "10.0.0.1",
    createdS: 1_795_300_000,
    appender: false,
    random: 1,
    digits: 1,
    extension: "",
  });
  return encodeFileId({ group: "group1", pathIndex: 0, high: 0, low: 0 }, name);
}

/** As FastDFS leaves a store path. */
async function fastdfsPath(dir: string): Promise<void> {
  await Deno.mkdir(`${dir}/p0/data/00/00`, { recursive: true });
  await Deno.writeTextFile(`${dir}/p0/data/.data_init_flag`, "");
  for (const bytes of [LARGE, SMALL]) {
    await Deno.writeFile(diskPath(dir, idOf(bytes)), bytes);
  }
}

async function log(store: TestStore, bytes: Uint8Array, staged: Staged) {
  const entry = newEntry(idOf(bytes), staged);
  const change = { entry, body: { kind: "whole" } } as const;
  await store.log(change, { kind: "staged", staged });
  return entry;
}

const tokens = (dir: string) => [...Deno.readDirSync(`${dir}/p0/data/.tmp`)];

Deno.test("neither a symbolic link nor a pipe is given a name in the store", () =>
  withDir(async (dir) => {
    await Deno.writeFile(`${dir}/secret`, LARGE);
    await Deno.symlink(`${dir}/secret`, `${dir}/link`);
    const made = await new Deno.Command("mkfifo", { args: [`${dir}/pipe`] })
      .output();
    assert(made.success);
    const store = await TestStore.open(dir);
    for (const name of ["link", "pipe"]) {
      const linked = store.store.linker.link(`${dir}/${name}`, 0);
      await assert.rejects(linked, /no regular file/);
    }
    assert.deepEqual(tokens(dir), []);
    await store.close();
  }));

Deno.test("a linked file shares its bytes, and stays when the other name goes", () =>
  withDir(async (dir) => {
    const other = `${dir}/other`;
    await Deno.writeFile(other, LARGE);
    const store = await TestStore.open(dir);
    const staged = await store.store.linker.link(other, 0);
    assert.deepEqual({ ...factsOf(LARGE) }, {
      sizeBytes: staged.sizeBytes,
      crc32: staged.crc32,
      sha256: staged.sha256,
    });
    const entry = await log(store, LARGE, staged);
    const path = diskPath(dir, entry.id);
    assert.equal(Deno.statSync(path).ino, Deno.statSync(other).ino);
    await Deno.remove(other);
    assert.deepEqual(await store.read(entry), LARGE);
    assert.deepEqual(tokens(dir), []);
    await store.close();
  }));

Deno.test("a link that is given up leaves the file alone", () =>
  withDir(async (dir) => {
    const other = `${dir}/other`;
    await Deno.writeFile(other, LARGE);
    const store = await TestStore.open(dir);
    const staged = await store.store.linker.link(other, 0);
    await store.store.files.discard(staged);
    assert.deepEqual(tokens(dir), []);
    assert.equal(Deno.statSync(other).nlink, 1);
    await assert.rejects(
      store.store.linker.link(`${dir}/none`, 0),
      Deno.errors.NotFound,
    );
    await store.close();
  }));

Deno.test("files of FastDFS are taken in where they lie", () =>
  withDir(async (dir) => {
    await fastdfsPath(dir);
    let store = await TestStore.open(dir);
    const [path] = store.store.files.storePaths();
    assert.equal(path?.state, "missing");
    assert.match(path.reason ?? "", /kedge import fastdfs --in-place/);
    await assert.rejects(store.store.openPath(0), /no marker but files/);
    await assert.rejects(store.store.linker.link("/etc/hosts", 0), /M00/);
    await store.store.linker.takeOver(0);
    const large = diskPath(dir, idOf(LARGE));
    const small = diskPath(dir, idOf(SMALL));
    const inodes = () => [large, small].map((name) => Deno.statSync(name).ino);
    const before = inodes();
    const linked = await store.store.linker.link(large, 0);
    const entries = [
      await log(store, LARGE, linked),
      await log(store, SMALL, await store.stage(SMALL)),
    ];
    assert.deepEqual(inodes(), before, "nothing was written");
    assert.deepEqual(tokens(dir), []);
    await store.store.settle(0);
    await store.close();
    store = await TestStore.open(dir);
    for (const [at, bytes] of [LARGE, SMALL].entries()) {
      const entry = entries[at];
      assert(entry !== undefined);
      assert.deepEqual(await store.read(entry), bytes);
      await store.delete(entry);
    }
    assert.throws(() => Deno.statSync(large), Deno.errors.NotFound);
    assert.throws(() => Deno.statSync(small), Deno.errors.NotFound);
    await store.close();
  }));

Deno.test("a crash in the middle of taking in loses no file", () =>
  withDir(async (dir) => {
    await fastdfsPath(dir);
    let store = await TestStore.open(dir);
    await store.store.linker.takeOver(0);
    const large = diskPath(dir, idOf(LARGE));
    // Stopped before the record: the second name goes, the file stays.
    await store.store.linker.link(large, 0);
    await store.close(false);
    store = await TestStore.open(dir);
    assert.deepEqual(tokens(dir), []);
    assert.equal(Deno.statSync(large).nlink, 1);
    // Stopped after it, before anything was settled.
    const entry = await log(
      store,
      LARGE,
      await store.store.linker.link(large, 0),
    );
    await store.close(false);
    store = await TestStore.open(dir);
    const row = { ...factsOf(LARGE), blockCrcs: null };
    assert(isGood(large, row));
    assert.deepEqual(await store.read(entry), LARGE);
    await store.close();
  }));

Deno.test("nginx gets no leave for a path with files that are not ours", () =>
  withDir(async (dir) => {
    await fastdfsPath(dir);
    let store = await TestStore.open(dir);
    await store.store.linker.takeOver(0);
    assert.equal(store.store.files.storePaths()[0]?.state, "writable");
    assert.equal(store.store.shared.takesChanges(0), false);
    await store.close(false);
    store = await TestStore.open(dir);
    assert.equal(store.store.shared.takesChanges(0), false);
    await store.store.linker.takeOver(0);
    assert.equal(store.store.shared.takesChanges(0), false);
    await store.store.linker.allTaken(0);
    assert.equal(store.store.shared.takesChanges(0), true);
    await store.close(false);
    store = await TestStore.open(dir);
    assert.equal(store.store.shared.takesChanges(0), true);
    await store.store.linker.takeOver(0);
    assert.equal(store.store.shared.takesChanges(0), false, "another run");
    await store.close();
  }));

Deno.test("only what FastDFS left is taken over", () =>
  withDir(async (dir) => {
    await Deno.mkdir(`${dir}/p0/data`, { recursive: true });
    await Deno.writeTextFile(`${dir}/p0/data/letters`, "mine");
    const store = await TestStore.open(dir);
    const { linker } = store.store;
    await assert.rejects(linker.takeOver(0), /does not hold the data/);
    await assert.rejects(linker.takeOver(7), /no store path M07/);
    await store.close();
  }));

Deno.test("links under our own names lead nobody out of a path that is taken over", () =>
  withDir(async (dir) => {
    await fastdfsPath(dir);
    const data = `${dir}/p0/data`;
    await Deno.mkdir(`${dir}/elsewhere`);
    const precious = `${dir}/elsewhere/precious`;
    await Deno.writeTextFile(precious, "mine");
    let store = await TestStore.open(dir);
    for (const name of [".tmp", ".segments", ".kedge-path.new"]) {
      const path = `${data}/${name}`;
      const isFolder = !name.endsWith(".new");
      await Deno.symlink(isFolder ? `${dir}/elsewhere` : precious, path);
      await assert.rejects(store.store.linker.takeOver(0), {
        slug: "invalid-request",
        message: /remove it/,
      }, name);
      await Deno.remove(path);
    }
    await Deno.mkdir(`${data}/.tmp`);
    for (const name of [".trial", "write-1"]) {
      await Deno.symlink(precious, `${data}/.tmp/${name}`);
    }
    await store.store.linker.takeOver(0);
    await log(store, SMALL, await store.stage(SMALL));
    await store.close();
    store = await TestStore.open(dir);
    assert.equal(await Deno.readTextFile(precious), "mine");
    await store.close();
  }));
