import assert from "node:assert/strict";
import { type Identity, IdentityStore } from "./identity.ts";

const WHO: Identity = {
  node: 3,
  group: "group1",
  credential: "c".repeat(43),
};

async function inFolder(body: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "kedge-identity-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("IdentityStore keeps one store ID over a join that is repeated", () =>
  inFolder(async (folder) => {
    const first = await new IdentityStore(folder).open();
    const again = await new IdentityStore(folder).open();
    assert.equal(first.firstStore, again.firstStore);
    assert.equal(again.identity, undefined);
  }));

Deno.test("IdentityStore gives back what was saved, to its owner only", () =>
  inFolder(async (folder) => {
    const store = new IdentityStore(folder);
    const { firstStore } = await store.open();
    await store.save(firstStore, WHO);
    assert.deepEqual((await new IdentityStore(folder).open()).identity, WHO);
    const { mode } = await Deno.stat(`${folder}/agent.json`);
    assert.equal((mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("IdentityStore refuses a damaged file and leaves it alone", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/agent.json`, "{");
    await assert.rejects(new IdentityStore(folder).open(), /is damaged/);
    assert.equal(await Deno.readTextFile(`${folder}/agent.json`), "{");
  }));
