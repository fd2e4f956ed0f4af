/**
 * What a mutant of the mutation check is.
 *
 * @module
 */

import type { VolumeCore } from "../../../node-agent/mirror/core/volume_core.ts";
import type { MirrorPlan } from "./plan.ts";
import type { Sabotage } from "./world.ts";

/** One rule gone. */
export interface MirrorMutant {
  readonly name: string;
  readonly sabotage: Sabotage;
  /** Circumstances in which the rule matters. */
  readonly plan?: Partial<MirrorPlan>;
  /** What the promises exclude: the rule is that it does not happen. */
  readonly beyond?: Partial<MirrorPlan>;
}

/** A change of every core before it is used. */
export const core = (change: (core: VolumeCore) => void): Sabotage => ({
  core: change,
});

/** People who do nothing but this. */
export function quiet(
  some: Partial<MirrorPlan["operator"]>,
): MirrorPlan["operator"] {
  return {
    everyMs: 200,
    split: 0,
    force: 0,
    demote: 0,
    disconnect: 0,
    invalidate: 0,
    verify: 0,
    pause: 0,
    detach: 0,
    outdate: 0,
    suspend: 0,
    ...some,
  };
}
