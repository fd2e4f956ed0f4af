/**
 * Rules that the mutation test takes away, one at a time.
 *
 * @module
 */

import { ALL_RULES, type SimRules } from "./world.ts";

/** One rule gone. */
export interface Mutant {
  readonly name: string;
  readonly rules: SimRules;
  /** The story that the rule is for; without one, the swarm finds it. */
  readonly story: number | undefined;
}

const { core, fetch } = ALL_RULES;

/** Stories (`stories.ts`, by index) for rules that a swarm needs long for. */
const STORY_OF: Readonly<Record<string, number>> = {
  readLease: 0,
  askAuthority: 0,
  storeOwnersFirst: 1,
  ownerAnswers: 2,
  startAssumesPromises: 3,
  checkStores: 4,
  suspectLeaves: 5,
  refuseLowerEpochs: 6,
  keepSuspicion: 7,
  noticesSetBack: 8,
};

/** Every rule once: of the core, of the other cores, of the shell. */
export const MUTANTS: readonly Mutant[] = [
  ...Object.keys(core).map((rule) =>
    mutant(rule, { core: { ...core, [rule]: false } })
  ),
  ...Object.keys(fetch).map((rule) =>
    mutant(rule, { fetch: { ...fetch, [rule]: false } })
  ),
  ...Object.keys(ALL_RULES).filter((rule) =>
    rule !== "core" && rule !== "fetch"
  )
    .map((rule) => mutant(rule, { [rule]: false })),
];

function mutant(name: string, change: Partial<SimRules>): Mutant {
  const rules = { ...ALL_RULES, ...change };
  return { name, rules, story: STORY_OF[name] };
}
