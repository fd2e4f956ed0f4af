import assert from "node:assert/strict";
import type { MemberState } from "./cluster.ts";
import { chooseReader, chooseWriter, type ReadRule } from "./reading.ts";
import { chiSquare, groupOf, memberOf, seeded, withPath } from "./testing.ts";

const OLD = { origin: 1, createdS: 1_000, kind: "normal" } as const;
const RULE: ReadRule = {
  downloadServer: "round_robin",
  nowMs: 2_000_000,
  freshMs: 3000,
  draw: seeded(5),
};

/** Members 1 to 3; 2 and 3 have all of 1's log unless told otherwise. */
function three(given: Record<number, Partial<MemberState>> = {}) {
  return groupOf([1, 2, 3].map((node) => {
    const member = memberOf(node, given[node]);
    // A node does not report a position in its own log.
    const positions = node === 1
      ? []
      : [{ origin: 1, incarnation: 1, sequence: 10 }];
    return "report" in (given[node] ?? {})
      ? member
      : { ...member, report: member.report && { ...member.report, positions } };
  }));
}

function lagging(node: number): Partial<MemberState> {
  const { report } = memberOf(node);
  assert(report);
  const positions = [{ origin: 1, incarnation: 1, sequence: 9 }];
  return { report: { ...report, positions } };
}

/** Nodes that are ever chosen, sorted. */
function readers(
  group: ReturnType<typeof groupOf>,
  file: Parameters<typeof chooseReader>[1] = OLD,
  rule: Partial<ReadRule> = {},
): number[] {
  const chosen = new Set<number>();
  const draw = seeded(11);
  for (let read = 0; read < 60; read++) {
    const reader = chooseReader(group, file, { ...RULE, draw, ...rule });
    if (reader !== undefined) chosen.add(reader.node);
  }
  return [...chosen].sort();
}

Deno.test("round_robin spreads 10,000 reads evenly over live replicas", () => {
  const counts = [0, 0, 0];
  const draw = seeded(13);
  for (let read = 0; read < 10_000; read++) {
    const node = chooseReader(three(), OLD, { ...RULE, draw })?.node ?? 0;
    counts[node - 1] = (counts[node - 1] ?? 0) + 1;
  }
  assert(chiSquare(counts) < 13.82, counts.join());
});

Deno.test("source_first asks the origin while it is live", () => {
  const rule = { downloadServer: "source_first" } as const;
  assert.deepEqual(readers(three(), OLD, rule), [1]);
  assert.deepEqual(readers(three({ 1: { alive: false } }), OLD, rule), [2, 3]);
});

Deno.test("a new file is read from its origin, an old one from anybody", () => {
  const createdS = RULE.nowMs / 1000 - 1;
  assert.deepEqual(readers(three(), { ...OLD, createdS }), [1]);
  assert.deepEqual(readers(three()), [1, 2, 3]);
});

Deno.test("a member that lacks a disk is asked only if no other lives", () => {
  const { report } = withPath(2, "missing");
  const bare = { report };
  const source = { downloadServer: "source_first" } as const;
  const fromSecond = { ...OLD, origin: 2 };
  assert.deepEqual(readers(three({ 2: bare }), fromSecond, source), [1, 3]);
  assert.deepEqual(readers(three({ 2: bare })), [1, 3]);
  const [dead, out] = [{ alive: false }, { insync: false }];
  assert.deepEqual(readers(three({ 1: dead, 2: bare, 3: dead })), [2]);
  assert.deepEqual(readers(three({ 1: dead, 2: bare, 3: out })), [3]);
});

Deno.test("an appender is read from its owner", () => {
  const file = { ...OLD, kind: "appender" } as const;
  assert.deepEqual(readers(three(), file), [1]);
  const without = three({ 1: { insync: false } });
  assert.deepEqual(readers(without, file), [2]);
});

Deno.test("a replica that lags behind the origin is asked only if there is no other", () => {
  assert.deepEqual(readers(three({ 2: lagging(2) })), [1, 3]);
  const alone = three({
    1: { alive: false },
    2: lagging(2),
    3: { alive: false },
  });
  assert.deepEqual(readers(alone), [2]);
});

Deno.test("a member out of sync is asked only if there is no other", () => {
  assert.deepEqual(readers(three({ 3: { insync: false } })), [1, 2]);
  const alone = three({
    1: { alive: false },
    2: { alive: false },
    3: { insync: false },
  });
  assert.deepEqual(readers(alone), [3]);
});

Deno.test("reads go on when everybody is silent: the origin is the best guess", () => {
  const silent = { alive: false };
  assert.deepEqual(readers(three({ 1: silent, 2: silent, 3: silent })), [1]);
  const unheard = { alive: false, report: undefined };
  const group = three({ 1: unheard, 2: unheard, 3: silent });
  assert.deepEqual(readers(group), [3]);
  const none = three({ 1: unheard, 2: unheard, 3: unheard });
  assert.equal(chooseReader(none, OLD, RULE), undefined);
});

Deno.test("a file of FastDFS, whose origin is an address, is read from anybody", () => {
  assert.deepEqual(readers(three(), { ...OLD, origin: "10.1.1.1" }), [1, 2, 3]);
});

Deno.test("a change goes to the origin, and to the lowest in sync when it is out", () => {
  assert.deepEqual(writer(three(), 3), 3);
  assert.deepEqual(writer(three({ 3: { insync: false } }), 3), 1);
});

Deno.test("a change has one owner: nobody else is asked while it is silent", () => {
  const chosen = chooseWriter(
    three({ 3: { alive: false } }),
    { ...OLD, origin: 3 },
    true,
  );
  assert(!chosen.ok);
  assert.match(chosen.why, /Node 3, which alone may change this file/);
});

Deno.test("a delete goes to any live member in sync that takes changes", () => {
  const group = three({ 1: { alive: false }, 2: { mode: "read-only" } });
  const chosen = chooseWriter(group, OLD, false);
  assert(chosen.ok && chosen.writer.node === 3);
});

Deno.test("when everybody is silent a change still goes to its owner", () => {
  const silent = { alive: false };
  assert.equal(writer(three({ 1: silent, 2: silent, 3: silent }), 2), 2);
});

Deno.test("nobody changes anything in a group without a member in sync", () => {
  const out = { insync: false };
  const chosen = chooseWriter(three({ 1: out, 2: out, 3: out }), OLD, false);
  assert(!chosen.ok);
  assert.match(chosen.why, /no member in sync/);
});

function writer(group: ReturnType<typeof groupOf>, origin: number) {
  const chosen = chooseWriter(group, { ...OLD, origin }, true);
  return chosen.ok ? chosen.writer.node : chosen.why;
}
