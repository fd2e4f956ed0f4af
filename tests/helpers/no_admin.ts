/**
 * What operators get of a node that has none, for tests.
 *
 * @module
 */

import type { AgentAdmin } from "../../node-agent/http/deps.ts";

/** Answers nothing. */
export const NO_ADMIN: AgentAdmin = {
  status: () => ({}),
  startScrub: () => ({}),
  scrubProgress: () => ({}),
  openPath: (index) => ({ index, refillFiles: 0 }),
  confirm: () => ({}),
  migration: { start: () => ({}), view: () => null, stop: () => ({}) },
};
