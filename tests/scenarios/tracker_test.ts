/**
 * Trackers and the KV hold no file: they may die (S33, F11) and may be restored
 * from an old copy, which is noticed (S31, F15).
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus, Refused, sha256 } from "../helpers/api.ts";
import {
  type Acknowledged,
  expectAllReadable,
  untilSame,
} from "../helpers/census.ts";
import { run } from "../helpers/child.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually, pause } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

const text = (words: string) => new TextEncoder().encode(words);

// 20 s
Deno.test("F11, S33: without a tracker, reads and uploads go on", async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api, tracker } = cluster;
  const [a, b] = cluster.pair;
  const acknowledged: Acknowledged[] = [];
  const upload = async (
    placed: Awaited<ReturnType<typeof api.place>>,
    words: string,
    level: "A" | "B" | "C",
  ) => {
    const body = text(words);
    const answer = await api.put(placed, body, { level, timeoutMs: 15_000 });
    acknowledged.push({ id: answer.id, sha256: await sha256(body) });
    return answer;
  };
  const atA = await api.placeAt(a.node);
  const atB = await api.placeAt(b.node);
  const first = await upload(atA, "before", "C");

  await t.step("F11: uploads at every level while all are there", async () => {
    await tracker.kill();
    await pause(3_000);
    for (const level of ["A", "B", "C"] as const) {
      for (const placed of [atA, atB]) {
        const answer = await upload(placed, `${level} ${placed.node}`, level);
        assert.equal(answer.level, level);
      }
    }
    for (const { url } of [a, b]) {
      assert.deepEqual(await readFile(url, first.id), text("before"));
    }
  });

  await t.step("F11: a member is missing: C waits, it never lies", async () => {
    await b.kill();
    await assert.rejects(
      upload(atA, "alone", "C"),
      (error) => error instanceof Refused && error.status === 503,
    );
    assert.equal(await readStatus(a.url, first.id), 200);
  });

  await t.step("S33: a tracker that comes back serves at once", async () => {
    await tracker.startAndWait();
    await eventually(() => readFile(tracker.url, first.id), {
      what: "a read through the new tracker",
    });
    await eventually(() => upload(atA, "again", "C"), {
      what: "an upload at C after the shrink",
    });
    await b.startAndWait();
    await cluster.untilInSync();
    await untilSame(cluster);
    await expectAllReadable(cluster, acknowledged);
  });
});

// 25 s
Deno.test("S31: a KV file restored from an old copy is noticed", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api, tracker } = cluster;
  const [a, b] = cluster.pair;
  const before = await api.upload(text("before the copy"), { level: "C" });
  await tracker.stop();
  await run(["cp", "-a", tracker.dir, `${cluster.dir}/old`]);
  await tracker.startAndWait();

  // The register moves on: the peer leaves and returns.
  await b.kill();
  await eventually(() => api.upload(text("alone"), { level: "C" }), {
    what: "an upload after the shrink",
  });
  await b.startAndWait();
  await cluster.untilInSync();
  const after = await api.upload(text("after the copy"), { level: "C" });

  await tracker.stop();
  await run(["rm", "-rf", tracker.dir]);
  await run(["cp", "-a", `${cluster.dir}/old`, tracker.dir]);
  await tracker.startAndWait();

  await eventually(async () => {
    const error = await api.upload(text("no"), { level: "C" }).then(
      () => undefined,
      (error) => error,
    );
    if (error instanceof Refused && error.status === 503) return true;
    throw new Error(`an upload gave ${error ?? "an acknowledgement"}`);
  }, { what: "uploads to stop: the KV is older than the agents" });
  for (const { url } of [a, b]) {
    assert.deepEqual(await readFile(url, before.id), text("before the copy"));
    assert.deepEqual(await readFile(url, after.id), text("after the copy"));
  }
  await eventually(async () => {
    const nodes = await api.nodes();
    return nodes.some(({ report }) => (report?.alarms.length ?? 0) > 0);
  }, { what: "operators to be told" });

  // Whoever restored it declares a member good, with an epoch beyond all that
  // was, says so to every agent, and the group goes on.
  await api.call("POST", "/v1/groups/group1/force", { node: a.node });
  for (const { node } of [a, b]) {
    await api.call("POST", `/v1/nodes/${node}/confirm`);
  }
  const last = await eventually(
    () => api.upload(text("goes on"), { level: "C" }),
    { what: "an upload after the confirmation", deadlineMs: 30_000 },
  );
  await cluster.untilInSync();
  await untilSame(cluster);
  for (const { id } of [before, after, last]) {
    for (const { url } of [a, b]) assert.equal(await readStatus(url, id), 200);
  }
});
