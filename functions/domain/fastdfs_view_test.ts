import assert from "node:assert/strict";
import { FastdfsView } from "@kedge/schema/fastdfs-view";
import type { GroupState, MemberState } from "./cluster.ts";
import { fastdfsView } from "./fastdfs_view.ts";
import { type PlacementPolicy, uploadTargets } from "./placement.ts";
import { groupOf, memberOf, seeded, withPath } from "./testing.ts";

const RESERVE = { kind: "percent", percent: 0 } as const;
const POLICY: PlacementPolicy = {
  storeLookup: "round_robin",
  storeGroup: undefined,
  storeServer: "round_robin",
  storePath: "round_robin",
};

/** A member with a gateway. */
function reachable(node: number, given: Partial<MemberState> = {}) {
  const member = { ...memberOf(node), ...given };
  const fastdfs = { hostname: `10.0.0.${node}`, port: 23_000 };
  return { ...member, report: member.report && { ...member.report, fastdfs } };
}

function viewOf(
  groups: readonly GroupState[],
  policy: Partial<PlacementPolicy> = {},
): FastdfsView {
  const view = fastdfsView({
    groups: new Map(groups.map((group) => [group.register.group, group])),
    nodes: new Map(),
    targets: uploadTargets(groups, RESERVE),
  }, {
    policy: { ...POLICY, ...policy },
    draw: seeded(1),
    reserve: RESERVE,
  });
  return FastdfsView.parse(view);
}

Deno.test("draws are spread over the nodes that have a gateway", () => {
  const group = groupOf([reachable(1), memberOf(2), reachable(3)]);
  const { draws, groups: [one] } = viewOf([group]);
  assert.equal(draws.length, 128);
  assert.equal(one?.draws.length, 16);
  const nodes = new Set(draws.map(({ node }) => node));
  assert.deepEqual([...nodes].sort(), [1, 3]);
  assert.deepEqual(
    one?.nodes.map(({ address }) => address?.hostname ?? null),
    ["10.0.0.1", null, "10.0.0.3"],
  );
});

Deno.test("the policy decides, and a group's own draws stay in it", () => {
  const groups = [
    groupOf([reachable(1)], "group1"),
    groupOf([reachable(2)], "group2"),
  ];
  const view = viewOf(groups, {
    storeLookup: "specified_group",
    storeGroup: "group2",
  });
  assert(view.draws.every(({ group }) => group === "group2"));
  assert(view.groups[0]?.draws.every(({ group }) => group === "group1"));
});

Deno.test("nobody takes uploads: no draws, and no pretence of being full", () => {
  const silent = reachable(1, { alive: false });
  const { draws, groups: [one] } = viewOf([groupOf([silent])]);
  assert.deepEqual(draws, []);
  assert.deepEqual(one?.draws, []);
  assert.equal(one?.isFull, false);
  assert.deepEqual(viewOf([]), {
    groups: [],
    draws: [],
    storePath: "round_robin",
  });
});

Deno.test("a group without room is full", () => {
  const full = withPath(1, "full");
  const { groups: [one] } = viewOf([groupOf([reachable(1, full)])]);
  assert.deepEqual(one?.draws, []);
  assert.equal(one?.isFull, true);
});
