/**
 * What a change of state is judged by, beside the two states themselves: the
 * volume's options and a few facts about the node.
 *
 * @module
 */

import type { DiskState, Role } from "./mirror_state.ts";

/** What a Primary does when it loses a peer that could be promoted. */
export type FencingPolicy =
  | "dont-care"
  | "resource-only"
  | "resource-and-stonith";

/** Options of the volume that decide about states. */
export interface StateOptions {
  /** `allow-two-primaries`. */
  readonly allowTwoPrimaries: boolean;
  readonly fencing: FencingPolicy;
  /** `on-no-data-accessible`. */
  readonly onNoData: "io-error" | "suspend-io";
  /** A `verify-alg` is configured. */
  readonly hasVerifyAlg: boolean;
}

/** Facts about this node at the moment of the change. */
export interface StateFacts {
  /** Somebody holds the device open. */
  readonly isOpen: boolean;
  /** We told the peer our state and have not left WFReportParams since. */
  readonly stateSent: boolean;
  /** A peer of another volume of the same resource, or of this one, is this. */
  readonly resourcePeerRole: Role;
  /**
   * What the disk is worth without the peer, while it is Negotiating: as stored
   * at attach, when the last exposed generation is the current one; undefined
   * when it is not, or when there is no disk.
   */
  readonly atAttach?: {
    readonly disk: DiskState;
    readonly peerDisk: DiskState;
  };
}

/** Everything beside the states. */
export interface StateContext {
  readonly options: StateOptions;
  readonly facts: StateFacts;
}

/** DRBD's defaults. */
export const STATE_DEFAULTS: StateOptions = {
  allowTwoPrimaries: false,
  fencing: "dont-care",
  onNoData: "io-error",
  hasVerifyAlg: false,
};
