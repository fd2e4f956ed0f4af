/**
 * What a node knows of one peer, and who of them must have a change.
 *
 * *Required* are the in-sync set without us, plus peers that join and that we
 * wait for. Nobody leaves the required set unless the epoch has moved, except a
 * joiner to whom nothing was promised yet.
 *
 * @module
 */

import type { GroupRegister, NodeId } from "@kedge/schema";
import type { SafetyRules } from "./rules_core.ts";

/**
 * How far we let a peer outside the in-sync set wait on us:
 *
 * - `no`        we do not wait for it;
 * - `waiting`   we wait for it, it does not know yet: may be taken back freely;
 * - `promised`  we told it under `joiningEpoch`, or may have before we started:
 *               ends only when the epoch moves.
 */
export type JoiningState = "no" | "waiting" | "promised";

/** What we know of one peer. */
export interface Peer {
  readonly node: NodeId;
  /** Number of the present connection. */
  session: number | undefined;
  /** Identity of its database, as it last said. */
  store: string;
  /** Sequences of our log that it holds, as it last said. */
  written: number;
  durable: number;
  /** It lacks records of our earlier incarnations. */
  lacksEarlier: boolean;
  /**
   * Its log begins after what we hold of it: compare with it, then take its
   * position as ours.
   */
  forgotUs: boolean;
  /** Epoch of the last register that we told over this connection. */
  toldEpoch: number;
  /** It refused our records; they must be sent again after a newer register. */
  refusedUs: boolean;
  /** When its position last moved, and when the connection came or went. */
  progressMs: number;
  linkMs: number;
  /** How far we wait for it while it joins. */
  joining: JoiningState;
  joiningEpoch: number;
  /** What was answered without it before we waited: it must hold that. */
  joiningNeeds: number;
  /** It asked us to wait and has no promise over this connection yet. */
  wantsPromise: boolean;
  /** No waiting for it before this time. */
  bannedUntilMs: number;
  /** Epoch under which it promised to wait for us; 0 is none. */
  promisedUs: number;
  /** Epoch under which we last compared with it; 0 is never. */
  comparedEpoch: number;
  /** When it was compared with. */
  comparedMs: number;
  /** When we last asked it for something that it did not answer yet. */
  askedMs: number;
}

/** A peer of which nothing is known. */
export function newPeer(node: NodeId): Peer {
  return {
    node,
    session: undefined,
    store: "",
    written: 0,
    durable: 0,
    lacksEarlier: true,
    forgotUs: false,
    toldEpoch: 0,
    refusedUs: false,
    progressMs: 0,
    linkMs: 0,
    joining: "no",
    joiningEpoch: 0,
    joiningNeeds: 0,
    wantsPromise: false,
    bannedUntilMs: 0,
    promisedUs: 0,
    comparedEpoch: 0,
    comparedMs: -Infinity,
    askedMs: -Infinity,
  };
}

/**
 * Whether what this peer says counts: its database is the one that the register
 * names. A wiped peer, or another disk under its name, holds nothing for us.
 */
export function peerCounts(
  peer: Peer,
  register: GroupRegister,
  rules: SafetyRules,
): boolean {
  if (!rules.checkStores) return true;
  return register.members.some((member) =>
    member.node === peer.node && member.store === peer.store
  );
}

/**
 * Whether we must have the answers of this peer.
 *
 * @param peer Any peer.
 * @param register The register that we act under.
 */
export function isRequired(peer: Peer, register: GroupRegister): boolean {
  if (register.insync.includes(peer.node)) return true;
  return peer.joining !== "no" && peer.joiningEpoch === register.epoch;
}
