import assert from "node:assert/strict";
import { INLINE_BODY_BYTES_MAX, RECORD_BODY_BYTES_MAX } from "@kedge/schema";
import { diskPath, someBytes, TestStore, withDir } from "./store_fixture.ts";

const LIMIT = { records: 100, bytes: 1e9 };
const LONG_LIMIT = { ...LIMIT, recordBytes: RECORD_BODY_BYTES_MAX };

Deno.test("recordsAfter() gives long bytes to a peer that takes them in a record", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir);
    const inRecord = true;
    const sizes = [100_000, RECORD_BODY_BYTES_MAX, INLINE_BODY_BYTES_MAX];
    const bodies = sizes.map((size, i) => someBytes(size, i + 1));
    const entries = [];
    for (const bytes of bodies) {
      entries.push(await store.upload(bytes, { inRecord }));
    }
    await store.upload(someBytes(RECORD_BODY_BYTES_MAX + 1, 8));
    await store.upload(someBytes(100_000, 9), { inRecord, appender: true });
    const { log } = store.store;
    const lengths = async (limit: typeof LONG_LIMIT | typeof LIMIT) =>
      (await log.recordsAfter(log.incarnation, 0, limit)).map(({ content }) =>
        content.kind === "inline" ? content.bytes.length : content.kind
      );
    const last = INLINE_BODY_BYTES_MAX;
    assert.deepEqual(
      await lengths(LIMIT),
      ["none", "none", last, "none", "none"],
    );
    assert.deepEqual(await lengths(LONG_LIMIT), [...sizes, "none", "none"]);
    const found = await log.recordsAfter(log.incarnation, 0, LONG_LIMIT);
    for (const [i, bytes] of bodies.entries()) {
      const content = found[i]?.content;
      assert(content?.kind === "inline");
      assert.deepEqual(content.bytes, bytes);
    }
    const few = { ...LONG_LIMIT, bytes: 100_001 };
    assert.equal((await lengths(few)).length, 2, "one more than fits at most");

    await store.store.settle(0);
    const [first] = entries;
    assert(first);
    await Deno.writeFile(diskPath(dir, first.id), someBytes(100_000, 7));
    const [damaged] = await lengths(LONG_LIMIT);
    assert.equal(damaged, "none", "the peer asks for it and hears so");
    await store.close();
  }));
