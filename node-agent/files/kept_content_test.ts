import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { FileEntry } from "@kedge/schema/change";
import { diskPath, someBytes, TestStore, withDir } from "./store_fixture.ts";

const APPENDED = someBytes(100, 8);

/** A small file, and an appender with bytes at its end; nothing is settled. */
async function upload(store: TestStore): Promise<FileEntry[]> {
  const small = await store.upload(someBytes(5000, 1));
  const appender = await store.upload(someBytes(3000, 2), { appender: true });
  return [small, await store.write(appender, 3000, APPENDED)];
}

async function checkAll(
  store: TestStore,
  [small, appender]: readonly FileEntry[],
): Promise<void> {
  assert(small !== undefined && appender !== undefined);
  assert.deepEqual(await store.read(small), someBytes(5000, 1));
  const grown = new Uint8Array([...someBytes(3000, 2), ...APPENDED]);
  assert.deepEqual(await store.read(appender), grown);
  assert.deepEqual(await store.store.log.damaged(9), []);
}

/** The disk of `M00` is not there any more. */
const pull = (dir: string) => Deno.rename(`${dir}/p0/data`, `${dir}/away`);

/** Open a new, empty disk, and see that everything was written there. */
async function replace(
  dir: string,
  store: TestStore,
  entries: readonly FileEntry[],
): Promise<void> {
  const opened = await store.store.openPath(0);
  assert.deepEqual(opened, { index: 0, refillFiles: 0 });
  await store.store.settle(0);
  await checkAll(store, entries);
  for (const { id } of entries) await Deno.stat(diskPath(dir, id));
}

const LONG = { settleDelayMs: 1e9 };

Deno.test("bytes in the database are kept while the disk of a path is gone", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, LONG);
    const entries = await upload(store);
    await pull(dir);
    await store.store.settle(0);
    const [path] = store.store.files.storePaths();
    assert.equal(path?.state, "fenced");
    assert.match(path?.reason ?? "", /is the disk mounted/);
    await store.store.settle(0);
    await replace(dir, store, entries);
    await store.close();
  }));

Deno.test("an appender that no disk has whole is read from the database", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, LONG);
    const entries = await upload(store);
    await pull(dir);
    await checkAll(store, entries);
    const repair = () => Promise.resolve(false);
    const scrubber = store.store.scrubber({ bytesPerS: 0, repair });
    const found = await scrubber.run(new AbortController().signal);
    assert.equal(found?.damaged, 0);
    await checkAll(store, entries);
    await replace(dir, store, entries);
    await store.close();
  }));

Deno.test("a mark does not end what the database still has", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, LONG);
    const entries = await upload(store);
    await store.close(false);
    const database = new DatabaseSync(`${dir}/data/kedge.db`);
    database.exec("UPDATE paths SET fenced = 'flush: EIO'");
    database.exec("UPDATE files SET damaged = 1");
    database.close();
    const again = await TestStore.open(dir, LONG);
    await pull(dir);
    await replace(dir, again, entries);
    await again.close();
  }));

Deno.test("a file that is taken away before it settles is written once more", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, LONG);
    const entries = await upload(store);
    for (const { id } of entries) await Deno.remove(diskPath(dir, id));
    await store.store.settle(0);
    await store.store.settle(0);
    for (const { id } of entries) await Deno.stat(diskPath(dir, id));
    await checkAll(store, entries);
    await store.close();
  }));

Deno.test("a scrub writes what the database still has", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, LONG);
    const entries = await upload(store);
    for (const { id } of entries) await Deno.remove(diskPath(dir, id));
    const repair = () => Promise.resolve(false);
    const scrubber = store.store.scrubber({ bytesPerS: 0, repair });
    const found = await scrubber.run(new AbortController().signal);
    assert.equal(found?.repaired, 2);
    for (const { id } of entries) await Deno.stat(diskPath(dir, id));
    await checkAll(store, entries);
    await store.close();
  }));

Deno.test("a path that is opened while files settle keeps their bytes", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, LONG);
    const entries: FileEntry[] = [];
    for (let at = 0; at < 40; at++) {
      entries.push(await store.upload(someBytes(1000, at + 1)));
    }
    const settled = store.store.settle(0);
    await pull(dir);
    await store.store.openPath(0);
    await settled;
    await store.store.settle(0);
    for (const [at, entry] of entries.entries()) {
      assert.deepEqual(await store.read(entry), someBytes(1000, at + 1));
    }
    await store.close();
  }));

Deno.test("a folder that is a file closes its path and loses nothing", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, LONG);
    const [entry] = await upload(store);
    assert(entry !== undefined);
    const folder = diskPath(dir, entry.id).replace(/\/[^/]+$/, "");
    await store.store.settle(0);
    await Deno.rename(folder, `${dir}/folder`);
    await Deno.writeTextFile(folder, "a stray file");
    const next = await store.upload(someBytes(500, 3));
    assert.equal(diskPath(dir, next.id).startsWith(folder), true);
    const [path] = store.store.files.storePaths();
    assert.equal(path?.state, "fenced");
    assert.match(path?.reason ?? "", /os error/);
    assert.deepEqual(await store.read(next), someBytes(500, 3));
    await Deno.remove(folder);
    await Deno.rename(`${dir}/folder`, folder);
    await store.store.openPath(0);
    await store.store.settle(0);
    assert.deepEqual(
      await Deno.readFile(diskPath(dir, next.id)),
      someBytes(500, 3),
    );
    assert.deepEqual(await store.store.log.damaged(9), []);
    await store.close();
  }));

Deno.test("nothing is open on a path that is fenced", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir, LONG);
    await upload(store);
    await store.store.settle(1e9);
    const open = () =>
      [...Deno.readDirSync("/proc/self/fd")]
        .map(({ name }) => `/proc/self/fd/${name}`)
        .filter((name) => linkOf(name).startsWith(`${dir}/p0`));
    // Found out by who receives a file, not by the store worker.
    const staging = `${dir}/p0/data/.tmp`;
    await Deno.rename(staging, `${dir}/staging`);
    await Deno.writeTextFile(staging, "");
    await assert.rejects(store.stage(someBytes(1_000_000, 1)));
    const [path] = store.store.files.storePaths();
    assert.equal(path?.state, "fenced");
    await store.store.log.flush(); // behind the fence
    assert.deepEqual(open().map(linkOf), []);
    await store.close(false);
  }));

function linkOf(name: string): string {
  try {
    return Deno.readLinkSync(name);
  } catch {
    return "";
  }
}
