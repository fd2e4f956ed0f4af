import assert from "node:assert/strict";
import type { SyncPosition } from "@kedge/schema";
import { newestPositions, RootHashes, rootHashOf } from "./root_hash.ts";

const at = (origin: number, incarnation: number, sequence: number) => ({
  origin,
  incarnation,
  sequence,
});

Deno.test("rootHashOf() tells every bucket apart", () => {
  const digests = new Uint32Array(4096);
  const empty = rootHashOf(digests);
  assert.match(empty, /^[0-9a-f]{32}$/);
  const others = [0, 1, 4095].map((bucket) => {
    const changed = digests.slice();
    changed[bucket] = 1;
    return rootHashOf(changed);
  });
  assert.equal(new Set([empty, ...others]).size, 4);
});

Deno.test("newestPositions() has the last record of each origin", () => {
  const log = {
    node: 2,
    positions: () => [at(3, 1, 9), at(1, 7, 4), at(3, 5, 2), at(4, 1, 0)],
    incarnations: () => [
      { incarnation: 1, lastSequence: 8 },
      { incarnation: 3, lastSequence: 0 },
    ],
  };
  assert.deepEqual(newestPositions(log), [
    at(1, 7, 4),
    at(2, 1, 8),
    at(3, 5, 2),
  ]);
});

Deno.test("a hash is told with the positions that it is of, or not at all", async () => {
  const positions: SyncPosition[] = [at(1, 1, 1)];
  let asked = 0;
  let epoch = 1;
  let meanwhile = () => {};
  const roots = new RootHashes(
    {
      node: 2,
      positions: () => positions,
      incarnations: () => [],
      presentDigests: () => {
        asked++;
        meanwhile();
        return Promise.resolve(new Uint32Array(4));
      },
    },
    { monotonicMs: () => 0, wallMs: () => 0 },
    () => ({ fileCount: 0, epoch }),
  );
  const look = async (nowMs: number) => {
    roots.tick(nowMs);
    await new Promise((resolve) => setTimeout(resolve, 0));
    return roots.current?.positions;
  };
  meanwhile = () => positions[0] = at(1, 1, 2);
  assert.equal(await look(0), undefined, "it moved while it was taken");
  meanwhile = () => {};
  assert.deepEqual(await look(1000), [at(1, 1, 2)]);
  await look(2000);
  assert.equal(asked, 2, "nothing moved");
  positions[0] = at(1, 1, 3);
  assert.deepEqual(await look(3000), [at(1, 1, 3)]);
  await look(20_000);
  assert.equal(asked, 4, "now and then all the same");

  epoch = 2;
  assert.equal(roots.current, undefined, "of another epoch: not told");
  assert.deepEqual(await look(20_900), undefined, "a second between looks");
  assert.deepEqual(await look(21_000), [at(1, 1, 3)]);
});
