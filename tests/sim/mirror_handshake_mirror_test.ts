/**
 * Both nodes decide alone and must come to mirrored answers: all pairs of sets
 * over a small alphabet, all policies over all split brains.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type GenerationSet,
  SYNC_OFFSET,
} from "../../node-agent/mirror/decisions/generations_core.ts";
import {
  decideHandshake,
  type HandshakeOptions,
  type HandshakeSide,
} from "../../node-agent/mirror/decisions/handshake_core.ts";
import {
  HARDENED,
  type Hardenings,
} from "../../node-agent/mirror/decisions/hardenings_core.ts";
import type {
  OnePrimaryPolicy,
  SplitBrainPolicies,
  TwoPrimariesPolicy,
  ZeroPrimariesPolicy,
} from "../../node-agent/mirror/decisions/split_brain_core.ts";
import {
  compareGenerations,
  VERDICT_CODES,
} from "../../node-agent/mirror/decisions/uuid_compare_core.ts";
import { say } from "../helpers/say.ts";

/** Empty, just created, two generations, and a resync of the first. */
const ALPHABET = [0n, 4n, 16n, 32n, 16n + SYNC_OFFSET];

const SETS: readonly GenerationSet[] = ALPHABET.flatMap((current) =>
  ALPHABET.flatMap((bitmap) =>
    ALPHABET.flatMap((newer) =>
      ALPHABET.map((older): GenerationSet => ({
        current,
        bitmap,
        history: [newer, older],
      }))
    )
  )
);

/** Pairs of sets whose two comparisons do not fit together. */
function unmirroredPairs(mutualMatchIsSplitBrain: boolean): string[] {
  const found: string[] = [];
  const compare = (a: GenerationSet, b: GenerationSet, first: boolean) =>
    compareGenerations(sideOf(a), sideOf(b), {
      resolveConflicts: first,
      mutualMatchIsSplitBrain,
    });
  for (const a of SETS) {
    for (const b of SETS) {
      const ours = compare(a, b, true);
      const theirs = compare(b, a, false);
      const code = VERDICT_CODES[ours.verdict];
      const mirrored = VERDICT_CODES[theirs.verdict];
      const fits = Math.abs(code) < 100
        ? code === -mirrored
        : code === mirrored;
      if (!fits) found.push(`rules ${ours.rule}/${theirs.rule}`);
    }
  }
  return found;
}

function sideOf(generations: GenerationSet) {
  return { generations, crashedPrimary: false, isPrimary: false };
}

Deno.test("comparisons of all pairs of sets are mirrored", () => {
  assert.deepEqual(unmirroredPairs(true), []);
});

Deno.test("without mutualMatchIsSplitBrain both nodes want to be target", () => {
  const found = unmirroredPairs(false);
  const kinds = [...new Set(found)].sort();
  say(`${found.length} pairs are not mirrored: ${kinds.join(", ")}`);
  assert.ok(kinds.includes("rules 20/20"));
  assert.ok(kinds.includes("rules 50/50"));
  assert.ok(kinds.includes("rules 60/60"));
});

const ZERO: readonly ZeroPrimariesPolicy[] = [
  "disconnect",
  "discard-younger-primary",
  "discard-older-primary",
  "discard-zero-changes",
  "discard-least-changes",
  "discard-local",
  "discard-remote",
];
const ONE: readonly OnePrimaryPolicy[] = [
  "disconnect",
  "consensus",
  "discard-secondary",
  "violently-as0p",
  "call-pri-lost-after-sb",
];
const TWO: readonly TwoPrimariesPolicy[] = [
  "disconnect",
  "violently-as0p",
  "call-pri-lost-after-sb",
];

function* allPolicies(): Generator<SplitBrainPolicies> {
  for (const afterSb0pri of ZERO) {
    for (const afterSb1pri of ONE) {
      for (const afterSb2pri of TWO) {
        for (const alwaysAsbp of [false, true]) {
          yield {
            afterSb0pri,
            afterSb1pri,
            afterSb2pri,
            alwaysAsbp,
            rrConflict: "violently",
          };
        }
      }
    }
  }
}

/** Both nodes name themselves "local". */
function mirroredPolicies(policies: SplitBrainPolicies): SplitBrainPolicies {
  const { afterSb0pri } = policies;
  if (afterSb0pri === "discard-local") {
    return { ...policies, afterSb0pri: "discard-remote" };
  }
  return afterSb0pri === "discard-remote"
    ? { ...policies, afterSb0pri: "discard-local" }
    : policies;
}

/** Every way in which one node can stand in a split brain. */
function dividedSides(current: bigint, base: bigint): HandshakeSide[] {
  const flags = [false, true];
  return flags.flatMap((isPrimary) =>
    flags.flatMap((wasPrimary) =>
      flags.flatMap((discardMyData) =>
        [0, 3, 5].map((outOfSyncBlocks): HandshakeSide => ({
          generations: {
            current,
            bitmap: wasPrimary ? base | 1n : base,
            history: [0n, 0n],
          },
          outOfSyncBlocks,
          role: isPrimary ? "Primary" : "Secondary",
          disk: "UpToDate",
          crashedPrimary: false,
          discardMyData,
        }))
      )
    )
    // `--discard-my-data` is refused on a Primary (123).
  ).filter((side) => side.role === "Secondary" || !side.discardMyData);
}

/** Split brains in which the two answers would destroy data or hang. */
function unmirroredSplits(hardenings: Hardenings): string[] {
  const found: string[] = [];
  for (const [baseA, baseB] of [[16n, 16n], [16n, 32n]] as const) {
    for (const a of dividedSides(64n, baseA)) {
      for (const b of dividedSides(128n, baseB)) {
        for (const policies of allPolicies()) {
          for (const couldDemote of [false, true]) {
            const problem = judgePair(a, b, {
              resolveConflicts: true,
              couldDemote,
              policies,
              hardenings,
            });
            if (problem === undefined) continue;
            found.push(`${problem} under ${JSON.stringify(policies)}`);
          }
        }
      }
    }
  }
  return found;
}

Deno.test("every policy gives mirrored answers to every split brain", () => {
  assert.deepEqual(unmirroredSplits(HARDENED).slice(0, 3), []);
});

Deno.test("without discardGoesFirst both nodes may decide to be source", () => {
  const found = unmirroredSplits({ ...HARDENED, discardGoesFirst: false });
  say(`${found.length} split brains with two sources, as ${found[0]}`);
  assert.ok(found.some((each) => each.startsWith("WFBitMapS/WFBitMapS")));
});

const anySide: fc.Arbitrary<HandshakeSide> = fc.record({
  generations: fc.constantFrom(...SETS),
  outOfSyncBlocks: fc.constantFrom(0, 3, 5),
  role: fc.constantFrom("Primary" as const, "Secondary" as const),
  disk: fc.constantFrom(
    "Inconsistent" as const,
    "Outdated" as const,
    "Consistent" as const,
    "UpToDate" as const,
  ),
  crashedPrimary: fc.boolean(),
  discardMyData: fc.boolean(),
});

const anyPolicies: fc.Arbitrary<SplitBrainPolicies> = fc.record({
  afterSb0pri: fc.constantFrom(...ZERO),
  afterSb1pri: fc.constantFrom(...ONE),
  afterSb2pri: fc.constantFrom(...TWO),
  alwaysAsbp: fc.boolean(),
  rrConflict: fc.constantFrom("disconnect" as const, "violently" as const),
});

Deno.test("any two sides get mirrored answers, and a source has good data", () => {
  fc.assert(
    fc.property(anySide, anySide, anyPolicies, (a, b, policies) => {
      const options = { resolveConflicts: true, couldDemote: true, policies };
      assert.equal(judgePair(a, b, options), undefined);
    }),
    { numRuns: 30_000 },
  );
});

/** What is wrong with the two answers, if anything. */
function judgePair(
  a: HandshakeSide,
  b: HandshakeSide,
  options: HandshakeOptions,
): string | undefined {
  const ours = decideHandshake(a, b, options);
  const theirs = decideHandshake(b, a, {
    ...options,
    resolveConflicts: false,
    policies: mirroredPolicies(options.policies),
  });
  if (ours.next === "drop" || theirs.next === "drop") return undefined;
  const words = `${ours.next}/${theirs.next}`;
  const isMirrored = MIRRORED.has(words) &&
    ours.setWholeBitmap === theirs.setWholeBitmap;
  if (!isMirrored) return words;
  const source = ours.next === "WFBitMapS" ? a : b;
  const isFit = words === "Connected/Connected" ||
    source.disk !== "Inconsistent";
  return isFit ? undefined : `source ${source.disk}`;
}

const MIRRORED = new Set([
  "Connected/Connected",
  "WFBitMapS/WFBitMapT",
  "WFBitMapT/WFBitMapS",
]);
