/**
 * Everything that the parts of one simulated run share.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import {
  FETCH_RULES,
  type FetchRules,
} from "../../node-agent/sync/fetch_core.ts";
import {
  SAFETY_RULES,
  type SafetyRules,
} from "../../node-agent/sync/rules_core.ts";
import type { History } from "./history.ts";
import type { Config } from "./plan.ts";
import type { Prng } from "./prng.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimAgent } from "./sim_agent.ts";
import type { SimKv } from "./sim_kv.ts";
import type { SimNet } from "./sim_net.ts";

/** Rules outside the core that the mutation test may take away. */
export interface SimRules {
  readonly core: SafetyRules;
  readonly fetch: FetchRules;
  /** A new incarnation after every unclean stop. */
  readonly newIncarnation: boolean;
  /** Both barriers before tombstones go. */
  readonly tombstoneBarriers: boolean;
  /** A tombstone wins when states merge. */
  readonly tombstonesWin: boolean;
  /** Records with a gap before them are not applied. */
  readonly refuseGaps: boolean;
  /** Records are acknowledged when they are stored, not when they come. */
  readonly storeBeforeAck: boolean;
  /** Who may have lost records remembers that over a clean stop. */
  readonly keepSuspicion: boolean;
  /** Changes by a file's owner are sent to peers after they are stored here. */
  readonly storeOwnersFirst: boolean;
  /** Old records are sent as what their file is now, not as it was. */
  readonly sendCurrentState: boolean;
  /** A node that was cut off stops serving reads. */
  readonly readLease: boolean;
  /** Nobody counts after a start before somebody vouches for its data. */
  readonly waitsForVoucher: boolean;
  /** A tracker notices that a node was set back. */
  readonly noticesSetBack: boolean;
}

/** Every rule on. */
export const ALL_RULES: SimRules = {
  core: SAFETY_RULES,
  fetch: FETCH_RULES,
  newIncarnation: true,
  tombstoneBarriers: true,
  tombstonesWin: true,
  refuseGaps: true,
  storeBeforeAck: true,
  keepSuspicion: true,
  storeOwnersFirst: true,
  sendCurrentState: true,
  readLease: true,
  waitsForVoucher: true,
  noticesSetBack: true,
};

/** A promise was broken. */
export class Violation extends Error {
  override readonly name = "Violation";
  constructor(readonly invariant: string, what: string, atMs: number) {
    super(`${invariant} at ${atMs.toFixed(1)} ms: ${what}`);
  }
}

/** See the module comment. */
export interface World {
  readonly seed: number;
  readonly config: Config;
  readonly rules: SimRules;
  readonly scheduler: Scheduler;
  /** One stream of chance per concern, so that they do not shift each other. */
  readonly rng: {
    readonly net: Prng;
    readonly disk: Prng;
    readonly clients: Prng;
    readonly faults: Prng;
  };
  readonly net: SimNet;
  readonly kv: SimKv;
  readonly history: History;
  readonly agents: ReadonlyMap<NodeId, SimAgent>;
  /** Wall clock of a node: arbitrary, for display only. */
  readonly wallMs: (node: NodeId) => number;
  /** Lines of a trace, when somebody wants to read one. */
  readonly trace: ((line: string) => void) | undefined;
  /** Next number for records, tokens, files. */
  readonly next: () => number;
  /** Note that a rare branch was taken. */
  readonly mark: (name: string) => void;
}
