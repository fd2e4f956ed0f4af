import assert from "node:assert/strict";
import type { FastdfsView } from "@kedge/schema/fastdfs-view";
import { ClusterSight } from "./cluster_sight.ts";

const VIEW: FastdfsView = { groups: [], draws: [], storePath: "round_robin" };

Deno.test("a tracker that refuses is not asked for every client, nor told of", async () => {
  let nowMs = 0;
  let asked = 0;
  let isUp = true;
  const told: string[] = [];
  const sight = new ClusterSight({
    cluster: {
      fastdfsView() {
        asked++;
        return isUp
          ? Promise.resolve(VIEW)
          : Promise.reject(new Error("refused"));
      },
    },
    clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
    log: { info: () => {}, warn: (message) => void told.push(message) },
  });
  const known = await sight.current();
  isUp = false;
  nowMs = 3000;
  for (let client = 0; client < 100; client++) {
    assert.equal(await sight.current(), known, "the last view goes on");
  }
  assert.equal(asked, 2);
  nowMs = 61_000;
  for (let client = 0; client < 100; client++) {
    await assert.rejects(async () => await sight.current(), /refused/);
  }
  assert.equal(asked, 3);
  assert.equal(told.length, 1);
  isUp = true;
  nowMs += 1000;
  assert.notEqual(await sight.current(), known);
});
