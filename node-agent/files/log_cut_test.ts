import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { someBytes, TestStore } from "./store_fixture.ts";

const COUNT = 1050;
const LIMIT = { records: 2000, bytes: 1e9 };

Deno.test("a cut log goes on under its number after a clean stop, and not below", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    let store = await TestStore.open(dir);
    for (let i = 0; i < COUNT; i += 50) {
      await Promise.all(
        Array.from({ length: 50 }, () => store.upload(someBytes(3))),
      );
    }
    const { incarnation } = store.store.log;
    const head = store.store.log.head();
    assert.equal(head, COUNT);
    let batches = 0;
    const everything = { incarnation, sequence: head + 10 };
    while (await store.store.log.cutLog(everything)) batches++;
    assert.equal(batches, 2, "no more than 1,000 at a time");
    const cut = { incarnation, sequence: head - 1 };
    assert.deepEqual(store.store.log.cut(), cut);
    await store.close();
    assert.equal(rowsOf(dir), 1);

    store = await TestStore.open(dir);
    const { log } = store.store;
    assert.deepEqual(log.cut(), cut);
    if (log.incarnation === incarnation) assert.equal(log.head(), head);
    const left = await log.recordsAfter(incarnation, head - 1, LIMIT);
    assert.deepEqual(left.map(({ sequence }) => sequence), [head]);
    await assert.rejects(log.recordsAfter(incarnation, 5, LIMIT), /forgotten/);
    assert.equal(store.store.files.fileCount(), COUNT);
    await store.close();

    // After an unclean stop a new run begins; the old one may go entirely.
    store = await TestStore.open(dir);
    await store.upload(someBytes(4));
    await store.close(false);
    store = await TestStore.open(dir);
    const next = store.store.log;
    assert(next.incarnation > incarnation);
    await store.upload(someBytes(5));
    await store.upload(someBytes(6));
    const inNext = { incarnation: next.incarnation, sequence: 1 };
    while (await next.cutLog(inNext));
    assert.deepEqual(next.cut(), inNext);
    assert.deepEqual(next.incarnations(), [
      { incarnation: next.incarnation, lastSequence: 2 },
    ]);
    await store.close();
    assert.equal(rowsOf(dir), 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

function rowsOf(dir: string): number {
  using database = new DatabaseSync(`${dir}/data/kedge.db`, { readOnly: true });
  const row = database.prepare("SELECT count(*) AS n FROM changes").get();
  return Number(row?.n);
}
