/**
 * The options of a simulated volume.
 *
 * @module
 */

import type {
  PersistentState,
  VolumeConfig,
} from "../../../node-agent/mirror/core/volume_types.ts";
import {
  CREATED_SET,
  type GenerationSet,
} from "../../../node-agent/mirror/decisions/generations_core.ts";
import { HARDENED } from "../../../node-agent/mirror/decisions/hardenings_core.ts";
import { RESYNC_DEFAULTS } from "../../../node-agent/mirror/decisions/resync_controller_core.ts";
import type { MirrorPlan } from "./plan.ts";
import { PIECE_BYTES, PIECES_PER_BLOCK } from "./world.ts";

const BLOCK_BYTES = PIECE_BYTES * PIECES_PER_BLOCK;

/** What the core is configured with. */
export function configOf(plan: MirrorPlan): VolumeConfig {
  return {
    protocol: plan.protocol,
    alExtents: plan.alExtents,
    extentBytes: plan.extentBlocks * BLOCK_BYTES,
    onIoError: plan.onIoError,
    fencing: plan.fencing,
    onNoData: plan.onNoData,
    splitBrain: plan.splitBrain,
    verifyAlgorithm: "sha1",
    checksumAlgorithm: plan.hasChecksums ? "sha1" : "",
    checksumAfterCrashOnly: false,
    onCongestion: plan.protocol === "A" ? plan.onCongestion : "block",
    congestionFillBytes: plan.congestionFillBytes,
    congestionExtents: plan.congestionExtents,
    maxEpochWrites: plan.maxEpochWrites,
    peerTimeoutMs: plan.stuck?.limitMs ?? 4_000,
    fencedByRegister: plan.isFenced,
    handlers: handlersOf(plan),
    resync: {
      ...RESYNC_DEFAULTS,
      planAheadSteps: 0,
      resyncRateKibPerSecond: 1_600,
    },
    hardenings: HARDENED,
  };
}

function handlersOf(plan: MirrorPlan): ReadonlySet<string> {
  return new Set([
    "initial-split-brain",
    ...plan.fencing === "dont-care" ? [] : ["fence-peer"],
  ]);
}

/** What is in every piece of a new disk of one of the nodes. */
export function firstContents(plan: MirrorPlan, id: number): Uint32Array {
  const { growth } = plan;
  const pieces = plan.blocks * PIECES_PER_BLOCK;
  const contents = new Uint32Array(pieces).fill(plan.startsNew ? id + 1 : 1);
  const newFrom = (growth?.firstBlocks ?? plan.blocks) * PIECES_PER_BLOCK;
  return contents.fill(growth?.isEqual === true ? 1 : id + 1, newFrom);
}

/** What is on the disks at the start. */
export function firstState(plan: MirrorPlan): PersistentState {
  const synced: GenerationSet = {
    current: 0x1110n,
    bitmap: 0n,
    history: [0n, 0n],
  };
  const isSynced = !plan.startsNew;
  return {
    generations: isSynced ? synced : CREATED_SET,
    flags: {
      consistent: isSynced,
      primary: false,
      connected: false,
      fullSync: false,
      wasUpToDate: isSynced,
      peerOutdated: false,
      crashedPrimary: false,
    },
    agreedBytes: isSynced
      ? (plan.growth?.firstBlocks ?? plan.blocks) * BLOCK_BYTES
      : 0,
    epoch: 0,
  };
}
