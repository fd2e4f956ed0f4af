/**
 * A data folder that comes back from a backup, or a snapshot of a machine: it
 * looks like a clean stop, and is old (F4, F13, I15, I17, I19).
 *
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { readFile, readStatus, Refused } from "../helpers/api.ts";
import { untilSame } from "../helpers/census.ts";
import { run } from "../helpers/child.ts";
import { type Agent, Cluster } from "../helpers/cluster.ts";
import { eventually, pause } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

const text = (words: string) => new TextEncoder().encode(words);

/** Two agents; b's data is of before a delete and an upload. */
async function withOldCopy(scope: Scope) {
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const deleted = await api.uploadAt(b.node, text("deleted"), { level: "C" });
  await b.stop();
  await run(["cp", "-a", b.dir, `${cluster.dir}/old`]);
  await b.startAndWait();
  await cluster.untilInSync();
  const placed = await api.placeAt(b.node);
  const kept = await eventually(
    () => api.uploadAt(b.node, text("kept"), { level: "C" }),
    { what: "an upload at b" },
  );
  await api.remove(deleted.id);
  await Promise.all([a.stop(), b.stop()]);
  const before = recordsOf(b);
  await run(["rm", "-rf", b.dir]);
  await run(["cp", "-a", `${cluster.dir}/old`, b.dir]);
  return { cluster, api, a, b, deleted, kept, placed, before };
}

/** The log of an agent that is stopped: what each number means. */
function recordsOf(agent: Agent): Map<string, unknown> {
  const database = new DatabaseSync(`${agent.dir}/kedge.db`);
  try {
    const rows = database
      .prepare("SELECT incarnation, sequence, record FROM changes").all();
    return new Map(
      rows.map((row) => [`${row.incarnation}/${row.sequence}`, row.record]),
    );
  } finally {
    database.close();
  }
}

/** Its door is shut for a moment when it starts again by itself. */
async function statusOrGone(url: string, id: string): Promise<number> {
  return await readStatus(url, id).catch((error) => {
    if (error instanceof TypeError) return 503;
    throw error;
  });
}

/** For some seconds, nothing wrong is said. */
async function expectSilence(
  { b, api, deleted, kept, placed }: Awaited<ReturnType<typeof withOldCopy>>,
) {
  for (let look = 0; look < 30; look++) {
    assert.equal(await statusOrGone(b.url, deleted.id), 503);
    assert.equal(await statusOrGone(b.url, kept.id), 503);
    await assert.rejects(
      api.put(placed, text("too early"), { level: "A", timeoutMs: 5_000 }),
      (error) =>
        error instanceof TypeError ||
        error instanceof Refused && error.status === 503,
    );
    await pause(100);
  }
}

async function expectHealed(given: Awaited<ReturnType<typeof withOldCopy>>) {
  const { cluster, api, a, b, deleted, kept, before } = given;
  await cluster.untilInSync();
  for (const { url } of [a, b]) {
    await eventually(async () => await readStatus(url, deleted.id) === 404, {
      what: "the deleted file to stay deleted",
    });
    assert.deepEqual(await readFile(url, kept.id), text("kept"));
  }
  const last = await eventually(
    () => api.uploadAt(b.node, text("goes on"), { level: "C" }),
    { what: "an upload at b" },
  );
  assert.deepEqual(await readFile(a.url, last.id), text("goes on"));
  await untilSame(cluster);
  await eventually(async () => {
    const nodes = await api.nodes();
    return nodes.every(({ agreement }) => agreement === "same");
  }, { what: "the members to show that they are equal" });
  await b.stop();
  const now = recordsOf(b);
  assert(now.size > 1);
  for (const [number, record] of now) {
    assert.deepEqual(before.get(number) ?? record, record, "I17");
  }
}

// 20 s
Deno.test("a data folder from a backup is no authority, also when alone", async () => {
  await using scope = new Scope();
  const given = await withOldCopy(scope);
  await given.b.startAndWait();
  await expectSilence(given);
  await given.b.child.line(/older copy/);
  await given.a.startAndWait();
  await expectHealed(given);
});

// 25 s
Deno.test("without a tracker, the others know that it is an old copy", async () => {
  await using scope = new Scope();
  const given = await withOldCopy(scope);
  const { cluster, a, b, deleted, kept } = given;
  await cluster.tracker.stop();
  await b.startAndWait();
  await expectSilence(given);
  await a.startAndWait();
  await eventually(() => readFile(b.url, kept.id), {
    what: "a read at b through its peer",
  });
  assert.equal(await readStatus(b.url, deleted.id), 404);
  await cluster.tracker.startAndWait();
  await expectHealed(given);
});

// 15 s
Deno.test("F11: agents that start without a tracker go on together", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const { id } = await api.upload(text("before"), { level: "C" });
  const placed = await api.placeAt(a.node);
  await Promise.all([a.stop(), b.stop(), cluster.tracker.stop()]);
  await a.startAndWait();
  assert.equal(await readStatus(a.url, id), 503);
  await b.startAndWait();
  const answer = await eventually(
    () => api.put(placed, text("without"), { level: "C" }),
    { what: "an upload without a tracker" },
  );
  assert.equal(answer.level, "C");
  for (const { url } of [a, b]) {
    const before = await eventually(() => readFile(url, id), {
      what: "the other one to confirm",
    });
    assert.deepEqual(before, text("before"));
    assert.deepEqual(await readFile(url, answer.id), text("without"));
  }
});
