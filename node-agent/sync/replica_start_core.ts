/**
 * What a replica core starts from, and its times and sizes.
 *
 * @module
 */

import type { GroupRegister, NodeId } from "@kedge/schema";
import type { SafetyRules } from "./rules_core.ts";

/** Times and sizes of the core. */
export interface ReplicaSettings {
  /** A required peer that keeps an answer waiting this long is late. */
  readonly ackTimeoutMs: number;
  /** The same for a peer whose connection is gone. */
  readonly unlinkedMs: number;
  /** A peer without a connection for so long is late even if nothing waits. */
  readonly goneMs: number;
  /** An answer that waits this long becomes `uncertain`. */
  readonly giveUpMs: number;
  /** How long a link must be steady before a member that was shrunk joins. */
  readonly regrowDelayMs: number;
  /**
   * How often members in sync compare although nothing happened: whatever went
   * past every other rule is mended by then.
   */
  readonly compareAgainMs: number;
  /** Most changes that may wait; more are refused as `busy`. */
  readonly pendingMax: number;
}

/** What settings are when nobody says otherwise. */
export const REPLICA_SETTINGS: ReplicaSettings = {
  ackTimeoutMs: 1000,
  unlinkedMs: 300,
  goneMs: 5000,
  giveUpMs: 5000,
  regrowDelayMs: 5000,
  compareAgainMs: 600_000,
  pendingMax: 10_000,
};

/** What a core starts from. */
export interface ReplicaStart {
  /** Which node this is. */
  readonly node: NodeId;
  /** Identity of our database. */
  readonly store: string;
  /** The present run of our log. */
  readonly incarnation: number;
  /** The register that was saved last. */
  readonly register: GroupRegister | undefined;
  /** Last sequence of our log in this incarnation. */
  readonly head: number;
  /**
   * Records that were written but not flushed may be gone: the last stop was
   * not clean and the machine has restarted since. A killed process alone loses
   * nothing that was written. When unknown, true.
   */
  readonly mayHaveLost: boolean;
  /**
   * The database may be an older copy than the one that ran last, until a
   * tracker or the others vouch for it (`docs/replication.md`).
   */
  readonly mayBeOld?: boolean;
  /** What differs from {@linkcode REPLICA_SETTINGS}. */
  readonly settings?: Partial<ReplicaSettings>;
  /** Only for tests that take a rule away. */
  readonly rules?: SafetyRules;
}

/** Whether changes may be taken, or why not. */
export type WriteVerdict =
  | { readonly ok: true }
  | {
    readonly ok: false;
    readonly reason: "not-in-sync" | "read-only" | "frozen" | "busy";
    readonly why: string;
  };
