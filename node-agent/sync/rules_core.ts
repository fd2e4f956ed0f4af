/**
 * The safety rules of replication, each with a name.
 *
 * All of them are always on. They have names so that a test can take one away
 * and show that the simulator notices (`tests/sim/mutation_test.ts`): a rule
 * whose removal nobody notices is either needless or untested.
 *
 * @module
 */

/** The rules of the replica core. Each line is the sentence that it enforces. */
export const SAFETY_RULES = {
  /** Nobody answers without a required peer before the register says so (R2). */
  shrinkBeforeAnswer: true,
  /** Records of a lower epoch are refused (R1). */
  refuseLowerEpochs: true,
  /** A joiner enters the set only when everybody in it waits for it (R3). */
  promiseBeforeGrow: true,
  /** A promise counts under its own epoch only. */
  epochVoidsPromises: true,
  /** A promise is made only to a peer that holds all that was answered. */
  promiseNeedsLog: true,
  /** After a start, every member outside the set may hold our promise. */
  startAssumesPromises: true,
  /** A joiner is compared with a member of the set before it enters. */
  compareBeforeGrow: true,
  /** Records that their owner has forgotten are skipped after a comparison. */
  compareBehindCut: true,
  /** Level C waits until the change is durable, on peers too. */
  durableAtC: true,
  /** A peer with another database than the register's holds nothing. */
  checkStores: true,
  /** Holders are those who said so. */
  honestHolders: true,
  /** A change by the owner is not answered once somebody else is the owner. */
  ownerAnswers: true,
  /** A node that may have lost records leaves the set, or moves the epoch. */
  suspectLeaves: true,
} as const;

/** Name of a rule. */
export type SafetyRule = keyof typeof SAFETY_RULES;

/** Which rules are on: all, outside the mutation test. */
export type SafetyRules = Readonly<Record<SafetyRule, boolean>>;
