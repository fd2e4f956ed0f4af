/**
 * What this node believes about its group: the saved register, what a tracker
 * said last, and who confirmed our epoch when.
 *
 * @module
 */

import type {
  GroupRegister,
  GroupSettings,
  HeartbeatReply,
  NodeId,
  PeerInfo,
  SigningKey,
} from "@kedge/schema";
import { ownerOf } from "@kedge/schema/register";
import type { LeaseView } from "./lease_core.ts";

/** Somebody acted under an epoch at some time after `sinceMs`. */
interface Confirmation {
  readonly epoch: number;
  readonly sinceMs: number;
}

/** See the module comment. */
export class GroupView {
  readonly #node: NodeId;
  readonly #defaults: GroupSettings;
  readonly #peers = new Map<NodeId, Confirmation>();
  #tracker: Confirmation | undefined;
  #reply: HeartbeatReply | undefined;
  #saved: GroupRegister | undefined;

  /** Nothing is known but what was saved. */
  constructor(
    node: NodeId,
    defaults: GroupSettings,
    saved: GroupRegister | undefined,
  ) {
    this.#node = node;
    this.#defaults = defaults;
    this.#saved = saved;
  }

  /** The register that is saved: the only one that peers are told. */
  get saved(): GroupRegister | undefined {
    return this.#saved;
  }

  /** Epoch of the saved register; 0 is none. */
  get epoch(): number {
    return this.#saved?.epoch ?? 0;
  }

  /** What operators chose for the group. */
  get settings(): GroupSettings {
    return this.#reply?.settings ?? this.#defaults;
  }

  /** The other members, as a tracker knows them. */
  get peers(): readonly PeerInfo[] {
    return this.#reply?.peers ?? [];
  }

  /** Members of the saved register that can be dialled. */
  get reachable(): PeerInfo[] {
    return this.peers.filter((peer) =>
      peer.node !== this.#node && this.isMember(peer.node)
    );
  }

  /** Keys that verify capabilities. */
  get signingKeys(): readonly SigningKey[] {
    return this.#reply?.signingKeys ?? [];
  }

  /** What an operator wants of this node. */
  get mode(): HeartbeatReply["mode"] {
    return this.#reply?.mode ?? "active";
  }

  /** Whether a node belongs to the group. */
  isMember(node: NodeId): boolean {
    return this.#saved?.members.some((member) => member.node === node) ?? false;
  }

  /** The node that may change files made by `origin`. */
  ownerOf(origin: NodeId): NodeId | undefined {
    return this.#saved === undefined ? undefined : ownerOf(this.#saved, origin);
  }

  /** A register was saved. */
  save(register: GroupRegister): void {
    this.#saved = register;
  }

  /** A tracker answered a question that was sent at `sinceMs`. */
  replied(reply: HeartbeatReply, sinceMs: number): void {
    this.#reply = reply;
    this.#tracker = { epoch: reply.register.epoch, sinceMs };
  }

  /** A peer answered a ping that was sent at `sinceMs`. */
  confirmed(peer: NodeId, epoch: number, sinceMs: number): void {
    this.#peers.set(peer, { epoch, sinceMs });
  }

  /** The part of the read lease that depends on who confirmed our epoch. */
  confirmations(epoch: number): Pick<LeaseView, "trackerMs" | "peerMs"> {
    const peerMs = new Map<NodeId, number>();
    for (const [peer, confirmation] of this.#peers) {
      if (confirmation.epoch === epoch) peerMs.set(peer, confirmation.sinceMs);
    }
    const trackerMs = this.#tracker?.epoch === epoch
      ? this.#tracker.sinceMs
      : undefined;
    return { trackerMs, peerMs };
  }
}
