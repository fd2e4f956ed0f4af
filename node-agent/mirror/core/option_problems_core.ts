/**
 * Options that do not go together.
 *
 * Source: DRBD 8.4, reference §2.6 and §6.6.
 *
 * @module
 */

import type {
  ConnectionState,
  MirrorState,
} from "../decisions/mirror_state.ts";
import type { VolumeConfig } from "./volume_types.ts";

const RESYNCS: ReadonlySet<ConnectionState> = new Set([
  "SyncSource",
  "SyncTarget",
  "PausedSyncS",
  "PausedSyncT",
]);

/** DRBD's code for options of a connection that do not go together. */
export function netProblem(config: VolumeConfig): number | undefined {
  if (config.protocol === "A" && config.fencing === "resource-and-stonith") {
    return 154;
  }
  const mayLeave = config.onCongestion !== "block";
  return mayLeave && config.protocol !== "A" ? 155 : undefined;
}

/** Why options may not change now: DRBD's code; undefined: they may. */
export function changeProblem(
  { connection }: MirrorState,
  now: VolumeConfig,
  next: VolumeConfig,
): number | undefined {
  const isVerifying = connection === "VerifyS" || connection === "VerifyT";
  if (isVerifying && now.verifyAlgorithm !== next.verifyAlgorithm) return 149;
  const isSyncing = RESYNCS.has(connection);
  if (isSyncing && now.checksumAlgorithm !== next.checksumAlgorithm) return 148;
  return connection === "StandAlone" ? undefined : netProblem(next);
}
