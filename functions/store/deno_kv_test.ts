import assert from "node:assert/strict";
import { Problem } from "@kedge/schema";
import { denoKvStore, openDenoKv } from "./deno_kv.ts";
import { kvContract } from "./kv_contract.ts";

kvContract({ name: "memory", open: () => openDenoKv(":memory:") });

let folder = "";
kvContract({
  name: "file",
  open: async () => {
    folder = await Deno.makeTempDir();
    return await openDenoKv(`${folder}/kv.db`);
  },
  cleanUp: () => Deno.remove(folder, { recursive: true }),
});

Deno.test("a file KV keeps what was committed when it is opened again", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const first = await openDenoKv(`${folder}/kv.db`);
    await first.commit({ sets: [{ key: ["a"], value: 1 }] });
    first.close();
    const second = await openDenoKv(`${folder}/kv.db`);
    assert.equal((await second.get(["a"]))?.value, 1);
    second.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("commit() tries again while the database is locked", async () => {
  const kv = failing([new TypeError("database is locked"), undefined]);
  assert.equal(await kv.commit({}), "committed");
});

Deno.test("commit() says that nothing changed when it stays locked", async () => {
  const kv = failing(Array(20).fill(new TypeError("database is locked")));
  await assert.rejects(kv.commit({}), isProblem("kv-unavailable"));
});

Deno.test("commit() is unknown after any other failure, and is not repeated", async () => {
  const kv = failing([new Error("connection reset"), undefined]);
  assert.equal(await kv.commit({}), "unknown");
});

Deno.test("commit() throws when the change itself is impossible", async () => {
  const kv = await openDenoKv(":memory:");
  const value = "x".repeat(70_000);
  try {
    await assert.rejects(
      kv.commit({ sets: [{ key: ["a"], value }] }),
      TypeError,
    );
  } finally {
    kv.close();
  }
});

Deno.test("reads fail with a problem that names the reason", async () => {
  const kv = failing([]);
  await assert.rejects(kv.get(["a"]), isProblem("kv-unavailable"));
  await assert.rejects(kv.list(["a"]), isProblem("kv-unavailable"));
});

Deno.test("openDenoKv() says why it cannot open", async () => {
  await assert.rejects(
    openDenoKv("/nonexistent/folder/kv.db"),
    isProblem("kv-unavailable"),
  );
});

/** A Deno KV whose commits end as listed and whose reads fail. */
function failing(outcomes: (Error | undefined)[]) {
  const left = [...outcomes];
  const operation = {
    check: () => operation,
    set: () => operation,
    delete: () => operation,
    commit: () => {
      const outcome = left.shift();
      return outcome === undefined
        ? Promise.resolve({ ok: true, versionstamp: "1" })
        : Promise.reject(outcome);
    },
  };
  const fail = () => Promise.reject(new Error("connection reset"));
  const kv = {
    atomic: () => operation,
    get: fail,
    list: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
    close() {},
  };
  return denoKvStore(kv as unknown as Deno.Kv);
}

function isProblem(slug: string) {
  return (error: unknown) => error instanceof Problem && error.slug === slug;
}
