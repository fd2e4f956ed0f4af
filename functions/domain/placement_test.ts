import assert from "node:assert/strict";
import type { StorePathReport } from "@kedge/schema";
import fc from "fast-check";
import type { MemberState } from "./cluster.ts";
import {
  isWritable,
  place,
  type PlacementPolicy,
  uploadTargets,
} from "./placement.ts";
import { roomOf } from "./space.ts";
import { chiSquare, groupOf, memberOf, seeded } from "./testing.ts";

const GIB = 2 ** 30;
const RESERVE = { kind: "bytes", bytes: GIB } as const;
const POLICY: PlacementPolicy = {
  storeLookup: "round_robin",
  storeGroup: undefined,
  storeServer: "round_robin",
  storePath: "round_robin",
};

const anyPath = (index: number): fc.Arbitrary<StorePathReport> =>
  fc.record({
    index: fc.constant(index),
    totalBytes: fc.constant(100 * GIB),
    freeBytes: fc.integer({ min: 0, max: 20 }).map((gib) => gib * GIB),
    state: fc.constantFrom(
      "writable",
      "writable",
      "read-only",
      "full",
      "fenced",
      "missing",
    ),
  });

const anyMember = (node: number): fc.Arbitrary<MemberState> =>
  fc.record({
    paths: fc.tuple(anyPath(0), anyPath(1), anyPath(2)),
    mode: fc.constantFrom("active", "active", "draining", "read-only"),
    insync: fc.boolean(),
    alive: fc.boolean(),
    heard: fc.boolean(),
    uploadPriority: fc.nat(3),
  }).map(({ paths, heard, uploadPriority, ...rest }) => {
    const member = memberOf(node, rest);
    const { report } = member;
    return {
      ...member,
      alive: member.alive && heard,
      report: heard && report
        ? { ...report, storePaths: paths, uploadPriority }
        : undefined,
    };
  });

const anyGroups = fc.tuple(
  fc.tuple(anyMember(1), anyMember(2), anyMember(3)),
  fc.tuple(anyMember(4), anyMember(5)),
).map(([one, two]) => [groupOf(one, "one"), groupOf(two, "two")]);

const anyPolicy: fc.Arbitrary<PlacementPolicy> = fc.record({
  storeLookup: fc.constantFrom(
    "round_robin",
    "load_balance",
    "specified_group",
  ),
  storeGroup: fc.constant("two"),
  storeServer: fc.constantFrom(
    "round_robin",
    "first_by_ip",
    "first_by_priority",
  ),
  storePath: fc.constantFrom("round_robin", "load_balance"),
});

const anyRequest = fc.record({
  sizeBytes: fc.option(fc.nat(20 * GIB), { nil: undefined }),
  group: fc.option(fc.constantFrom("one", "two", "none"), { nil: undefined }),
});

Deno.test("place() never chooses a node or path that must not be chosen", () => {
  fc.assert(
    fc.property(
      anyGroups,
      anyPolicy,
      anyRequest,
      fc.integer(),
      (groups, policy, request, seed) => {
        const targets = uploadTargets(groups, RESERVE);
        const placed = place(targets, request, { policy, draw: seeded(seed) });
        if (!placed.ok) return;
        const group = groups.find(({ register }) =>
          register.group === placed.group.group
        );
        const member = group?.members
          .find(({ node }) => node === placed.node.node);
        assert(group && member?.report);
        assert(member.insync && member.alive && member.mode === "active");
        const size = request.sizeBytes ?? 1;
        for (const { insync, node, report } of group.members) {
          const path: StorePathReport | undefined = report?.storePaths
            .find(({ index }) => index === placed.pathIndex);
          if (!insync || path === undefined) continue;
          if (node === member.node) assert.equal(path.state, "writable");
          // A peer that could write there must have the room as well.
          if (path.state === "writable" || path.state === "full") {
            assert(roomOf(path, RESERVE) >= Math.max(1, size));
          }
        }
        if (request.group) assert.equal(placed.group.group, request.group);
        else if (policy.storeLookup === "specified_group") {
          assert.equal(placed.group.group, "two");
        }
      },
    ),
  );
});

Deno.test("place() finds a place whenever one node could take the file", () => {
  fc.assert(
    fc.property(anyGroups, fc.integer(), (groups, seed) => {
      const targets = uploadTargets(groups, RESERVE);
      const { ok } = place(targets, {}, {
        policy: POLICY,
        draw: seeded(seed),
      });
      assert.equal(ok, isWritable(targets));
    }),
  );
});

Deno.test("place() spreads 10,000 uploads evenly over groups, nodes and paths", () => {
  const paths = [0, 1].map((index) => ({
    index,
    totalBytes: 100 * GIB,
    freeBytes: 50 * GIB,
    state: "writable" as const,
  }));
  const groups = ["one", "two", "three"].map((name, at) =>
    groupOf(
      [1, 2].map((node) => withPaths(memberOf(at * 2 + node), paths)),
      name,
    )
  );
  const targets = uploadTargets(groups, RESERVE);
  const draw = seeded(42);
  const counts = new Map<string, number>();
  for (let upload = 0; upload < 10_000; upload++) {
    const placed = place(targets, {}, { policy: POLICY, draw });
    assert(placed.ok);
    const where = `${placed.node.node}/${placed.pathIndex}`;
    counts.set(where, (counts.get(where) ?? 0) + 1);
  }
  assert.equal(counts.size, 12);
  assert(chiSquare([...counts.values()]) < 31.26); // 99.9 %, 11 degrees
});

Deno.test("load_balance takes the group whose fullest member has most room", () => {
  const free = (gib: number) => ({
    index: 0,
    totalBytes: 100 * GIB,
    freeBytes: gib * GIB,
    state: "writable" as const,
  });
  const groups = [
    groupOf([
      withPaths(memberOf(1), [free(90)]),
      withPaths(memberOf(2), [free(5)]),
    ], "one"),
    groupOf([
      withPaths(memberOf(3), [free(20)]),
      withPaths(memberOf(4), [free(20)]),
    ], "two"),
  ];
  const policy = { ...POLICY, storeLookup: "load_balance" as const };
  const targets = uploadTargets(groups, RESERVE);
  for (let seed = 0; seed < 50; seed++) {
    const placed = place(targets, {}, { policy, draw: seeded(seed) });
    assert(placed.ok && placed.group.group === "two");
  }
});

Deno.test("first_by_ip compares addresses as numbers", () => {
  const at = (node: number, hostname: string) => {
    const member = memberOf(node);
    assert(member.report);
    const peerAddress = { hostname, port: 1 };
    return { ...member, report: { ...member.report, peerAddress } };
  };
  const group = groupOf([at(1, "10.0.0.10"), at(2, "10.0.0.9"), at(3, "a.b")]);
  assert.equal(chosenBy(group, "first_by_ip"), 2);
});

Deno.test("first_by_priority takes the lowest number, then the lowest address", () => {
  const withPriority = (node: number, uploadPriority: number) => {
    const member = memberOf(node);
    assert(member.report);
    return { ...member, report: { ...member.report, uploadPriority } };
  };
  const group = groupOf([
    withPriority(1, 10),
    withPriority(3, 5),
    withPriority(2, 5),
  ]);
  assert.equal(chosenBy(group, "first_by_priority"), 2);
});

Deno.test("a path that is fenced on a peer is the last choice", () => {
  const path = (index: number, state: StorePathReport["state"]) => ({
    index,
    totalBytes: 100 * GIB,
    freeBytes: 50 * GIB,
    state,
  });
  const whole = memberOf(1, { mode: "active" });
  const broken = withPaths(memberOf(2, { mode: "draining" }), [
    path(0, "fenced"),
    path(1, "writable"),
  ]);
  const both = [path(0, "writable"), path(1, "writable")];
  const chosen = (paths: StorePathReport[]) => {
    const group = groupOf([withPaths(whole, paths), broken]);
    const targets = uploadTargets([group], RESERVE);
    const indexes = Array.from({ length: 20 }, (_, seed) => {
      const options = { policy: POLICY, draw: seeded(seed) };
      const placed = place(targets, {}, options);
      return placed.ok ? placed.pathIndex : placed.why;
    });
    return [...new Set(indexes)];
  };
  assert.deepEqual(chosen(both), [1]);
  assert.deepEqual(chosen([path(0, "writable")]), [0]);
});

Deno.test("place() says whether nobody is there, nobody has room, or it is too large", () => {
  const why = (members: MemberState[], request: { sizeBytes?: number }) => {
    const targets = uploadTargets([groupOf(members)], RESERVE);
    const options = { policy: POLICY, draw: seeded(1) };
    const placed = place(targets, request, options);
    return placed.ok ? "placed" : placed.why;
  };
  const full = withPaths(memberOf(1), [{
    index: 0,
    totalBytes: 100 * GIB,
    freeBytes: GIB,
    state: "writable",
  }]);
  assert.equal(why([memberOf(1)], {}), "placed");
  assert.equal(why([memberOf(1, { alive: false })], {}), "nobody");
  assert.equal(why([full], {}), "no-room");
  assert.equal(why([memberOf(1), full], {}), "no-room");
  assert.equal(why([memberOf(1)], { sizeBytes: 60 * GIB }), "no-room");
  assert.equal(why([memberOf(1)], { sizeBytes: 2 ** 41 }), "too-large");
});

Deno.test("a node that waits for a new generation gets no uploads", () => {
  const member = memberOf(1);
  assert(member.report);
  const gen = crypto.randomUUID();
  const group = groupOf([{ ...member, report: { ...member.report, gen } }]);
  assert.deepEqual(uploadTargets([group], RESERVE), []);
});

Deno.test("a reserve in percent counts from the size of each path", () => {
  const path = {
    index: 0,
    totalBytes: 100 * GIB,
    freeBytes: 21 * GIB,
    state: "writable" as const,
  };
  assert.equal(roomOf(path, { kind: "percent", percent: 20 }), GIB);
  assert.equal(roomOf(path, { kind: "percent", percent: 30 }), 0);
  assert.equal(roomOf({ ...path, state: "fenced" }, RESERVE), 0);
});

function chosenBy(
  group: ReturnType<typeof groupOf>,
  storeServer: PlacementPolicy["storeServer"],
): number | undefined {
  const placed = place(uploadTargets([group], RESERVE), {}, {
    policy: { ...POLICY, storeServer },
    draw: seeded(3),
  });
  return placed.ok ? placed.node.node : undefined;
}

function withPaths(
  member: MemberState,
  storePaths: StorePathReport[],
): MemberState {
  assert(member.report);
  return { ...member, report: { ...member.report, storePaths } };
}
