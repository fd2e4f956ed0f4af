/**
 * What every adapter of the KV port must do. An adapter's test calls
 * {@linkcode kvContract}; a second adapter passes the same suite.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { KvKey } from "@kedge/schema";
import type { KvStore } from "./kv.ts";

/** An adapter under test. */
export interface KvSubject {
  /** Name of the adapter, for the names of the tests. */
  readonly name: string;
  /** Open a store that is empty. */
  open(): Promise<KvStore>;
  /** Remove what `open` made; the stores are closed already. */
  cleanUp?(): Promise<void>;
}

/** One promise of the port, checked on an empty store. */
type Check = (kv: KvStore) => Promise<void>;

const A: KvKey = ["t", "a"];
const B: KvKey = ["t", "b"];

/** Everything that is promised, by name. */
export const KV_PROMISES: Readonly<Record<string, Check>> = {
  "get() returns nothing for a key that was never set": async (kv) => {
    assert.equal(await kv.get(A), undefined);
  },
  "get() returns what commit() set, with its key and a version": async (kv) => {
    const value = { text: "ü", list: [1, null, true], nested: { a: {} } };
    await mustCommit(kv, { sets: [{ key: A, value }] });
    const entry = await kv.get(A);
    assert.deepEqual(entry?.key, A);
    assert.deepEqual(entry.value, value);
    assert.equal(typeof entry.version, "string");
  },
  "every write gives a new version, also of the same value": async (kv) => {
    const versions = new Set<string | undefined>();
    for (let write = 0; write < 5; write++) {
      await mustCommit(kv, { sets: [{ key: A, value: "same" }] });
      versions.add((await kv.get(A))?.version);
    }
    assert.equal(versions.size, 5);
  },
  "a check with the current version holds": async (kv) => {
    await mustCommit(kv, { sets: [{ key: A, value: 1 }] });
    const version = await versionOf(kv, A);
    await mustCommit(kv, {
      checks: [{ key: A, version }],
      sets: [{ key: A, value: 2 }],
    });
    assert.equal((await kv.get(A))?.value, 2);
  },
  "a check with an older version is a conflict and changes nothing": async (
    kv,
  ) => {
    await mustCommit(kv, { sets: [{ key: A, value: 1 }] });
    const version = await versionOf(kv, A);
    await mustCommit(kv, { sets: [{ key: A, value: 2 }] });
    const outcome = await kv.commit({
      checks: [{ key: A, version }],
      sets: [{ key: A, value: 3 }, { key: B, value: 3 }],
      deletes: [A],
    });
    assert.equal(outcome, "conflict");
    assert.equal((await kv.get(A))?.value, 2);
    assert.equal(await kv.get(B), undefined);
  },
  "a check for absence holds only while there is none": async (kv) => {
    const create = (value: number) =>
      kv.commit({
        checks: [{ key: A, version: null }],
        sets: [{ key: A, value }],
      });
    assert.equal(await create(1), "committed");
    assert.equal(await create(2), "conflict");
    await mustCommit(kv, { deletes: [A] });
    assert.equal(await create(3), "committed");
    assert.equal((await kv.get(A))?.value, 3);
  },
  "a version of a key that was deleted and set again is old": async (kv) => {
    await mustCommit(kv, { sets: [{ key: A, value: 1 }] });
    const version = await versionOf(kv, A);
    await mustCommit(kv, { deletes: [A] });
    await mustCommit(kv, { sets: [{ key: A, value: 1 }] });
    const outcome = await kv.commit({
      checks: [{ key: A, version }],
      sets: [{ key: A, value: 2 }],
    });
    assert.equal(outcome, "conflict");
  },
  "one failed check among several stops all changes": async (kv) => {
    await mustCommit(kv, { sets: [{ key: A, value: 1 }] });
    const version = await versionOf(kv, A);
    const outcome = await kv.commit({
      checks: [{ key: A, version }, { key: B, version }],
      sets: [{ key: A, value: 2 }],
    });
    assert.equal(outcome, "conflict");
    assert.equal((await kv.get(A))?.value, 1);
  },
  "a key may be checked without being changed": async (kv) => {
    await mustCommit(kv, { sets: [{ key: A, value: 1 }] });
    const version = await versionOf(kv, A);
    await mustCommit(kv, {
      checks: [{ key: A, version }],
      sets: [{ key: B, value: 1 }],
    });
    assert.equal(await versionOf(kv, A), version);
  },
  "commit() sets and deletes together": async (kv) => {
    await mustCommit(kv, { sets: [{ key: A, value: 1 }] });
    await mustCommit(kv, { sets: [{ key: B, value: 2 }], deletes: [A] });
    assert.equal(await kv.get(A), undefined);
    assert.equal((await kv.get(B))?.value, 2);
  },
  "deleting a key that is not there is no conflict": async (kv) => {
    await mustCommit(kv, { deletes: [A] });
  },
  "of many that race on one key exactly one wins": async (kv) => {
    await mustCommit(kv, { sets: [{ key: A, value: -1 }] });
    const version = await versionOf(kv, A);
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, (_, value) =>
        kv.commit({
          checks: [{ key: A, version }],
          sets: [{ key: A, value }],
        })),
    );
    const winners = outcomes.flatMap((outcome, index) =>
      outcome === "committed" ? index : []
    );
    assert.equal(winners.length, 1, outcomes.join());
    assert.equal((await kv.get(A))?.value, winners[0]);
  },
  "no increment is lost when many read, add and check": async (kv) => {
    await mustCommit(kv, { sets: [{ key: A, value: 0 }] });
    await Promise.all(Array.from({ length: 8 }, () => increment(kv, A)));
    assert.equal((await kv.get(A))?.value, 8);
  },
  "list() returns what is below a prefix, and nothing else": async (kv) => {
    await mustCommit(kv, {
      sets: [["p"], ["p", "x"], ["p", "y", 1], ["pq", "x"], ["o", "x"]]
        .map((key) => ({ key, value: key })),
    });
    const found = (await kv.list(["p"])).map(({ key }) => key);
    assert.deepEqual(found, [["p", "x"], ["p", "y", 1]]);
  },
  "list() is in key order, and numbers sort as numbers": async (kv) => {
    const order = [1, 2, 9, 10, 11, 300, 2 ** 24 - 1];
    await mustCommit(kv, {
      sets: order.toReversed().map((part) => ({ key: ["n", part], value: 0 })),
    });
    const found = (await kv.list(["n"])).map(({ key }) => key[1]);
    assert.deepEqual(found, order);
  },
  "list() returns everything, however much it is": async (kv) => {
    const count = 450;
    for (let from = 0; from < count; from += 90) {
      await mustCommit(kv, {
        sets: Array.from({ length: 90 }, (_, index) => ({
          key: ["many", from + index],
          value: "x".repeat(500),
        })),
      });
    }
    assert.equal((await kv.list(["many"])).length, count);
  },
  "list() versions can be checked": async (kv) => {
    await mustCommit(kv, { sets: [{ key: A, value: 1 }] });
    const [entry] = await kv.list(["t"]);
    await mustCommit(kv, {
      checks: [{ key: A, version: entry?.version ?? "none" }],
      sets: [{ key: A, value: 2 }],
    });
  },
  "a value of 60 KB fits": async (kv) => {
    const value = "x".repeat(60_000);
    await mustCommit(kv, { sets: [{ key: A, value }] });
    assert.equal((await kv.get(A))?.value, value);
  },
};

/** Register one test per promise. */
export function kvContract(subject: KvSubject): void {
  for (const [promise, check] of Object.entries(KV_PROMISES)) {
    Deno.test(`${subject.name}: ${promise}`, async () => {
      const kv = await subject.open();
      try {
        await check(kv);
      } finally {
        kv.close();
        await subject.cleanUp?.();
      }
    });
  }
}

async function mustCommit(
  kv: KvStore,
  change: Parameters<KvStore["commit"]>[0],
): Promise<void> {
  assert.equal(await kv.commit(change), "committed");
}

async function versionOf(kv: KvStore, key: KvKey): Promise<string> {
  const entry = await kv.get(key);
  assert(entry !== undefined);
  return entry.version;
}

async function increment(kv: KvStore, key: KvKey): Promise<void> {
  for (;;) {
    const entry = await kv.get(key);
    const outcome = await kv.commit({
      checks: [{ key, version: entry?.version ?? null }],
      sets: [{ key, value: Number(entry?.value) + 1 }],
    });
    if (outcome === "committed") return;
    assert.equal(outcome, "conflict");
  }
}
