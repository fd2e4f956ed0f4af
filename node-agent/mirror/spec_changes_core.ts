/**
 * Which differences between two forms of a resource may be taken while it
 * runs. Pure.
 *
 * @module
 */

import { changeProblem } from "./core/option_problems_core.ts";
import type { CommandResult } from "./core/volume_types.ts";
import type { MirrorState } from "./decisions/mirror_state.ts";
import type { ResourceSpec, VolumeSpec } from "./worker_messages.ts";

/** How to find the states of the volumes, by number. */
export type StateOf = (volume: number) => MirrorState | undefined;

/** Why `next` cannot be taken now; undefined: it can. */
export function specProblem(
  now: ResourceSpec,
  next: ResourceSpec,
  stateOf: StateOf,
): CommandResult | undefined {
  const fixed = fixedDifference(now, next);
  if (fixed !== undefined) {
    return {
      code: 162,
      why: `${fixed} cannot change while the resource runs: ` +
        `"drbdadm down ${now.resource}", then "drbdadm up ${now.resource}"`,
    };
  }
  const states = now.volumes.map(({ volume }) => stateOf(volume));
  const isMoved = !isSame([now.local, now.remote], [next.local, next.remote]);
  const isOnNet = states.some((state) => state?.connection !== "StandAlone");
  if (isMoved && isOnNet) return { code: 125 };
  for (const volume of next.volumes) {
    const before = volumeOf(now, volume.volume);
    const state = stateOf(volume.volume);
    if (before === undefined || state === undefined) return { code: 127 };
    const isElsewhere = !isSame(before.paths, volume.paths);
    if (isElsewhere && state.disk !== "Diskless") return { code: 124 };
    const code = changeProblem(state, before.config, volume.config);
    if (code !== undefined) return { code };
  }
  return undefined;
}

/** What is settled when the Worker starts, by name. */
function fixedDifference(
  now: ResourceSpec,
  next: ResourceSpec,
): string | undefined {
  const fixed = (spec: ResourceSpec): Record<string, unknown> => ({
    "the name of this host": spec.node,
    "the name of the peer": spec.peerNode,
    "the number of volumes, a minor or a device": spec.volumes.map((
      { volume, minor, device },
    ) => [volume, minor, device]),
  });
  const [before, after] = [fixed(now), fixed(next)];
  return Object.keys(before).find((name) => !isSame(before[name], after[name]));
}

function volumeOf(spec: ResourceSpec, number: number): VolumeSpec | undefined {
  return spec.volumes.find(({ volume }) => volume === number);
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
