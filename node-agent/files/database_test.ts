import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "@kedge/schema/db";
import { makeShrinkable, openForReading, openForWriting } from "./database.ts";
import { ReadStatements, WriteStatements } from "./statements.ts";

const ID = "group1/M00/00/00/AQAAAGsC2ISAcpy_AAAQAAAAAAA123.bin";

/** A database as the first release left it, with a row in every table. */
function makeFirstDatabase(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; ${MIGRATIONS[0] ?? ""}
    INSERT INTO state VALUES ('store', 's1');
    INSERT INTO paths VALUES (0, NULL), (1, 'write: EIO');
    INSERT INTO changes VALUES (7, 1, 0, '{}', 99);
    INSERT INTO files VALUES ('${ID}', 0, 3, 1, 1, 4, 5, 'ab', 'a/b', 'n', NULL,
      1000, 0, NULL, 0, 0, NULL);
    INSERT INTO tombstones VALUES (1, 'gone');
    INSERT INTO unsettled VALUES (1, '${ID}', 3, 1, 'write', 0, '', 0, x'01020304');
    INSERT INTO positions VALUES (2, 9, 12);
    INSERT INTO idempotency VALUES ('k', '${ID}', 'ab', 3, 1000);
    PRAGMA user_version = 1;`);
  database.close();
}

async function inFolder(act: (path: string) => void): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    act(`${dir}/kedge.db`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.user_version);
}

Deno.test("openForWriting() brings a database of the first release up to date", () =>
  inFolder((path) => {
    makeFirstDatabase(path);
    const database = openForWriting(path);
    assert.equal(versionOf(database), MIGRATIONS.length);
    const known = new WriteStatements(database);
    assert.equal(known.state.get({ key: "store" })?.value, "s1");
    assert.deepEqual(known.paths.all({}).map(({ fenced }) => fenced), [
      null,
      "write: EIO",
    ]);
    assert.equal(known.lastSequence.get({ incarnation: 7 })?.last, 1);
    assert.equal(known.file.get({ id: ID })?.createdS, 1000);
    assert.equal(known.lastTombstone.get({})?.last, 1);
    const [waiting] = known.unsettledOf.all({ id: ID });
    assert.deepEqual(
      new Uint8Array(waiting?.payload ?? []),
      new Uint8Array([1, 2, 3, 4]),
    );
    assert.equal(known.positions.get({})?.sequence, 12);
    assert.equal(known.key.get({ key: "k" })?.id, ID);
    // And the new statements write it.
    known.dropUnsettled.run({ from: 1, to: 1 });
    database.close();
    const reader = openForReading(path);
    assert.deepEqual(
      new ReadStatements(reader).unsettledOf.all({ id: ID }),
      [],
    );
    reader.close();
  }));

Deno.test("openForWriting() makes the same tables as the steps one by one", () =>
  inFolder((path) => {
    makeFirstDatabase(`${path}.old`);
    const schemas = [`${path}.old`, `${path}.new`].map((each) => {
      const database = openForWriting(each);
      const rows = database
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").all();
      database.close();
      return rows;
    });
    assert.deepEqual(schemas[0], schemas[1]);
  }));

Deno.test("openForWriting() leaves a database of a newer version alone", () =>
  inFolder((path) => {
    makeFirstDatabase(path);
    const newer = MIGRATIONS.length + 1;
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA user_version = ${newer}`);
    assert.throws(() => openForWriting(path), /this program knows/);
    assert.equal(versionOf(database), newer);
    database.close();
  }));

Deno.test("makeShrinkable() goes on without room, and never after a failed write", () =>
  inFolder((path) => {
    makeFirstDatabase(path);
    const database = new DatabaseSync(path);
    let error = "database or disk is full";
    const exec = database.exec.bind(database);
    database.exec = (sql) => {
      if (sql.includes("VACUUM")) throw new Error(error);
      exec(sql);
    };
    const told: string[] = [];
    const warn = (message: string) => void told.push(message);
    makeShrinkable(database, warn);
    assert.match(told.join(), /too full.*will not shrink/);
    error = "disk I/O error";
    assert.throws(() => makeShrinkable(database, warn), /disk I\/O error/);
    assert.equal(told.length, 1);
    database.close();
  }));
