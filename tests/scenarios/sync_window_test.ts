/**
 * `sync_start_time` and `sync_end_time`: outside of these hours a member that was
 * away is not brought in; nothing that was acknowledged waits for them.
 */

import assert from "node:assert/strict";
import { eventually } from "../helpers/eventually.ts";
import { readFile } from "../helpers/api.ts";
import { Cluster } from "../helpers/cluster.ts";
import { Scope } from "../helpers/scope.ts";

/** Reports of a node that must come without its catching up. */
const REPORTS = 3;

/** An hour of the day that is not now, nor soon. */
function otherHours(): Record<string, string> {
  const hour = (ahead: number) =>
    String((new Date().getHours() + ahead) % 24).padStart(2, "0");
  return {
    KEDGE_SYNC_START_TIME: `${hour(8)}:00`,
    KEDGE_SYNC_END_TIME: `${hour(9)}:00`,
  };
}

// 12 s
Deno.test("a member that was away is brought in within the hours only", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope, { agentEnv: otherHours() });
  const [a, b] = cluster.pair;
  const { api } = cluster;
  await cluster.untilPlaced();
  // What an answer waits for does not wait for the hours.
  const both = await api.uploadAt(a.node, new Uint8Array([1]));
  assert.equal(both.level, "B");

  await b.stop();
  await cluster.untilInSync([a]);
  const late = await eventually(
    () => api.uploadAt(a.node, new Uint8Array([2])),
    { what: "an upload without b" },
  );
  await b.startAndWait();
  let silentMs = Infinity;
  let reports = 0;
  await eventually(async () => {
    const node = (await api.nodes()).find((one) => one.node === b.node);
    const nowMs = node?.silentMs ?? Infinity;
    if (node?.alive === true && nowMs < silentMs) reports++;
    silentMs = nowMs;
    return reports >= REPORTS;
  }, { what: "reports of the member that waits" });
  assert.deepEqual((await api.group()).register.insync, [a.node]);
  const here = await api.list(b.node);
  assert.deepEqual(here.map(({ id }) => id), [both.id], "nothing was sent");
  // Who asks for a file gets it at any hour.
  assert.deepEqual(await readFile(b.url, late.id), new Uint8Array([2]));

  const always = {
    KEDGE_SYNC_START_TIME: "00:00",
    KEDGE_SYNC_END_TIME: "23:59",
  };
  await Promise.all([a, b].map(async (agent) => {
    await agent.stop();
    await agent.startAndWait(always);
  }));
  await cluster.untilInSync();
});
