import assert from "node:assert/strict";
import fc from "fast-check";
import { Branch } from "./branch.ts";
import { brokenCut, type Image } from "./prefix_cut.ts";

const PIECES = 3;
/** What is there at the beginning. */
const FIRST = 1;

/** One client, one thing at a time: a piece is written, or all is flushed. */
type Step = { readonly piece: number } | "flush";

/** What the checker knows of a client that did these steps. */
function branchOf(steps: readonly Step[]): Branch {
  const branch = new Branch(0, PIECES);
  for (let piece = 0; piece < PIECES; piece++) branch.noteFirst(piece, FIRST);
  steps.forEach((step, at) => {
    if (step === "flush") {
      branch.floor = 10 * at;
      return;
    }
    branch.noteWrite(step.piece, at + 2, 10 * at);
    const written = branch.get(step.piece, at + 2);
    if (written !== undefined) written.writeEnd = 10 * at + 5;
  });
  return branch;
}

/** By epoch, by piece: the values that were written, oldest first. */
function epochsOf(steps: readonly Step[]): number[][][] {
  const none = () => Array.from({ length: PIECES }, (): number[] => []);
  const epochs = [none()];
  steps.forEach((step, at) => {
    if (step === "flush") epochs.push(none());
    else epochs.at(-1)?.[step.piece]?.push(at + 2);
  });
  return epochs;
}

/** All of the epochs before some K, any of epoch K, nothing later. */
function isPrefix(steps: readonly Step[], seen: readonly number[]): boolean {
  const epochs = epochsOf(steps);
  return epochs.some((_, cut) =>
    seen.every((value, piece) => {
      const before = epochs.slice(0, cut).flatMap((each) => each[piece] ?? []);
      const last = before.at(-1) ?? FIRST;
      return value === last || epochs[cut]?.[piece]?.includes(value) === true;
    })
  );
}

const STEP = fc.oneof(
  { weight: 3, arbitrary: fc.record({ piece: fc.nat(PIECES - 1) }) },
  { weight: 1, arbitrary: fc.constant<Step>("flush") },
);

Deno.test("a prefix cut is what brute force over the epochs says", () => {
  const count = { good: 0, bad: 0 };
  const drawn = fc.tuple(
    fc.array(STEP, { minLength: 1, maxLength: 10 }),
    fc.array(fc.nat(10), { minLength: PIECES, maxLength: PIECES }),
  );
  fc.assert(
    fc.property(drawn, ([steps, picks]) => {
      const branch = branchOf(steps);
      const seen = picks.map((pick, piece) => {
        const list = branch.list(piece) ?? [{ value: FIRST }];
        const values = list.map(({ value }) => value);
        return values[pick % values.length] ?? FIRST;
      });
      const image: Image = {
        seen: (piece) => seen[piece],
        isDamaged: () => false,
        // Values of a piece replace one another in the order of writing.
        descends: (_, value, old) => value >= old,
      };
      const is = isPrefix(steps, seen);
      count[is ? "good" : "bad"]++;
      assert.equal(brokenCut(branch, image) === undefined, is);
    }),
    { numRuns: 10_000, seed: 1 },
  );
  assert.ok(Math.min(count.good, count.bad) > 500, JSON.stringify(count));
});

Deno.test("a write that nobody was told of may be missing before a flush", () => {
  const branch = new Branch(0, 2);
  branch.noteFirst(0, FIRST);
  branch.noteFirst(1, FIRST);
  branch.noteWrite(0, 2, 1); // never answered
  branch.floor = 2;
  branch.noteWrite(1, 3, 3);
  const image: Image = {
    seen: (piece) => [FIRST, 3][piece],
    isDamaged: () => false,
    descends: (_, value, old) => value >= old,
  };
  assert.equal(brokenCut(branch, image), undefined);
});
