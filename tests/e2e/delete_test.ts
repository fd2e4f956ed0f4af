/**
 * An acknowledged delete never comes back (F4): not after a kill, a cut, or the
 * return of a member that slept through it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus, Refused } from "../helpers/api.ts";
import { expectGone, untilSame } from "../helpers/census.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually, pause } from "../helpers/eventually.ts";
import { hasNamespaces } from "../helpers/network.ts";
import { Scope } from "../helpers/scope.ts";

const text = (words: string) => new TextEncoder().encode(words);

// 15 s
Deno.test("a delete that a dead member missed reaches it on return", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const ids: string[] = [];
  for (let i = 0; i < 30; i++) {
    const { id } = await api.upload(text(`file ${i}`), { level: "C" });
    ids.push(id);
  }
  const kept = await api.upload(text("kept"), { level: "C" });

  // A third with everybody there, a third while one is dead, the rest then.
  for (const id of ids.slice(0, 10)) {
    const answer = await api.remove(id);
    assert.deepEqual([...answer.holders].sort(), [a.node, b.node].sort());
  }
  await b.kill();
  for (const id of ids.slice(10, 20)) {
    await eventually(() => removeOnce(cluster, id), {
      what: "a delete without the peer",
    });
    assert.equal(await readStatus(a.url, id), 404);
  }
  await b.startAndWait();
  for (const id of ids.slice(20)) {
    await eventually(() => removeOnce(cluster, id, "eventual"), {
      what: "an eventual delete",
    });
  }
  await a.kill();
  await a.startAndWait();
  await cluster.untilInSync();
  await untilSame(cluster);
  await expectGone(cluster, ids, readStatus);
  for (const { url } of cluster.agents) {
    assert.deepEqual(await readFile(url, kept.id), text("kept"));
  }

  // Everybody dies and comes back: still gone.
  await Promise.all([a.kill(), b.kill()]);
  await Promise.all([a.startAndWait(), b.startAndWait()]);
  await cluster.untilInSync();
  await expectGone(cluster, ids, readStatus);
});

const ignore = !await hasNamespaces("delete through a cut");

// 25 s
Deno.test({ name: "a delete during a cut is final", ignore }, async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope, { isNetworked: true });
  const { api, network } = cluster;
  assert(network !== undefined);
  const [a, b] = cluster.pair;
  const ids: string[] = [];
  for (let i = 0; i < 10; i++) {
    ids.push((await api.uploadAt(b.node, text(`file ${i}`))).id);
  }
  await network.cut("a", "b");
  await network.cut("b", "tracker");
  for (const id of ids) {
    await eventually(() => removeOnce(cluster, id), {
      what: "a delete on this side of the cut",
      deadlineMs: 30_000,
    });
    assert.equal(await readStatus(a.url, id), 404);
  }
  // The lonely side must stop serving what may be deleted (read lease).
  await eventually(async () => await readStatus(b.url, ids[0] ?? "") === 503, {
    what: "the cut-off node to stop serving reads",
    deadlineMs: 40_000,
  });
  await network.heal();
  await cluster.untilInSync();
  await expectGone(cluster, ids, readStatus);
  await pause(1_500);
  await expectGone(cluster, ids, readStatus);
  await untilSame(cluster);
});

/** Delete; a file that is gone already counts: a retry may find it so. */
async function removeOnce(
  cluster: Cluster,
  id: string,
  how: "sync" | "eventual" = "sync",
): Promise<true> {
  try {
    await cluster.api.remove(id, how);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
  }
  return true;
}
