/**
 * One of several disks of a node is replaced by an empty one while the node
 * runs: `open-path` takes it in, and the group fills it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile } from "../helpers/api.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

// 15 s
Deno.test("a new, empty disk is taken in and filled from the group", async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at < 150; at++) {
    const body = new Uint8Array(at % 10 === 0 ? 200_000 : 500).fill(at + 1);
    const { id } = await api.uploadAt(a.node, body, { level: "C" });
    files.set(id, body);
  }
  const insync = async () => (await api.group()).register.insync;
  const alarms = async () =>
    (await api.nodes()).find(({ node }) => node === b.node)?.report?.alarms
      .join("\n") ?? "";
  const open = () => api.call("POST", `/v1/nodes/${b.node}/paths/0/open`);

  await t.step("a strange disk is refused", async () => {
    await Deno.rename(`${b.dir}/store`, `${b.dir}/away`);
    await eventually(async () => (await insync()).join() === `${a.node}`, {
      what: "the node without its disk to leave",
    });
    const isTold = async () =>
      /^store path M00 is missing/.test(await alarms());
    await eventually(isTold, { what: "the alarm" });
    await assert.rejects(open(), /is it mounted/);
    await Deno.mkdir(`${b.dir}/store/data/00`, { recursive: true });
    await assert.rejects(open(), /no marker but files/);
  });

  await t.step(
    "an empty one is filled, and only then the node counts",
    async () => {
      await Deno.remove(`${b.dir}/store/data`, { recursive: true });
      await open();
      await cluster.untilInSync();
      const isOver = async () => !/store path/.test(await alarms());
      await eventually(isOver, { what: "the alarm to end" });
      // Every byte is on the new disk: the other node is not asked.
      await a.stop();
      for (const [id, body] of files) {
        const path = `${b.dir}/store/data/${id.split("/").slice(2).join("/")}`;
        assert.deepEqual(await Deno.readFile(path), body, id);
      }
      await a.startAndWait();
      await cluster.untilInSync();
      for (const [id, body] of files) {
        assert.deepEqual(await readFile(b.url, id), body);
      }
    },
  );
});
