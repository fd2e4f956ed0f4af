import assert from "node:assert/strict";
import { databaseOwner } from "./owner.ts";
import { someBytes, TestStore } from "./store_fixture.ts";

Deno.test("databaseOwner() tells whose database it is, open or not", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    const data = `${dir}/data`;
    assert.equal(databaseOwner(data), undefined);
    const store = await TestStore.open(dir);
    await store.upload(someBytes(100, 1));
    const { store: id } = store.store.log;
    const expected = { store: id, node: 1, group: "group1" };
    assert.deepEqual(databaseOwner(data), { ...expected, register: undefined });
    const register = {
      group: "group1",
      gen: crypto.randomUUID(),
      epoch: 7,
      members: [{ node: 1, store: id }],
      insync: [1],
    };
    await store.store.log.saveRegister(register);
    await store.close();
    assert.deepEqual(databaseOwner(data), { ...expected, register });
    await Deno.writeTextFile(`${dir}/kedge.db`, "no database at all");
    assert.throws(() => databaseOwner(dir), /rebuild-index/);
    await Deno.writeTextFile(`${dir}/kedge.db`, "");
    assert.equal(databaseOwner(dir), undefined);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
