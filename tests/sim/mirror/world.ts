/**
 * What every part of a simulated run shares.
 *
 * @module
 */

import type { VolumeCore } from "../../../node-agent/mirror/core/volume_core.ts";
import type { Prng } from "../prng.ts";
import type { Scheduler } from "../scheduler.ts";
import type { Lineage } from "./lineage.ts";
import type { Network } from "./network.ts";
import type { SimNode } from "./sim_node.ts";
import type { MirrorPlan } from "./plan.ts";
import type { StuckFlush } from "./stuck.ts";
import type { SimRegister } from "./sim_register.ts";
import type { Taints } from "./taints.ts";
import type { VolumeHistory } from "./volume_history.ts";

/** Bytes of a piece: what a disk never tears. */
export const PIECE_BYTES = 512;
/** Pieces of a block of 4 KiB. */
export const PIECES_PER_BLOCK = 8;

/** A promise that was broken. */
export class Violation extends Error {
  /** @param promise Its number, I… or B… of the promises. */
  constructor(readonly promise: string, detail: string, atMs: number) {
    super(`${promise} at ${atMs.toFixed(1)} ms: ${detail}`);
  }
}

/** Changes to nodes and the simulation for the mutation check. */
export interface Sabotage {
  /** Called with every new core before it is used. */
  readonly core?: (core: VolumeCore) => void;
  /** A Secondary that was rebooted still counts as in sync. */
  readonly forgetsBoots?: boolean;
  /** Both disks lie about every flush, and nobody knows. */
  readonly bothLie?: boolean;
  /** A flush that takes too long has done its work. */
  readonly trustsLateFlush?: boolean;
  /** What protocol A answered is called safe. */
  readonly trustsA?: boolean;
  /** States are called stable before they are. */
  readonly losesStates?: (before: string, after: string) => boolean;
}

/** See the module comment. */
export interface World {
  readonly seed: number;
  readonly plan: MirrorPlan;
  readonly scheduler: Scheduler;
  readonly rng: {
    readonly net: Prng;
    readonly disk: Prng;
    readonly clients: Prng;
    readonly faults: Prng;
    readonly people: Prng;
    readonly crashes: Prng;
  };
  readonly nodes: readonly [SimNode, SimNode];
  readonly network: Network;
  readonly register: SimRegister;
  readonly lineage: Lineage;
  readonly taints: Taints;
  readonly stuck: StuckFlush;
  readonly history: VolumeHistory;
  readonly sabotage: Sabotage;
  readonly trace: ((line: string) => void) | undefined;
  /** Nothing goes wrong any more. */
  isHealing: boolean;
  /** A piece whose changes are traced. */
  readonly watched: number | undefined;
  /** An online verify has compared everything since the faults. */
  isScrubbed: boolean;
  /** The last one ended so because the disks have nothing in common. */
  areUnrelated: boolean;
  /** When a handshake ended with StandAlone last, in ms. */
  lastDrop: number | undefined;
  mark(name: string): void;
  fail(promise: string, detail: string): never;
}

/** The other one of two. */
export function other(id: 0 | 1): 0 | 1 {
  return id === 0 ? 1 : 0;
}
