import assert from "node:assert/strict";
import fc from "fast-check";
import { brokenZone, type ValueHistory } from "./zones.ts";

/** One operation on a register; `end` is Infinity when it was never answered. */
interface Operation {
  readonly isWrite: boolean;
  readonly value: number;
  readonly start: number;
  readonly end: number;
}

/** Some order that a register would allow, found by trying them all. */
function isLinearizable(operations: readonly Operation[]): boolean {
  const search = (left: readonly Operation[], value: number): boolean => {
    if (left.every(({ end }) => end === Infinity)) return true;
    const firstEnd = Math.min(...left.map(({ end }) => end));
    return left.some((each) => {
      if (each.start > firstEnd) return false;
      if (!each.isWrite && each.value !== value) return false;
      const rest = left.filter((one) => one !== each);
      return search(rest, each.isWrite ? each.value : value);
    });
  };
  return search(operations, 0);
}

/** What the checker of the simulator is given for these operations. */
function zonesOf(operations: readonly Operation[]): Iterable<ValueHistory> {
  const values = new Map<number, ValueHistory>();
  const first = { writeStart: -Infinity, writeEnd: -Infinity };
  const unread = { firstReadEnd: Infinity, lastReadStart: -Infinity };
  values.set(0, { value: 0, ...first, ...unread });
  for (const { isWrite, value, start, end } of operations) {
    if (!isWrite) continue;
    values.set(value, { value, writeStart: start, writeEnd: end, ...unread });
  }
  for (const { isWrite, value, start, end } of operations) {
    const known = values.get(value);
    if (isWrite || known === undefined || end === Infinity) continue;
    known.firstReadEnd = Math.min(known.firstReadEnd, end);
    known.lastReadStart = Math.max(known.lastReadStart, start);
  }
  return values.values();
}

/** A small history: times are a shuffle, so that no two are equal. */
const HISTORY = fc.tuple(
  fc.array(
    fc.record({
      isWrite: fc.boolean(),
      of: fc.nat(4),
      isPending: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
      a: fc.nat(1_000),
      b: fc.nat(1_000),
    }),
    { minLength: 2, maxLength: 7 },
  ),
).map(([drawn]) => {
  const times = drawn.flatMap(({ a, b }, at) => [
    { at, time: Math.min(a, b), isEnd: false },
    { at, time: Math.max(a, b) + 0.5, isEnd: true },
  ]).sort((x, y) => x.time - y.time || x.at - y.at);
  const placeOf = (at: number, isEnd: boolean) =>
    1 + times.findIndex((each) => each.at === at && each.isEnd === isEnd);
  const writes = drawn.filter(({ isWrite }) => isWrite).length;
  let lastWrite = 0;
  return drawn.map(({ isWrite, of, isPending }, at): Operation => ({
    isWrite,
    value: isWrite ? ++lastWrite : of % (writes + 1),
    start: placeOf(at, false),
    end: isPending ? Infinity : placeOf(at, true),
  }));
});

Deno.test("zones agree with brute force about every small history", () => {
  const count = { good: 0, bad: 0 };
  fc.assert(
    fc.property(HISTORY, (operations) => {
      const is = isLinearizable(operations);
      count[is ? "good" : "bad"]++;
      assert.equal(brokenZone(zonesOf(operations)) === undefined, is);
    }),
    { numRuns: 20_000, seed: 1 },
  );
  // Neither answer is so rare that it was hardly tried.
  assert.ok(Math.min(count.good, count.bad) > 2_000, JSON.stringify(count));
});
