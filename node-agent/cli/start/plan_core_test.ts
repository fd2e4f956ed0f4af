/** What a local cluster is made of, and when it is ready. */
import assert from "node:assert/strict";
import { type ClusterPlan, draftPlan, type Wanted } from "./plan_core.ts";
import { choosePorts } from "./ports.ts";
import { missing } from "./readiness_core.ts";
import { restartDelayMs } from "./restart_core.ts";
import { groupView } from "../testdata/fake_cluster.ts";

const NOTHING: Wanted = {
  hostname: undefined,
  advertise: undefined,
  port: undefined,
  groups: undefined,
  replicas: undefined,
  tls: undefined,
};

const OLD: ClusterPlan = {
  version: 1,
  hostname: "127.0.0.1",
  advertise: "127.0.0.1",
  port: 9000,
  tracker: "http://127.0.0.1:9000",
  groups: 1,
  replicas: 2,
  tls: true,
  agents: [
    { index: 1, group: "group1", port: 9001, peerPort: 9003 },
    { index: 2, group: "group1", port: 9002, peerPort: 9004 },
  ],
};

Deno.test("restartDelayMs() doubles to five seconds and forgives a healthy run", () => {
  const delays: number[] = [];
  let delay: number | undefined;
  for (let death = 0; death < 8; death++) {
    delay = restartDelayMs(delay, 30);
    delays.push(delay);
  }
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  assert.equal(restartDelayMs(5000, 10_000), 100);
  assert.equal(restartDelayMs(5000, 9999), 5000);
});

Deno.test("draftPlan() begins with a group of two on 8080", () => {
  const drafted = draftPlan(undefined, NOTHING);
  assert(drafted.ok);
  const { agents, ...rest } = drafted.draft;
  assert.deepEqual(rest, {
    hostname: "127.0.0.1",
    advertise: undefined,
    groups: 1,
    replicas: 2,
    tls: false,
    port: 8080,
    isPortFree: false,
  });
  assert.deepEqual(agents.map(({ index, group }) => [index, group]), [
    [1, "group1"],
    [2, "group1"],
  ]);
});

Deno.test("draftPlan() continues, grows, and never shrinks", () => {
  const same = draftPlan(OLD, NOTHING);
  assert(same.ok);
  assert.deepEqual(same.draft.agents, OLD.agents);
  assert.equal(same.draft.tls, true);
  assert.equal(same.draft.port, 9000);

  const grown = draftPlan(OLD, { ...NOTHING, groups: 2, replicas: 3 });
  assert(grown.ok);
  assert.deepEqual(grown.draft.agents.slice(0, 2), OLD.agents);
  assert.deepEqual(
    grown.draft.agents.slice(2).map(({ index, group }) => [index, group]),
    [[3, "group1"], [4, "group2"], [5, "group2"], [6, "group2"]],
  );
  assert.equal(draftPlan(OLD, { ...NOTHING, replicas: 1 }).ok, false);
});

Deno.test("draftPlan() keeps the port of the last start when any will do", () => {
  const drafted = draftPlan(OLD, { ...NOTHING, port: 0 });
  assert(drafted.ok);
  assert.equal(drafted.draft.port, 9000);
  assert.equal(drafted.draft.isPortFree, true);
});

Deno.test("choosePorts() evades ports that are taken, but not the one asked for", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const drafted = draftPlan(undefined, { ...NOTHING, port });
  assert(drafted.ok);
  assert.throws(() => choosePorts(drafted.draft), /taken by another program/);

  const plan = choosePorts({
    ...drafted.draft,
    isPortFree: true,
    agents: [{ index: 1, group: "group1", port, peerPort: port }],
  });
  const [agent] = plan.agents;
  const ports = [plan.port, agent?.port, agent?.peerPort];
  assert.equal(new Set(ports).size, 3);
  assert(!ports.includes(port));
});

Deno.test("choosePorts() looks for peers' ports where peers listen", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const drafted = draftPlan(undefined, {
    ...NOTHING,
    hostname: "127.0.0.77",
    port: 0,
  });
  assert(drafted.ok);
  const agents = [
    { index: 1, group: "group1", port: undefined, peerPort: port },
  ];
  const [agent] = choosePorts({ ...drafted.draft, agents }).agents;
  assert.notEqual(agent?.peerPort, port);
});

Deno.test("missing() tells what a start still waits for", () => {
  const agents = [
    { index: 1, group: "group1", node: 1 },
    { index: 2, group: "group1", node: 2 },
  ];
  const good = groupView();
  const { register } = good;
  const [first, second] = good.nodes;
  assert(first !== undefined && second !== undefined);
  const table: [Parameters<typeof missing>, RegExp | undefined][] = [
    [[agents, [good]], undefined],
    [[agents, undefined], /tracker/],
    [[agents, []], /group1/],
    [
      [[{ ...agents[0], node: undefined, index: 1, group: "group1" }], [good]],
      /node-1/,
    ],
    [
      [agents, [{ ...good, register: { ...register, insync: [1] } }]],
      /node-2 is copying/,
    ],
    [
      [agents, [{ ...good, nodes: [first, { ...second, alive: false }] }]],
      /report of node-2/,
    ],
    [[agents, [{ ...good, writable: false }]], /takes uploads/],
  ];
  for (const [args, wanted] of table) {
    const line = missing(...args);
    if (wanted === undefined) assert.equal(line, undefined);
    else assert.match(line ?? "", wanted);
  }
});
