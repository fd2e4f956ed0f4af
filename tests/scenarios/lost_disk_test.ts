/**
 * A disk that goes away under a running agent, and a lone agent that lost all
 * of its data (F13, F14, I19): neither counts as good, and neither says `404`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus } from "../helpers/api.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

// 15 s
Deno.test("a disk that is gone: the others serve, the last good one stays", async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const random = new Random(seedOfRun("lost disk"));
  const files = new Map<string, Uint8Array>();
  for (const size of [0, 900, 20_000, 70_000, 400_000, 3_000_000]) {
    const body = random.bytes(size);
    const { id } = await api.uploadAt(a.node, body, { level: "C" });
    files.set(id, body);
  }
  const insync = async () => (await api.group()).register.insync;
  const expectReadable = async () => {
    for (const [id, body] of files) {
      for (const { url } of [cluster.tracker, a, b]) {
        assert.deepEqual(await readFile(url, id), body);
        const head = await fetch(`${url}/${id}`, { method: "HEAD" });
        assert.equal(head.status, 200);
        const { length } = body;
        assert.equal(head.headers.get("content-length"), String(length));
        if (length < 100) continue;
        const range = await fetch(`${url}/${id}`, {
          headers: { range: "bytes=10-19" },
        });
        assert.equal(range.status, 206);
        assert.deepEqual(await range.bytes(), body.slice(10, 20));
      }
    }
  };

  await t.step("it leaves the set although nobody writes", async () => {
    await Deno.rename(`${b.dir}/store`, `${b.dir}/away`);
    await eventually(async () => (await insync()).join() === `${a.node}`, {
      what: "the node without its disk to leave",
    });
    await expectReadable();
  });

  await t.step(
    "the last good member is neither drained nor removed",
    async () => {
      const refused = /still-needed/;
      await assert.rejects(api.call("DELETE", `/v1/nodes/${a.node}`), refused);
      const mode = { mode: "drain" };
      const drained = api.call("POST", `/v1/nodes/${a.node}/mode`, mode);
      await assert.rejects(drained, refused);
    },
  );

  await t.step("it stays out after a start without its disk", async () => {
    await b.stop();
    await b.startAndWait();
    await expectReadable();
    assert.deepEqual(await insync(), [a.node]);
  });

  await t.step("with its disk it comes back", async () => {
    await b.stop();
    await Deno.remove(`${b.dir}/store`, { recursive: true }).catch(() => {});
    await Deno.rename(`${b.dir}/away`, `${b.dir}/store`);
    await b.startAndWait();
    await cluster.untilInSync();
    await expectReadable();
  });
});

// 8 s
Deno.test("a lone agent that lost everything says 503 until an operator decides", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope, { agents: 1 });
  const { api } = cluster;
  const a = cluster.agent(0);
  const upload = () => api.upload(new Uint8Array(5_000).fill(7));
  const { id } = await eventually(upload, { what: "an upload" });
  await a.stop();
  for await (const { name } of Deno.readDir(a.dir)) {
    if (name === "agent.json") continue;
    await Deno.remove(`${a.dir}/${name}`, { recursive: true });
  }
  a.start();
  await a.untilUp();
  const alarmOf = async () => (await api.nodes())[0]?.report?.alarms.join();
  await eventually(
    async () => /group force group1/.test(await alarmOf() ?? ""),
    {
      what: "the alarm",
    },
  );
  for (let i = 0; i < 10; i++) {
    assert.equal(await readStatus(a.url, id), 503);
    assert.equal(await readStatus(cluster.tracker.url, id), 503);
  }
  assert.equal((await api.nodes())[0]?.insync, false);
  await api.call("POST", "/v1/groups/group1/force", { node: a.node });
  await eventually(async () => await readStatus(a.url, id) === 404, {
    what: "the operator's word",
  });
  await cluster.untilInSync();
  await eventually(upload, { what: "an upload" });
});
