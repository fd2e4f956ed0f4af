import assert from "node:assert/strict";
import { GroupSettings, GroupView } from "@kedge/schema";
import { groupStates } from "./cluster.ts";
import { groupSpace } from "./space.ts";
import { groupOf, memberOf } from "./testing.ts";
import { lagOf } from "./lag.ts";
import { viewGroup } from "./views.ts";
import { heartbeatOf } from "../testing.ts";

const GIB = 2 ** 30;
const RESERVE = { kind: "bytes", bytes: GIB } as const;

function withSpace(node: number, totalGib: number, freeGib: number[]) {
  return memberOf(node, {
    report: heartbeatOf({
      storePaths: freeGib.map((gib, index) => ({
        index,
        totalBytes: totalGib * GIB,
        freeBytes: gib * GIB,
        state: "writable",
      })),
    }),
  });
}

Deno.test("a group is as large as its smallest member and as full as its fullest", () => {
  const group = groupOf([
    withSpace(1, 100, [50, 50]),
    withSpace(2, 300, [2, 3]),
    { ...withSpace(3, 1, [1]), insync: false },
  ]);
  assert.deepEqual(groupSpace(group, RESERVE), {
    totalBytes: 200 * GIB,
    freeBytes: 3 * GIB,
  });
});

Deno.test("a group nobody has reported for has no space", () => {
  const group = groupOf([memberOf(1, { report: undefined, alive: false })]);
  assert.deepEqual(groupSpace(group, RESERVE), { totalBytes: 0, freeBytes: 0 });
});

Deno.test("viewGroup() is what the API promises", () => {
  const group = groupOf([memberOf(1), memberOf(2, { report: undefined })]);
  const view = GroupView.parse(viewGroup(group, RESERVE));
  assert.equal(view.writable, true);
  assert.equal(view.nodes[1]?.report, null);
});

Deno.test("lag counts what others have made and this member has not", () => {
  const head = (origin: number, incarnation: number, sequence: number) => ({
    origin,
    incarnation,
    sequence,
  });
  const other = (node: number, incarnation: number, sequence: number) =>
    memberOf(node, {
      report: heartbeatOf({ head: head(node, incarnation, sequence) }),
    });
  const member = memberOf(1, {
    report: heartbeatOf({ positions: [head(2, 1, 7), head(3, 1, 9)] }),
  });
  const group = groupOf([member, other(2, 1, 10), other(3, 2, 4)]);
  assert.equal(lagOf(group, member), 3 + 4); // 3 began a new log of 4
  assert.equal(lagOf(groupOf([member]), member), 0);
});

Deno.test("a node is alive until it has missed check_active_interval", () => {
  const isAlive = (silentMs: number) => {
    const { register } = groupOf([memberOf(1)]);
    const [group] = groupStates({
      registers: [register],
      settings: new Map(),
      nodes: new Map(),
      reports: new Map([[1, { silentMs, heartbeat: heartbeatOf() }]]),
    }, { checkActiveIntervalMs: 4000, defaults: GroupSettings.parse({}) });
    return group?.members[0]?.alive;
  };
  assert.equal(isAlive(4000), true);
  assert.equal(isAlive(4001), false);
});

Deno.test("a node that is a member but has no record takes no uploads", () => {
  const { register } = groupOf([memberOf(1)]);
  const [group] = groupStates({
    registers: [register],
    settings: new Map(),
    nodes: new Map(),
    reports: new Map(),
  }, {
    checkActiveIntervalMs: 1,
    defaults: GroupSettings.parse({}),
  });
  assert.equal(group?.members[0]?.mode, "draining");
});
