/**
 * The two-node handshake, searched and not sampled: no silent divergence, and
 * hardenings are needed. Three of them guard against what this search cannot
 * reach (restored metadata, automatic policies): see
 * `mirror_handshake_mirror_test.ts` and `handshake_core_test.ts`.
 *
 * `KEDGE_SEARCH_STATES` sets how many states each search visits.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  HARDENED,
  type Hardenings,
} from "../../node-agent/mirror/decisions/hardenings_core.ts";
import { say } from "../helpers/say.ts";
import { createdPair, type Pair, syncedPair } from "./mirror_pair.ts";
import type { Circumstances, PairPromise } from "./mirror_promises.ts";
import { search, type SearchResult } from "./mirror_search.ts";

const STATES_MAX = Number(Deno.env.get("KEDGE_SEARCH_STATES") ?? 20_000);

/** Where to begin, what may happen, and which promises do not apply there. */
interface Space {
  readonly start: (blockCount: number) => Pair;
  readonly may: Omit<Circumstances, "hardenings">;
  readonly ignored: readonly PairPromise[];
}

const SPACES = {
  "a synced pair": {
    start: syncedPair,
    may: {
      mayForce: false,
      mayRot: false,
      mayLoseDisk: false,
      mayCrashBeforeWrite: false,
    },
    ignored: [],
  },
  "a synced pair, forced promotions": {
    start: syncedPair,
    may: {
      mayForce: true,
      mayRot: false,
      mayLoseDisk: false,
      mayCrashBeforeWrite: true,
    },
    ignored: ["no-needless-split-brain"],
  },
  "a new pair": {
    start: createdPair,
    may: {
      mayForce: true,
      mayRot: false,
      mayLoseDisk: false,
      mayCrashBeforeWrite: true,
    },
    ignored: ["no-needless-split-brain"],
  },
  "a synced pair that loses disks": {
    start: syncedPair,
    may: {
      mayForce: false,
      mayRot: false,
      mayLoseDisk: true,
      mayCrashBeforeWrite: true,
    },
    ignored: ["no-needless-split-brain"],
  },
  // What a disk lost on its own is lost; only "connected" must not hide it.
  "a synced pair with a rotten disk": {
    start: syncedPair,
    may: {
      mayForce: false,
      mayRot: true,
      mayLoseDisk: false,
      mayCrashBeforeWrite: true,
    },
    ignored: ["no-needless-split-brain", "direction-safe", "bitmap-superset"],
  },
} satisfies Record<string, Space>;

function explore(
  space: Space,
  hardenings: Hardenings,
  { blockCount, statesMax }: { blockCount: number; statesMax: number },
): SearchResult {
  return search(
    space.start(blockCount),
    { ...space.may, hardenings },
    { statesMax, ignored: new Set(space.ignored) },
  );
}

for (const [name, space] of Object.entries<Space>(SPACES)) {
  for (const blockCount of [1, 2]) {
    Deno.test(`${name}, blocks: ${blockCount}: every promise holds`, () => {
      const limits = { blockCount, statesMax: STATES_MAX };
      const { states, depth, broken } = explore(space, HARDENED, limits);
      assert.equal(broken?.story, undefined);
      say(`${name}, blocks: ${blockCount}: ${states} states, ${depth} events`);
    });
  }
}

/** Hardenings whose absence the search finds: where, and what breaks. */
const NEEDED: readonly {
  readonly hardening: keyof Hardenings;
  readonly space: keyof typeof SPACES;
  readonly promise: PairPromise;
}[] = [
  {
    hardening: "neverDropBits",
    space: "a synced pair with a rotten disk",
    promise: "equal-when-connected",
  },
  {
    hardening: "betterDiskBreaksTies",
    space: "a synced pair",
    promise: "direction-safe",
  },
  {
    hardening: "countFromPeer",
    space: "a synced pair",
    promise: "no-needless-split-brain",
  },
  {
    hardening: "newGenerationAtFirstWrite",
    space: "a synced pair",
    promise: "no-needless-split-brain",
  },
  {
    hardening: "newGenerationDuringResync",
    space: "a synced pair",
    promise: "direction-safe",
  },
];

/** More than the longest of these searches needs. */
const NEEDED_STATES_MAX = 100_000;

for (const { hardening, space, promise } of NEEDED) {
  Deno.test(`without ${hardening} the search finds: ${promise}`, () => {
    const weaker = { ...HARDENED, [hardening]: false };
    const limits = { blockCount: 1, statesMax: NEEDED_STATES_MAX };
    const { broken } = explore(SPACES[space], weaker, limits);
    assert.equal(broken?.promise, promise);
    say(`without ${hardening}: ${broken?.story}`);
  });
}
