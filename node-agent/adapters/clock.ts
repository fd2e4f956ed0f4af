/** The real clocks. */

import type { Clock } from "../ports.ts";

/** Monotonic time from the process, wall time from the system. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};
