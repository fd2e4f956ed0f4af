import assert from "node:assert/strict";
import fc from "fast-check";
import type { ChangeBody, FileEntry } from "@kedge/schema/change";
import { compareEntries } from "@kedge/schema/change";
import { type FileRow, rowOf } from "@kedge/schema/db";
import { decide, type Step, type StepContent } from "./merge_core.ts";
import { factsOf, newEntry, someBytes } from "./store_fixture.ts";

const ID = "group1/M00/03/4C/fwALAWsClBmEDUOvAAAAAPqdFXc488.txt";
const BYTES = someBytes(100);
const around = { bytes: BYTES, mayWrite: (index: number) => index < 2 };
const ENTRY = newEntry(ID, factsOf(BYTES));
const WHOLE: ChangeBody = { kind: "whole" };
const INLINE: StepContent = { kind: "inline", at: 0, length: 100 };

function row(entry: FileEntry, damaged = 0, pathIndex = 0): FileRow {
  return rowOf(entry, { pathIndex, damaged, blockCrcs: null });
}

function step(
  entry: FileEntry,
  body: ChangeBody,
  content: StepContent,
  pathIndex = 0,
): Step {
  return { entry, body, content, pathIndex, key: undefined };
}

Deno.test("decide() shows a new file and plans its bytes", () => {
  const made = decide(undefined, step(ENTRY, WHOLE, INLINE, 1), around);
  assert.equal(made.outcome, "applied");
  assert.equal(made.row?.pathIndex, 1);
  assert.equal(made.row.damaged, 0);
  const [action, ...more] = made.actions;
  assert.equal(action?.kind, "write");
  assert.equal(action.replaces, false);
  assert.deepEqual(action.payload, BYTES);
  assert.deepEqual(more, []);
});

Deno.test("decide() keeps what is newer, and repairs what is damaged", () => {
  const newer = { ...ENTRY, version: 2 };
  const known = { outcome: "known", actions: [] };
  const again = step(ENTRY, WHOLE, INLINE);
  assert.deepEqual(decide(row(newer), again, around), known);
  assert.deepEqual(decide(row(ENTRY), again, around), known);
  const dead: FileEntry = { ...ENTRY, state: "tombstone", version: 2 };
  assert.deepEqual(decide(row(dead), again, around), known);
  const resurrect = step({ ...ENTRY, epoch: 99, version: 99 }, WHOLE, INLINE);
  assert.deepEqual(decide(row(dead), resurrect, around), known);
  assert.equal(decide(row(ENTRY, 1), again, around).outcome, "applied");
  const repairs = { ...around, repairs: true };
  const repaired = decide(row(ENTRY), again, repairs);
  assert.equal(repaired.outcome, "applied");
  assert.equal(repaired.actions[0]?.replaces, true);
  const empty = step(ENTRY, WHOLE, { kind: "none" });
  assert.deepEqual(decide(row(ENTRY), empty, repairs), known);
});

Deno.test("decide() moves a file off a path that takes no bytes", () => {
  const newer = { ...ENTRY, version: 2 };
  const made = decide(row(ENTRY, 0, 5), step(newer, WHOLE, INLINE, 1), around);
  assert.equal(made.row?.pathIndex, 1);
  assert.deepEqual(
    made.actions.map(({ kind, pathIndex }) => [kind, pathIndex]),
    [
      ["write", 1],
      ["unlink", 5],
    ],
  );
  const stays = decide(row(ENTRY, 0, 1), step(newer, WHOLE, INLINE), around);
  assert.equal(stays.row?.pathIndex, 1);
});

Deno.test("decide() extends only the version that a change was made from", () => {
  const longer = factsOf(new Uint8Array([...BYTES, ...BYTES]));
  const next = { ...ENTRY, ...longer, version: 2, sha256: null };
  const body: ChangeBody = {
    kind: "range",
    offset: 100,
    lengthBytes: 100,
    baseEpoch: 1,
    baseVersion: 1,
  };
  const good = decide(row(ENTRY), step(next, body, INLINE), around);
  assert.equal(good.outcome, "applied");
  assert.equal(good.actions[0]?.kind, "extend");
  assert.equal(good.actions[0]?.offset, 100);
  const lacks = (current: FileRow | undefined, given = next) => {
    const made = decide(current, step(given, body, INLINE), around);
    assert.equal(made.outcome, "needs-content");
    assert.equal(made.row?.damaged, 1);
    assert.deepEqual(made.actions, []);
  };
  lacks(undefined);
  lacks(row(ENTRY, 1));
  lacks(row({ ...ENTRY, epoch: 0 }));
  lacks(row(ENTRY, 0, 5)); // its path takes no bytes
  lacks(row(ENTRY), { ...next, crc32: next.crc32 ^ 1 });
});

Deno.test("decide() keeps content under new metadata, if it is there", () => {
  const body: ChangeBody = { kind: "none" };
  const next = { ...ENTRY, version: 2, meta: { a: "b" } };
  const none: StepContent = { kind: "none" };
  const kept = decide(row(ENTRY), step(next, body, none), around);
  assert.deepEqual([kept.outcome, kept.actions], ["applied", []]);
  assert.equal(kept.row?.meta, '{"a":"b"}');
  const other = row({ ...ENTRY, crc32: 1 });
  for (const current of [undefined, row(ENTRY, 1), other]) {
    const made = decide(current, step(next, body, none), around);
    assert.equal(made.outcome, "needs-content");
  }
  // The very same bytes need no transfer even when the version differs.
  const same = decide(row(ENTRY), step(next, WHOLE, none), around);
  assert.deepEqual([same.outcome, same.row?.damaged], ["applied", 0]);
});

Deno.test("decide() reaches the same state in every order, with repeats", () => {
  const state = fc.record({
    state: fc.constantFrom("present" as const, "tombstone" as const),
    epoch: fc.nat(3),
    version: fc.integer({ min: 1, max: 4 }),
  });
  const play = (states: readonly Partial<FileEntry>[]) => {
    let current: FileRow | undefined;
    for (const one of states) {
      const next = step({ ...ENTRY, ...one }, WHOLE, INLINE);
      current = decide(current, next, around).row ?? current;
    }
    return current;
  };
  fc.assert(
    fc.property(fc.array(state, { minLength: 1, maxLength: 6 }), (states) => {
      const newest = states.toSorted(compareEntries).at(-1);
      const repeated = [...states.toReversed(), ...states];
      for (const order of [states, states.toReversed(), repeated]) {
        const end = play(order);
        assert.equal(end?.epoch, newest?.epoch);
        assert.equal(end?.version, newest?.version);
        assert.equal(end?.tombstone === 1, newest?.state === "tombstone");
      }
    }),
  );
});
