import assert from "node:assert/strict";
import fc from "fast-check";
import type { LogPlace } from "../ports.ts";
import { type CutView, decideCut, recordCount } from "./log_cut_core.ts";
import { comparePlaces } from "./positions_core.ts";

/** 100 records in run 10, 50 in run 20, 30 in the present run 30. */
const RUNS = [
  { incarnation: 10, lastSequence: 100 },
  { incarnation: 20, lastSequence: 50 },
  { incarnation: 30, lastSequence: 30 },
];
const ALL = [at(10, 100), at(20, 50), at(30, 30)];

function at(incarnation: number, sequence: number): LogPlace {
  return { incarnation, sequence };
}

function view(more: Partial<CutView> = {}): CutView {
  return {
    runs: RUNS,
    cut: undefined,
    members: [],
    keepRecords: 10,
    lagRecordsMax: 60,
    ...more,
  };
}

function member(
  flushed: readonly LogPlace[] | undefined,
  isInSync = true,
): CutView["members"][number] {
  return { node: 2, isInSync, flushed };
}

Deno.test("decideCut() keeps the youngest records, over runs", () => {
  assert.deepEqual(decideCut(view()).upTo, at(30, 20));
  assert.deepEqual(decideCut(view({ keepRecords: 30 })).upTo, at(20, 50));
  assert.deepEqual(decideCut(view({ keepRecords: 90 })).upTo, at(10, 90));
  assert.equal(decideCut(view({ keepRecords: 180 })).upTo, undefined);
});

Deno.test("decideCut() never takes the last record", () => {
  assert.deepEqual(decideCut(view({ keepRecords: 0 })).upTo, at(30, 29));
});

Deno.test("decideCut() waits for what every member has flushed", () => {
  const upToOf = (flushed: LogPlace[] | undefined) =>
    decideCut(view({ members: [member(ALL), member(flushed)] })).upTo;
  assert.deepEqual(upToOf(ALL), at(30, 20));
  assert.deepEqual(upToOf([at(10, 100), at(20, 7)]), at(20, 7));
  assert.deepEqual(upToOf([at(10, 100)]), at(10, 100));
  // A later run does not count before the earlier one is whole.
  assert.deepEqual(upToOf([at(10, 40), at(20, 50)]), at(10, 40));
  assert.equal(upToOf([]), undefined);
  assert.equal(upToOf(undefined), undefined);
});

Deno.test("decideCut() says who holds it up", () => {
  assert.equal(decideCut(view({ members: [member([])] })).waitsFor, 2);
  assert.equal(decideCut(view({ members: [member(ALL)] })).waitsFor, undefined);
});

Deno.test("decideCut() waits for a member out of sync up to a limit only", () => {
  const away = member(undefined, false);
  assert.deepEqual(decideCut(view({ members: [away] })).upTo, at(20, 20));
  const near = member([at(10, 100), at(20, 40)], false);
  assert.deepEqual(decideCut(view({ members: [near] })).upTo, at(20, 40));
});

Deno.test("decideCut() waits for a member behind the cut like for a new one", () => {
  const cut = at(20, 20);
  const runs = RUNS.slice(1);
  const behind = member([at(10, 100), at(20, 19)]);
  const there = member([at(20, 20)]);
  assert.equal(
    decideCut(view({ runs, cut, members: [behind] })).upTo,
    undefined,
  );
  const more = decideCut(view({ runs, cut, members: [there] }));
  assert.deepEqual(more, { upTo: undefined, waitsFor: 2 });
  const ahead = member([at(20, 45)]);
  const verdict = decideCut(view({ runs, cut, members: [ahead] }));
  assert.deepEqual(verdict.upTo, at(20, 45));
});

Deno.test("recordCount() counts what is kept", () => {
  assert.equal(recordCount(view()), 180);
  assert.equal(recordCount(view({ cut: at(20, 20) })), 60);
});

Deno.test("decideCut() moves forward, keeps the tail, passes nobody in sync", () => {
  const lengths = fc.array(fc.nat(30), { minLength: 1, maxLength: 4 });
  const held = fc.array(fc.nat(35), { maxLength: 4 });
  const members = fc.array(
    fc.record({ held: fc.option(held), isInSync: fc.boolean() }),
    { maxLength: 3 },
  );
  fc.assert(fc.property(
    lengths,
    members,
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 60 }),
    (all, drawn, keepRecords, lagRecordsMax) => {
      const runs = all.map((lastSequence, run) => ({
        incarnation: run + 1,
        lastSequence,
      }));
      const made = {
        runs,
        cut: undefined,
        members: drawn.map((one, node) => ({
          node,
          isInSync: one.isInSync,
          flushed: one.held?.map((sequence, run) => at(run + 1, sequence)),
        })),
        keepRecords,
        lagRecordsMax,
      };
      const { upTo } = decideCut(made);
      if (upTo === undefined) return;
      assert(recordCount({ runs, cut: upTo }) >= keepRecords);
      const after = decideCut({ ...made, cut: upTo });
      assert(
        after.upTo === undefined || comparePlaces(after.upTo, upTo) > 0,
      );
      for (const { isInSync, flushed = [] } of made.members) {
        if (!isInSync) continue;
        for (const { incarnation, lastSequence } of runs) {
          const isBefore = incarnation < upTo.incarnation;
          const last = isBefore
            ? lastSequence
            : incarnation === upTo.incarnation
            ? upTo.sequence
            : 0;
          const has = flushed.find((one) => one.incarnation === incarnation);
          assert((has?.sequence ?? 0) >= last, "somebody in sync is passed");
        }
      }
    },
  ));
});
