/**
 * Who a node is: one process per data directory (S11), the same node at another
 * address (S12), and a wall clock that is ten years off (S35).
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, sha256 } from "../helpers/api.ts";
import {
  type Acknowledged,
  expectAllReadable,
  untilSame,
} from "../helpers/census.ts";
import { Child, run } from "../helpers/child.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually, pause, within } from "../helpers/eventually.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand, loopbackAddress } from "../helpers/stack.ts";

const text = (words: string) => new TextEncoder().encode(words);

// 20 s
Deno.test("S11, S12: one data directory, one agent", async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const { id } = await api.upload(text("once"), { level: "C" });
  const start = (dir: string) => {
    const address = loopbackAddress();
    const command = kedgeCommand([
      ...["agent", "--json", "--data", dir, "--tracker", cluster.tracker.url],
      ...["--listen", `${address}:8090`, "--peer-listen", `${address}:9090`],
    ]);
    const env = { KEDGE_RESERVED_STORAGE_SPACE: "64MB" };
    return { child: Child.start(scope, { command, env }), address };
  };

  await t.step(
    "S11: a second agent on the same directory refuses",
    async () => {
      const { child } = start(b.dir);
      const { code } = await within(child.status, { what: "the refusal" });
      assert.notEqual(code, 0);
      assert.match(child.text, /lock|in use|running|another/i);
      assert.deepEqual(await readFile(b.url, id), text("once"));
    },
  );

  await t.step("S11: a cloned disk does no harm", async () => {
    const clone = `${cluster.dir}/clone`;
    await run(["cp", "-a", b.dir, clone]);
    const { child } = start(clone);
    // Either it refuses, or the group must survive two of a kind.
    await Promise.race([child.status, pause(6_000)]);
    await child.kill();
    await cluster.untilInSync();
    // Until b reports again, the tracker may still send us to the dead clone.
    const answer = await eventually(
      () => api.upload(text("after the clone"), { level: "C" }),
      { what: "an upload after the clone" },
    );
    for (const { url } of [a, b]) {
      assert.deepEqual(await readFile(url, answer.id), text("after the clone"));
    }
    await untilSame(cluster);
  });

  await t.step("S12: the same node at another address", async () => {
    await b.stop();
    const { child, address } = start(b.dir);
    await child.line(/"ready":true/);
    await eventually(async () => {
      const nodes = await api.nodes();
      const url = nodes.find(({ node }) => node === b.node)?.report?.url;
      return url === `http://${address}:8090`;
    }, { what: "the tracker to know the new address" });
    await cluster.untilInSync();
    const url = `http://${address}:8090`;
    assert.deepEqual(await readFile(url, id), text("once"));
    // Its clone has reported since, so b checks its data first.
    const answer = await eventually(
      () => api.uploadAt(b.node, text("moved"), { level: "C" }),
      { what: "an upload at the new address" },
    );
    assert.deepEqual(await readFile(a.url, answer.id), text("moved"));
  });
});

const LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
const noFakeTime = !await Deno.stat(LIBRARY).then(() => true, () => false);
if (noFakeTime) say("SKIPPED S35: libfaketime is not installed");

// 25 s
Deno.test({
  name: "S35: a wall clock ten years off changes nothing but displays",
  ignore: noFakeTime,
}, async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const acknowledged: Acknowledged[] = [];
  const clock = (offset: string) => ({
    LD_PRELOAD: LIBRARY,
    FAKETIME: offset,
    DONT_FAKE_MONOTONIC: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  });
  const use = async (what: string) => {
    for (const agent of [a, b]) {
      for (let i = 0; i < 5; i++) {
        const body = text(`${what} ${agent.name} ${i}`);
        const answer = await eventually(
          () => api.uploadAt(agent.node, body, { level: "C" }),
          { what: `an upload at ${agent.name} with ${what}` },
        );
        acknowledged.push({ id: answer.id, sha256: await sha256(body) });
      }
    }
    await untilSame(cluster);
    await expectAllReadable(cluster, acknowledged);
  };
  await use("right clocks");
  for (const offset of ["+3650d", "-3650d"]) {
    await b.kill();
    await b.startAndWait(clock(offset));
    await cluster.untilInSync();
    await use(`b at ${offset}`);
  }
  await b.stop();
  await b.startAndWait();
  await cluster.tracker.stop();
  await cluster.tracker.startAndWait(clock("+3650d"));
  await cluster.untilInSync();
  await use("the tracker at +3650d");
});
