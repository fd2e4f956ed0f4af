import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openForWriting } from "./database.ts";
import { INCREMENTAL, pragma, Shrinker } from "./shrinker.ts";
import { someBytes, TestStore, withDir } from "./store_fixture.ts";

/** Rows that fill a page and more each. */
function fill(database: DatabaseSync, count: number): void {
  database.exec("CREATE TABLE rows (number INTEGER PRIMARY KEY, body BLOB)");
  const insert = database.prepare("INSERT INTO rows VALUES (?, ?)");
  database.exec("BEGIN");
  for (let at = 0; at < count; at++) insert.run(at, new Uint8Array(4096));
  database.exec("COMMIT");
}

function count(database: DatabaseSync): unknown {
  return database.prepare("SELECT count(*) AS count FROM rows").get()?.count;
}

Deno.test("free pages go back to the disk, a few at a time", async () => {
  await withDir(async (dir) => {
    const path = `${dir}/index.db`;
    const database = openForWriting(path);
    fill(database, 1500);
    const moves: number[] = [];
    const transact = (act: () => void) => {
      const before = pragma(database, "page_count");
      database.exec("BEGIN");
      act();
      database.exec("COMMIT");
      moves.push(before - pragma(database, "page_count"));
    };
    const isOver = () => false;
    const parts = { database, transact, grown() {}, isOver };
    const shrinker = new Shrinker(parts, 100);
    await shrinker.run();
    database.exec("DELETE FROM rows WHERE number % 5 = 0");
    await shrinker.run();
    assert.deepEqual(moves, [], "few are free, and used again");
    database.exec("DELETE FROM rows WHERE number % 5 > 1");
    await new Shrinker(parts).run();
    assert.deepEqual(moves, [], "it is no large database");
    database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    const before = Deno.statSync(path).size;
    await shrinker.run();
    database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    assert(moves.length > 4, `${moves} pages`);
    // One more where SQLite's own map of pages becomes shorter.
    assert(moves.every((pages) => pages > 0 && pages <= 257), `${moves} pages`);
    const after = Deno.statSync(path).size;
    assert(after < before / 2, `${before} bytes, then ${after}`);
    assert.equal(count(database), 300);
    const check = database.prepare("PRAGMA integrity_check").get();
    assert.equal(check?.integrity_check, "ok");
    database.close();
  });
});

Deno.test("a small database of an earlier version learns to shrink", async () => {
  await withDir((dir) => {
    const path = `${dir}/index.db`;
    const old = new DatabaseSync(path);
    old.exec("PRAGMA journal_mode = WAL");
    fill(old, 10);
    old.close();
    const database = openForWriting(path);
    assert.equal(pragma(database, "auto_vacuum"), INCREMENTAL);
    assert.equal(count(database), 10);
    database.close();
    return Promise.resolve();
  });
});

Deno.test("a store gives the space of uploads that settled back", async () => {
  await withDir(async (dir) => {
    const options = { freePagesMin: 50, settleDelayMs: 1e9 };
    const store = await TestStore.open(dir, options);
    const bytes = someBytes(60_000);
    const files = [];
    for (let at = 0; at < 40; at++) files.push(await store.upload(bytes));
    await store.store.settle(0);
    await store.close();
    const database = openForWriting(`${dir}/data/kedge.db`);
    const pages = pragma(database, "page_count");
    assert(pages < 200, `${pages} pages`);
    database.close();
    const again = await TestStore.open(dir, options);
    for (const file of files) assert.deepEqual(await again.read(file), bytes);
    await again.close();
  });
});
