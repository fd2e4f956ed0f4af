import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { WriteAheadLog } from "./write_ahead_log.ts";

Deno.test("what must be stable first is flushed before the log is moved", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-wal-" });
  const database = new DatabaseSync(`${dir}/a.db`);
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
    database.exec("CREATE TABLE a (b); INSERT INTO a VALUES (1)");
    const sizeOf = () => Deno.statSync(`${dir}/a.db`).size;
    const before = sizeOf();
    let ready = false;
    let asked = 0;
    const log = new WriteAheadLog(database, 10, () => (asked++, ready));
    assert.equal(log.grow(10), undefined);
    assert.equal(asked, 0, "not yet");
    assert.equal(log.grow(1), undefined);
    assert.equal(asked, 1);
    assert.equal(sizeOf(), before, "nothing is moved: that flush failed");
    ready = true;
    assert.equal(log.grow(11), undefined);
    assert(sizeOf() > before);
  } finally {
    database.close();
    await Deno.remove(dir, { recursive: true });
  }
});
