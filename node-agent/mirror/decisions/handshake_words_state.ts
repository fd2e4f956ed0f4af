/**
 * The words of a handshake: what each side tells, and what can follow.
 * `handshake_core.ts` decides.
 *
 * @module
 */

import type { GenerationSet } from "./generations_core.ts";
import type { Hardenings } from "./hardenings_core.ts";
import type { DiskState, Role } from "./mirror_state.ts";
import type { SplitBrainPolicies } from "./split_brain_core.ts";
import type { Comparison } from "./uuid_compare_core.ts";

/** What one node says of itself in the handshake. */
export interface HandshakeSide {
  readonly generations: GenerationSet;
  /** Blocks of 4 KiB that this node has marked out of sync. */
  readonly outOfSyncBlocks: number;
  readonly role: Role;
  /** For `Negotiating`: the state that the disk would have without a peer. */
  readonly disk: DiskState;
  /** It was Primary when it stopped without demoting. */
  readonly crashedPrimary: boolean;
  /**
   * It was in sync and has not stopped since, and everything that the other one
   * answered is on its disk (protocols B and C). Missing: nobody knows.
   */
  readonly stayedUp?: boolean;
  /** Connected with `--discard-my-data`. */
  readonly discardMyData: boolean;
}

/** Options of {@link decideHandshake}. */
export interface HandshakeOptions {
  /** Exactly one of the two nodes has this; it breaks ties. */
  readonly resolveConflicts: boolean;
  /** Whether we could become Secondary now: nobody holds the device open. */
  readonly couldDemote: boolean;
  readonly policies: SplitBrainPolicies;
  /** `connect --tentative`: decide, then drop. */
  readonly tentative?: boolean;
  /** Default: all of them. */
  readonly hardenings?: Hardenings;
}

/** Handlers that a handshake may call. */
export type HandshakeHandler =
  | "initial-split-brain"
  | "pri-lost-after-sb"
  | "split-brain"
  | "pri-lost";

/** Why the connection is dropped. */
export type DropReason =
  | "unrelated-data"
  | "split-brain"
  /** We should be source, but have no good data. */
  | "source-without-data"
  /** We are Primary, and should become sync target. */
  | "primary-would-be-target"
  | "tentative";

/** What follows from the handshake, seen from us. */
export interface HandshakeOutcome {
  /** The next connection state, or `drop` (StandAlone). */
  readonly next: "WFBitMapS" | "WFBitMapT" | "Connected" | "drop";
  readonly dropReason?: DropReason;
  /** Mark everything out of sync first: a full resync. */
  readonly setWholeBitmap: boolean;
  /** Handlers to call, in order. */
  readonly handlers: readonly HandshakeHandler[];
  /** We must become Secondary first. */
  readonly demote: boolean;
  /** The bare comparison, with the sets as it repairs them. */
  readonly comparison: Comparison;
  /**
   * Our set from now on. With `setWholeBitmap` it must be stored **after** the
   * bitmap: it may say that the bitmap counts from the peer's data on.
   */
  readonly generations: GenerationSet;
}
