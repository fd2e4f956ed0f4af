/**
 * The shared KV store is lost without a copy, on a cluster that nobody started
 * with `kedge start`: the commands of docs/operations.md bring it back.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus } from "../helpers/api.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

// 10 s
Deno.test("nodes keep numbers and files when the KV store is lost", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api, tracker } = cluster;
  const [a, b] = cluster.pair;
  const files = new Map<string, Uint8Array>();
  for (const size of [1, 5000, 400_000]) {
    const body = new Uint8Array(size).fill(7);
    const { id } = await api.uploadAt(a.node, body, { level: "C" });
    files.set(id, body);
  }
  const gone = await api.uploadAt(b.node, new Uint8Array(9), { level: "C" });
  await api.remove(gone.id);
  await Promise.all([a.stop(), b.stop()]);
  await tracker.stop();
  for (const name of ["kv.db", "kv.db-wal", "kv.db-shm"]) {
    await Deno.remove(`${tracker.dir}/${name}`).catch(() => {});
  }
  await tracker.startAndWait();

  for (const agent of [b, a]) {
    const wanted = { kind: "join", group: "group1", createGroup: true };
    const { token } = await api.call<{ token: string }>("POST", "/v1/tokens", {
      ...wanted,
      expiresS: 600,
    });
    const before = agent.node;
    await Deno.rename(
      `${agent.dir}/agent.json`,
      `${agent.dir}/agent.json.old`,
    );
    agent.start({ KEDGE_JOIN_TOKEN: token });
    await agent.untilJoined();
    assert.equal(agent.node, before);
  }
  const isTold = async () =>
    (await api.nodes()).every(({ report }) =>
      /was restored/.test(report?.alarms.join() ?? "")
    );
  await eventually(isTold, { what: "the alarms" });
  await assert.rejects(api.upload(new Uint8Array(3)));
  await api.call("POST", "/v1/groups/group1/force", { node: a.node });
  for (const { node } of [a, b]) {
    await api.call("POST", `/v1/nodes/${node}/confirm`);
  }
  await cluster.untilInSync();
  for (const { url } of [a, b]) {
    for (const [id, body] of files) {
      assert.deepEqual(await readFile(url, id), body);
    }
    assert.equal(await readStatus(url, gone.id), 404);
  }
  await api.uploadAt(b.node, new Uint8Array(10), { level: "C" });
});
