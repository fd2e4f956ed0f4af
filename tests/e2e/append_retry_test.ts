/**
 * Changes of a file's content that are tried again with their Idempotency-Key
 * are made once: at the owner, after its death at the next owner, and at the
 * first one again when it is back.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Uploaded } from "@kedge/schema";
import { ask, readFile } from "../helpers/api.ts";
import { Cluster } from "../helpers/cluster.ts";
import { untilSame } from "../helpers/census.ts";
import { eventually } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

const text = (words: string) => new TextEncoder().encode(words);

// 15 s
Deno.test("an append with a key is made once, whoever is asked again", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const [a, b] = cluster.pair;
  const { id } = await cluster.api.uploadAt(a.node, text("one"), {
    appender: true,
  });
  const append = (key: string, words: string) =>
    eventually(() => keyedAppend(cluster, id, { key, words }), {
      what: `the append ${key}`,
      deadlineMs: 30_000,
    });
  assert.equal((await append("k1", " two")).size, 7);
  assert.equal((await append("k1", " two")).size, 7);

  await a.kill();
  await cluster.untilInSync([b]);
  const atNextOwner = await append("k1", " two");
  assert.equal(atNextOwner.size, 7);
  assert.deepEqual(atNextOwner.holders, [b.node]);
  assert.equal((await append("k2", " three")).size, 13);

  await a.startAndWait();
  await cluster.untilInSync();
  assert.equal((await append("k1", " two")).size, 13);
  assert.equal((await append("k2", " three")).size, 13);
  assert.equal((await append("k3", " four")).size, 18);
  await untilSame(cluster);
  for (const { url } of cluster.agents) {
    const content = new TextDecoder().decode(await readFile(url, id));
    assert.equal(content, "one two three four");
  }
});

/** Through the tracker, which sends the client to the owner. */
function keyedAppend(
  cluster: Cluster,
  id: string,
  { key, words }: { readonly key: string; readonly words: string },
): Promise<Uploaded> {
  return ask("append", `${cluster.tracker.url}/v1/files/${id}/append`, {
    method: "POST",
    body: text(words),
    headers: { "idempotency-key": key },
    signal: AbortSignal.timeout(10_000),
  });
}
