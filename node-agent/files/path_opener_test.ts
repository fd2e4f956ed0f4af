import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { FileEntry } from "@kedge/schema/change";
import { parseFileId } from "@kedge/schema/file-id";
import { diskPath, someBytes, TestStore } from "./store_fixture.ts";

interface Rig {
  readonly dir: string;
  open(): Promise<TestStore>;
}

async function withRig(act: (rig: Rig) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  const storePaths = [`${dir}/p0`, `${dir}/p1`];
  try {
    await act({ dir, open: () => TestStore.open(dir, { storePaths }) });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function uploads(store: TestStore, count: number): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  for (let at = 0; at < count; at++) {
    entries.push(await store.upload(bytesOf(at)));
  }
  return entries;
}

/** Every fourth is large. */
function bytesOf(at: number): Uint8Array<ArrayBuffer> {
  return someBytes(at % 4 === 3 ? 70_000 : 1000, at + 1);
}

const homeOf = ({ id }: FileEntry) => parseFileId(id)?.pathIndex ?? -1;

Deno.test("a path on a new disk is opened and its files are wanted from the group", () =>
  withRig(async ({ dir, open }) => {
    let store = await open();
    const entries = await uploads(store, 12);
    await store.store.settle(0);
    await store.close();
    await Deno.remove(`${dir}/p1/data`, { recursive: true });
    await Deno.mkdir(`${dir}/p1/data/lost+found`, { recursive: true });

    store = await open();
    const { files, log } = store.store;
    assert.equal(files.storePaths()[1]?.state, "missing");
    assert.match(files.alarms().join(), /store path M01 is missing/);
    const lost = entries.filter((entry) => homeOf(entry) === 1);
    assert(lost.length > 2);
    const opened = await store.store.openPath(1);
    assert.deepEqual(opened, { index: 1, refillFiles: lost.length });
    const [, report] = files.storePaths();
    assert.equal(report?.state, "writable");
    assert.equal(report?.refillFiles, lost.length);
    assert.match(files.alarms().join(), /M01 is being filled again: \d+ to go/);
    assert.deepEqual(
      (await log.damaged(99)).map(({ id }) => id).sort(),
      lost.map(({ id }) => id).sort(),
    );
    for (const entry of entries) {
      if (homeOf(entry) === 0) await store.read(entry);
      else await assert.rejects(store.read(entry), { slug: "damaged" });
    }
    // It is known after a restart, too, and ends with the last file.
    await store.close();
    store = await open();
    assert.equal(store.store.files.storePaths()[1]?.refillFiles, lost.length);
    for (const entry of lost) {
      const staged = await store.stage(bytesOf(entries.indexOf(entry)));
      const content = { kind: "staged", staged } as const;
      await store.store.log.adopt([{ entry, content }], true);
    }
    for (const [at, entry] of entries.entries()) {
      assert.deepEqual(await store.read(entry), bytesOf(at));
    }
    await store.close();
    store = await open();
    assert.equal(store.store.files.storePaths()[1]?.refillFiles, undefined);
    assert.deepEqual(store.store.files.alarms(), []);
    await store.close();
  }));

Deno.test("what the database still has is written to the new disk", () =>
  withRig(async ({ dir, open }) => {
    const store = await open();
    const entries = await uploads(store, 3); // small, not settled
    await Deno.remove(`${dir}/p0/data`, { recursive: true });
    await Deno.remove(`${dir}/p1/data`, { recursive: true });
    for (const index of [0, 1]) {
      assert.deepEqual(await store.store.openPath(index), {
        index,
        refillFiles: 0,
      });
    }
    await store.store.settle(0);
    for (const [at, entry] of entries.entries()) {
      const path = diskPath(dir, entry.id, homeOf(entry));
      assert.deepEqual(await Deno.readFile(path), bytesOf(at));
    }
    await store.close();
  }));

Deno.test("a disk that is not this path's is refused and left alone", () =>
  withRig(async ({ dir, open }) => {
    let store = await open();
    await uploads(store, 2);
    await store.close();
    const marker = `${dir}/p1/data/.kedge-path`;
    const ours = await Deno.readTextFile(marker);
    const foreign = { store: crypto.randomUUID(), index: 1 };
    await Deno.writeTextFile(marker, JSON.stringify(foreign));
    store = await open();
    const refusal = (message: RegExp) =>
      assert.rejects(store.store.openPath(1), {
        slug: "invalid-request",
        message,
      });
    await refusal(/another store/);
    await Deno.writeTextFile(marker, ours.replace(`"index":1`, `"index":0`));
    await refusal(/is M00 of this node/);
    await Deno.remove(marker);
    await refusal(/no marker but files/);
    await Deno.rename(`${dir}/p1`, `${dir}/away`);
    await refusal(/is it mounted/);
    assert.equal(store.store.files.storePaths()[1]?.state, "missing");
    // The right disk is back.
    await Deno.rename(`${dir}/away`, `${dir}/p1`);
    await Deno.writeTextFile(marker, ours);
    const opened = await store.store.openPath(1);
    assert.deepEqual(opened, { index: 1, refillFiles: 0 });
    assert.equal(store.store.files.storePaths()[1]?.state, "writable");
    await assert.rejects(store.store.openPath(2), { slug: "invalid-request" });
    await store.close();
  }));

Deno.test("after a fence, files that were not flushed are written once more", () =>
  withRig(async ({ dir, open }) => {
    let store = await open();
    const entries = await uploads(store, 8); // small and large, not settled
    await store.close(false);
    const database = new DatabaseSync(`${dir}/data/kedge.db`);
    database.exec("UPDATE paths SET fenced = 'flush: EIO'");
    database.close();
    const inodes = async () =>
      await Promise.all(entries.map(async (entry) => {
        return (await Deno.stat(diskPath(dir, entry.id, homeOf(entry)))).ino;
      }));
    const before = await inodes();
    store = await open();
    assert.match(
      store.store.files.alarms().join(),
      /M00 is fenced: flush: EIO/,
    );
    for (const index of [0, 1]) await store.store.openPath(index);
    const after = await inodes();
    before.forEach((inode, at) => assert.notEqual(inode, after[at], `${at}`));
    await store.store.settle(0);
    await store.close();
    store = await open();
    assert.deepEqual(store.store.files.alarms(), []);
    for (const [at, entry] of entries.entries()) {
      assert.deepEqual(await store.read(entry), bytesOf(at));
    }
    await store.close();
  }));
