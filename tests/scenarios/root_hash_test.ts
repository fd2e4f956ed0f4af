/**
 * Members that hold the same files show the same hash, and one that lacks a file
 * does not (F9).
 *
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { readFile } from "../helpers/api.ts";
import { run } from "../helpers/child.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand } from "../helpers/stack.ts";

async function facts({ api }: Cluster) {
  return (await api.nodes()).map(({ agreement, report, lagChanges }) => ({
    agreement,
    lagChanges,
    hash: report?.root?.hash,
    files: report?.fileCount,
  }));
}

/** Wait until all members show one hash over this many files. */
function untilSameHash(cluster: Cluster, fileCount: number): Promise<string> {
  return eventually(async () => {
    const nodes = await facts(cluster);
    const hashes = new Set(nodes.map(({ hash }) => hash));
    const [hash] = hashes;
    const isSame = nodes.every(({ agreement, files }) =>
      agreement === "same" && files === fileCount
    );
    if (hash !== undefined && hashes.size === 1 && isSame) return hash;
    throw new Error(JSON.stringify(nodes));
  }, { what: "all members to show the same hash", deadlineMs: 30_000 });
}

async function kedge(cluster: Cluster, ...words: string[]): Promise<string> {
  const { tracker } = cluster;
  const done = await run(kedgeCommand([...words, "--tracker", tracker.url]));
  return done.stdout;
}

// 20 s
Deno.test("members show the same hash once nothing is under way", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const random = new Random(seedOfRun("root hash"));
  const empty = await untilSameHash(cluster, 0);
  for (const level of ["A", "B", "C"] as const) {
    for (const size of [10, 200_000]) {
      await api.uploadAt(a.node, random.bytes(size), { level });
    }
  }
  const before = await untilSameHash(cluster, 6);
  assert.notEqual(before, empty);

  await b.kill();
  const { id } = await eventually(
    () => api.upload(random.bytes(5_000), { level: "C" }),
    { what: "an upload without b" },
  );
  await api.upload(random.bytes(500_000), { level: "A" });
  await b.startAndWait();
  await cluster.untilInSync();
  const after = await untilSameHash(cluster, 8);
  assert.notEqual(after, before);
  const short = after.slice(0, 8);
  // A heartbeat may still tell a hash from before: what people see follows.
  await eventually(
    async () =>
      new RegExp(`${short}$`, "m").test(await kedge(cluster, "groups")),
    {
      what: "one hash in `kedge groups`",
    },
  );
  // With each new epoch, as when b came back, hashes are taken anew.
  await eventually(async () => {
    const status = await kedge(cluster, "status");
    assert.equal(status.split(short).length, 4, status);
    const json = JSON.parse(await kedge(cluster, "status", "--json"));
    assert.equal(json.groups[0].nodes[1].report.root.hash, after);
    return true;
  }, { what: "the hash of the group and of both members in `kedge status`" });

  // Whoever forgot which tombstones: what counts is which files there are.
  await api.remove(id);
  const without = await untilSameHash(cluster, 7);
  assert.notEqual(without, after);
});

// 15 s
Deno.test("a member that lacks a file shows another hash, until it is mended", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const random = new Random(seedOfRun("lacks a file"));
  const bytes = random.bytes(3_000);
  const { id } = await api.uploadAt(a.node, bytes, { level: "C" });
  await api.uploadAt(a.node, random.bytes(3_000), { level: "C" });
  const whole = await untilSameHash(cluster, 2);

  await Promise.all([a.stop(), b.stop()]);
  const database = new DatabaseSync(`${b.dir}/kedge.db`);
  database.prepare("DELETE FROM files WHERE id = ?").run(id);
  // What a clean stop has counted.
  database.prepare("DELETE FROM state WHERE key = 'digests'").run();
  database.close();
  await Promise.all([a.startAndWait(), b.startAndWait()]);

  await eventually(async () => {
    const nodes = await facts(cluster);
    if (nodes.every(({ agreement }) => agreement === "differs")) return true;
    throw new Error(JSON.stringify(nodes));
  }, { what: "the difference to be noticed", deadlineMs: 15_000, pauseMs: 50 });
  assert.equal(await untilSameHash(cluster, 2), whole);
  assert.deepEqual(await readFile(b.url, id), bytes);
});
