/**
 * What the replica core is told and what it orders: the border between the
 * decisions of `replica_core.ts` and the hands of `replicator.ts`.
 *
 * One core per agent. Inputs come one at a time; the effects of each are carried
 * out in order before the next input. The core has no clock (ticks bring the
 * monotonic time), no socket, no disk.
 *
 * The flow of one change at level B or C:
 *
 * ```text
 * submit ─▶ [append, send → every required peer]
 *   logged   (ours: written, durable) ─┐
 *   acked    (peer: written, durable) ─┼─▶ all there ─▶ [answer]
 *   tick: a peer is late ─▶ [change-register shrink] ─▶ register-answer ok ─▶ [answer]
 *                                                    └▶ refused/unknown ─▶ re-read, no ack
 * ```
 *
 * *Required* peers of a change are the in-sync set plus every peer that this
 * node has promised to wait for while it joins (ack before grow). Nobody leaves
 * the required set without the epoch being raised first.
 *
 * @module
 */

import type {
  GroupRegister,
  Level,
  NodeId,
  RegisterChange,
} from "@kedge/schema";

/** A link to a peer; a new number with every connection. */
export interface LinkRef {
  readonly peer: NodeId;
  readonly session: number;
}

/** Something that happened. */
export type ReplicaInput =
  /** A register, from a heartbeat, a peer or a re-read; may be old news. */
  | {
    readonly kind: "register";
    readonly register: GroupRegister;
    /**
     * From a tracker: the epoch that we had when the question was sent, 0 for
     * none. A tracker that answers with less has lost data (promises.md R13).
     * Missing for registers that peers tell.
     */
    readonly askedUnder?: number;
  }
  /** An operator accepts this register after the KV was restored. */
  | { readonly kind: "confirm"; readonly register: GroupRegister }
  /** A tracker says that this is the state that ran last. */
  | { readonly kind: "vouched" }
  /** The tracker could not be asked, or answered again. */
  | { readonly kind: "tracker"; readonly reachable: boolean }
  /** A client's change wants to be committed. `op` is the caller's number. */
  | {
    readonly kind: "submit";
    readonly op: number;
    readonly level: Level;
    /**
     * Set when only the owner may make this change (append, modify, truncate,
     * metadata, derived file): the node that made the file. When ownership moves
     * before the answer, the change is `uncertain`: the new owner may have made
     * another one from the same state. Missing for uploads and deletes.
     */
    readonly origin?: NodeId;
  }
  /** Our log holds every sequence up to here. */
  | {
    readonly kind: "logged";
    readonly written: number;
    readonly durable: number;
  }
  /** Our log can no longer be written. */
  | { readonly kind: "log-failed"; readonly why: string }
  /**
   * Files of this node may be gone with their disk (`disks_core.ts`), or no
   * longer are when `why` is missing. The index and the log are whole.
   */
  | { readonly kind: "files-lost"; readonly why: string | undefined }
  /** A peer is connected and authenticated. */
  | LinkRef & {
    readonly kind: "linked";
    /** Identity of its database. */
    readonly store: string;
    /** Sequences of our present incarnation that it holds. */
    readonly written: number;
    readonly durable: number;
    /** It still lacks records of our earlier incarnations. */
    readonly lacksEarlier: boolean;
    /** It has records of ours that we have lost. */
    readonly knowsMore: boolean;
    /**
     * Its log begins after what we hold of it (`log_cut_core.ts`). It sends
     * nothing before we have compared with it and said so (`skip`).
     */
    readonly isCut?: boolean;
  }
  /** The connection is gone. */
  | LinkRef & { readonly kind: "unlinked" }
  /** A peer holds our sequences up to here. */
  | LinkRef & {
    readonly kind: "acked";
    readonly written: number;
    readonly durable: number;
    readonly lacksEarlier: boolean;
  }
  /** A peer refused our frames: it knows a higher epoch. */
  | LinkRef & { readonly kind: "refused"; readonly epoch: number }
  /** A peer sent records; the shell has checked that they are contiguous. */
  | LinkRef & {
    readonly kind: "pushed";
    readonly epoch: number;
    /** The shell's number of this batch. */
    readonly batch: number;
  }
  /** Our store holds a batch. */
  | LinkRef & {
    readonly kind: "applied";
    readonly batch: number;
  }
  /** A peer that is not in sync asks us to wait for its answers. */
  | LinkRef & { readonly kind: "join-requested"; readonly epoch: number }
  /** A peer waits for our answers from now on, under this epoch. */
  | LinkRef & { readonly kind: "promised"; readonly epoch: number }
  /** We hold everything that an in-sync donor held, compared under an epoch. */
  | {
    readonly kind: "compared";
    readonly donor: NodeId;
    readonly epoch: number;
    readonly ok: boolean;
  }
  /** The answer to a `change-register`. `unknown`: it may have happened. */
  | {
    readonly kind: "register-answer";
    readonly request: number;
    readonly outcome: "changed" | "refused" | "unknown";
    readonly register: GroupRegister | undefined;
  }
  /** Monotonic time, at least every 100 ms. */
  | { readonly kind: "tick"; readonly nowMs: number };

/** Something to do. */
export type ReplicaEffect =
  /** Store the change of `op` in our log under `sequence`. */
  | {
    readonly kind: "append";
    readonly op: number;
    readonly sequence: number;
    readonly durable: boolean;
  }
  /** Send our log to this peer from its position on, and keep it flowing. */
  | LinkRef & { readonly kind: "send" }
  /** Tell the peer which register we have (before records of a new epoch). */
  | LinkRef & {
    readonly kind: "tell-register";
    readonly register: GroupRegister;
  }
  /** Apply a batch that a peer pushed. */
  | LinkRef & { readonly kind: "apply"; readonly batch: number }
  /** Do not apply it: our epoch is higher. */
  | LinkRef & {
    readonly kind: "reject";
    readonly batch: number;
    readonly epoch: number;
  }
  /** Tell the peer that a batch is stored here. */
  | LinkRef & { readonly kind: "acknowledge"; readonly batch: number }
  /** Answer the client: done at this level, held by these. */
  | {
    readonly kind: "answer";
    readonly op: number;
    readonly level: Level;
    readonly holders: readonly NodeId[];
  }
  /** Answer the client: nothing was done. */
  | {
    readonly kind: "refuse";
    readonly op: number;
    readonly reason: "not-in-sync" | "read-only" | "frozen" | "busy";
    readonly why: string;
  }
  /** Answer the client: it may or may not exist later. */
  | { readonly kind: "uncertain"; readonly op: number; readonly why: string }
  /** Ask for a compare-and-set of the register. */
  | {
    readonly kind: "change-register";
    readonly request: number;
    readonly gen: string;
    readonly epoch: number;
    readonly change: RegisterChange;
  }
  /** Read the register again. */
  | { readonly kind: "read-register" }
  /** Save durably before any later effect of this list. */
  | { readonly kind: "save-register"; readonly register: GroupRegister }
  /** Ask a peer to wait for our answers. */
  | LinkRef & { readonly kind: "request-join"; readonly epoch: number }
  /** Tell a peer that we wait for its answers from now on. */
  | LinkRef & { readonly kind: "promise"; readonly epoch: number }
  /** Compare our store with this in-sync member, both ways. */
  | LinkRef & { readonly kind: "compare"; readonly epoch: number }
  /**
   * A comparison has brought what a peer has forgotten of its log: store the
   * place where that begins as our position, durably, and acknowledge it.
   */
  | LinkRef & { readonly kind: "skip" }
  /** Close a link. */
  | LinkRef & { readonly kind: "drop-link"; readonly why: string }
  /**
   * Our log lost records that a peer has: its numbers must not be used again.
   * Stop and start as after an unclean stop, with a new incarnation.
   */
  | { readonly kind: "restart-log"; readonly why: string }
  /** Tell the operator. */
  | { readonly kind: "alarm"; readonly why: string };
