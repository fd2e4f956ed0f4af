/**
 * Rules that the mutation test takes away, one at a time.
 *
 * @module
 */

import { ALL_RULES, type SimRules } from "./world.ts";

/** One rule gone, and how many seeds may pass before that is noticed. */
export interface Mutant {
  readonly name: string;
  readonly rules: SimRules;
}

const { core, fetch } = ALL_RULES;

/** Every rule once: of the core, of the other cores, of the shell. */
export const MUTANTS: readonly Mutant[] = [
  ...Object.keys(core).map((rule) => ({
    name: `core: ${rule}`,
    rules: { ...ALL_RULES, core: { ...core, [rule]: false } },
  })),
  ...Object.keys(fetch).map((rule) => ({
    name: `fetch: ${rule}`,
    rules: { ...ALL_RULES, fetch: { ...fetch, [rule]: false } },
  })),
  ...Object.keys(ALL_RULES).filter((rule) =>
    rule !== "core" && rule !== "fetch"
  )
    .map((rule) => ({
      name: `shell: ${rule}`,
      rules: { ...ALL_RULES, [rule]: false },
    })),
];
