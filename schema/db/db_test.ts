import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import fc from "fast-check";
import { FileEntry } from "../change.ts";
import { entryOf, MIGRATIONS, rowOf } from "./mod.ts";
import * as tables from "./tables.ts";

Deno.test("MIGRATIONS make the tables that drizzle knows", () => {
  const database = new DatabaseSync(":memory:");
  for (const sql of MIGRATIONS) database.exec(sql);
  const known = Object.values(tables)
    .filter((value): value is typeof value & SQLiteTable =>
      value instanceof SQLiteTable
    );
  const made = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    .map(({ name }) => String(name));
  assert.deepEqual(
    made.toSorted(),
    known.map((table) => getTableConfig(table).name).toSorted(),
  );
  for (const table of known) {
    const { name, columns } = getTableConfig(table);
    const info = database.prepare(`PRAGMA table_info(${name})`).all();
    assert.deepEqual(
      info.map((column) => [column.name, String(column.type).toLowerCase()]),
      columns.map((column) => [column.name, column.getSQLType()]),
      name,
    );
    for (const column of columns) {
      const row = info.find((one) => one.name === column.name);
      const isNotNull = row?.notnull === 1 || Number(row?.pk) > 0;
      assert.equal(isNotNull, column.notNull, `${name}.${column.name}`);
    }
  }
  database.close();
});

const entry: fc.Arbitrary<FileEntry> = fc.record({
  id: fc.string({ minLength: 1, maxLength: 20 }),
  state: fc.constantFrom("present", "tombstone"),
  epoch: fc.nat(),
  version: fc.integer({ min: 1, max: 1e9 }),
  origin: fc.integer({ min: 1, max: 2 ** 24 - 1 }),
  sizeBytes: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  crc32: fc.nat({ max: 0xffffffff }),
  sha256: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/)),
  type: fc.option(fc.string({ maxLength: 20 })),
  name: fc.option(fc.string({ maxLength: 20, unit: "binary" })),
  meta: fc.dictionary(
    fc.string({ minLength: 1, maxLength: 9 }).filter((key) =>
      key !== "__proto__"
    ),
    fc.string({ maxLength: 9 }),
    { maxKeys: 4, noNullPrototype: true },
  ),
  createdS: fc.nat(),
  appender: fc.boolean(),
  master: fc.option(fc.string({ maxLength: 20 })),
}, { noNullPrototype: true });

Deno.test("entryOf() gives back what rowOf() was given", () => {
  fc.assert(fc.property(entry, (given) => {
    const own = { pathIndex: 3, damaged: 0, blockCrcs: null };
    assert.deepEqual(entryOf(rowOf(given, own)), given);
  }));
});
