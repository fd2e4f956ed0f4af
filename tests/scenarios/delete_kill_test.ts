/**
 * S03: kill -9 at random moments of deletes. Acknowledged: a tombstone on every
 * node, for ever. Not acknowledged: there or gone, but the same everywhere.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus, Refused } from "../helpers/api.ts";
import { untilSame } from "../helpers/census.ts";
import { Cluster } from "../helpers/cluster.ts";
import { pause } from "../helpers/eventually.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

/** Files that are deleted. */
const FILES = 400;

// 30 s
Deno.test("S03: kill -9 during deletes", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const random = new Random(seedOfRun("S03"));
  const bodies = new Map<string, Uint8Array<ArrayBuffer>>();
  const uploads = async () => {
    while (bodies.size < FILES) {
      const body = random.bytes(random.between(1, 5_000));
      bodies.set((await api.upload(body, { level: "B" })).id, body);
    }
  };
  await Promise.all([uploads(), uploads(), uploads(), uploads()]);

  const gone = new Set<string>();
  const unsure = new Set<string>();
  const queue = [...bodies.keys()].slice(0, FILES);
  const deleter = async () => {
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      try {
        await api.remove(id, random.next() < 0.5 ? "sync" : "eventual");
        gone.add(id);
      } catch (error) {
        if (error instanceof Refused && error.status === 404) gone.add(id);
        else unsure.add(id);
        await pause(30);
      }
    }
  };
  const deleting = Promise.all([deleter(), deleter(), deleter()]);
  let kills = 0;
  while (queue.length > 0) {
    await pause(random.between(50, 400));
    const victim = random.pick(cluster.agents);
    await victim.kill();
    await pause(random.between(0, 200));
    await victim.startAndWait();
    kills++;
  }
  await deleting;
  await cluster.untilInSync();
  await untilSame(cluster);
  say(`S03: ${gone.size} deleted, ${unsure.size} unsure, ${kills} kills`);
  assert(gone.size > 0 && kills > 0);
  for (const { url, name } of cluster.agents) {
    for (const id of gone) {
      assert.equal(await readStatus(url, id), 404, `${id} is back at ${name}`);
    }
  }
  const [a, b] = cluster.pair;
  for (const id of unsure) {
    const status = await readStatus(a.url, id);
    assert.equal(await readStatus(b.url, id), status, `${id} differs`);
    if (status === 200) {
      assert.deepEqual(await readFile(a.url, id), bodies.get(id));
    }
  }
});
