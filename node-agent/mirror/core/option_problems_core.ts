/**
 * Options that do not go together.
 *
 * Source: DRBD 8.4, reference §2.6 and §6.6.
 *
 * @module
 */

import type { VolumeConfig } from "./volume_types.ts";

/** DRBD's code for options of a connection that do not go together. */
export function netProblem(config: VolumeConfig): number | undefined {
  if (config.protocol === "A" && config.fencing === "resource-and-stonith") {
    return 154;
  }
  const mayLeave = config.onCongestion !== "block";
  return mayLeave && config.protocol !== "A" ? 155 : undefined;
}
