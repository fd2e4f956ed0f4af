/**
 * What is in the quick log when the database takes nothing more, and a quick log
 * that cannot be read.
 *
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { eventually } from "../../tests/helpers/eventually.ts";
import { quickEntriesOf } from "./quick_log_core.ts";
import {
  foreignRecord,
  QuietLog,
  someBytes,
  TestStore,
} from "./store_fixture.ts";

const QUICK = { durable: false };

/** Act in a folder of its own, with an eye on what is flushed by this thread. */
async function watched(
  act: (dir: string, flushed: Deno.FsFile[]) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-quick-" });
  const { syncData } = Deno.FsFile.prototype;
  const flushed: Deno.FsFile[] = [];
  Deno.FsFile.prototype.syncData = function (): Promise<void> {
    flushed.push(this);
    return syncData.call(this);
  };
  try {
    await act(dir, flushed);
  } finally {
    Deno.FsFile.prototype.syncData = syncData;
    await Deno.remove(dir, { recursive: true });
  }
}

/** A store that has the first record of node 2, and what closed its log. */
async function openWithRecord(dir: string) {
  const failures: string[] = [];
  const onFailed = (why: string) => failures.push(why);
  const store = await TestStore.open(dir, { onFailed });
  const { log } = store.store;
  await log.apply(2, 5, [{ sequence: 1, ...foreignRecord(1) }], false);
  await log.flush();
  return { store, log, failures };
}

/** Answer an upload, and let the commit of it fail. */
async function failCommit(store: TestStore, dir: string) {
  const database = new DatabaseSync(`${dir}/data/kedge.db`);
  database.exec(`CREATE TRIGGER fault BEFORE INSERT ON changes
    BEGIN SELECT RAISE(ABORT, 'no more'); END`);
  const entry = await store.upload(someBytes(700, 1), QUICK);
  await assert.rejects(store.upload(someBytes(10)), { slug: "read-only" });
  database.exec("DROP TRIGGER fault");
  database.close();
  return entry;
}

Deno.test("what was answered is flushed once when its commit fails", async () => {
  await watched(async (dir, flushed) => {
    const store = await TestStore.open(dir);
    await store.upload(someBytes(900, 2), QUICK);
    await store.store.log.flush();
    assert.equal(flushed.length, 0);
    const entry = await failCommit(store, dir);
    await store.close(false);
    assert.equal(flushed.length, 1);
    const again = await TestStore.open(dir);
    assert.deepEqual(await again.read(entry), someBytes(700, 1));
    await again.close();
  });
});

Deno.test("an answered record that is refused alone closes the log, and is kept", async () => {
  await watched(async (dir, flushed) => {
    const { store, log, failures } = await openWithRecord(dir);
    const database = new DatabaseSync(`${dir}/data/kedge.db`);
    database.exec("DELETE FROM positions"); // nothing of ours does that
    database.close();
    const answered = { sequence: 2, ...foreignRecord(2) };
    assert.deepEqual(await log.apply(2, 5, [answered], false), ["applied"]);
    await eventually(() => failures.length > 0, { what: "a closed log" });
    assert.match(failures[0] ?? "", /records of node 2 from 2 do not follow 0/);
    await assert.rejects(store.upload(someBytes(10)), { slug: "read-only" });
    await store.close(false);
    assert.equal(flushed.length, 1);
    const left = Deno.readFileSync(`${dir}/data/quick.log`);
    assert.deepEqual(
      [...quickEntriesOf(left)].map(({ sequence }) => sequence),
      [2],
    );
  });
});

Deno.test("a record of a run that is just forgotten is refused, and closes nothing", async () => {
  await watched(async (dir) => {
    const { store, log, failures } = await openWithRecord(dir);
    const forgetting = log.forgetRuns(2, 9);
    const next = { sequence: 2, ...foreignRecord(2) };
    await assert.rejects(log.apply(2, 5, [next], false), /do not follow 0/);
    await forgetting;
    assert.deepEqual(log.positions(), []);
    await store.upload(someBytes(10));
    assert.deepEqual(failures, []);
    await store.close();
  });
});

Deno.test("a failed flush of what was answered is told, and nothing else", async () => {
  await watched(async (dir) => {
    const log = new QuietLog();
    const failures: string[] = [];
    const onFailed = (why: string) => failures.push(why);
    const store = await TestStore.open(dir, { log, onFailed });
    Deno.FsFile.prototype.syncData = () => Promise.reject(new Error("EIO"));
    await failCommit(store, dir);
    await store.close(false);
    assert.match(log.warnings.join(), /loss of power.*quick\.log: EIO/);
    assert.equal(failures.length, 1);
  });
});

Deno.test("nothing is flushed when everything is in the database", async () => {
  await watched(async (dir, flushed) => {
    const store = await TestStore.open(dir);
    await store.upload(someBytes(700, 1), QUICK);
    await store.store.log.flush();
    const database = new DatabaseSync(`${dir}/data/kedge.db`);
    database.exec("DROP TABLE changes");
    database.close();
    await assert.rejects(store.upload(someBytes(10)), { slug: "read-only" });
    await store.close(false);
    assert.equal(flushed.length, 0);
  });
});

Deno.test("a quick log that cannot be read stops a start, with the way out", async () => {
  await watched(async (dir) => {
    const store = await TestStore.open(dir);
    const entry = await store.upload(someBytes(700, 1), QUICK);
    await store.close(false);
    const path = `${dir}/data/quick.log`;
    await Deno.rename(path, `${path}.real`);
    await Deno.mkdir(path);
    await assert.rejects(TestStore.open(dir), {
      slug: "read-only",
      message:
        /quick\.log cannot be read .*directory.* mv .*\.unread, and start/,
    });
    // As it says.
    await Deno.rename(path, `${path}.unread`);
    const without = await TestStore.open(dir);
    assert.equal(without.store.files.lookup(entry.id), undefined);
    await without.close();
  });
});
