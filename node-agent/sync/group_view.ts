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

/** See the module comment. */
export class GroupView {
  readonly #node: NodeId;
  readonly #defaults: GroupSettings;
  readonly #peerMs = new Map<NodeId, number>();
  #trackerMs: number | undefined;
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

  /** What this node and a peer prove to each other. */
  keyOf(peer: NodeId): string | undefined {
    return this.#reply?.peerKeys?.find(({ node }) => node === peer)?.key;
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

  /** A tracker answered. */
  replied(reply: HeartbeatReply): void {
    this.#reply = reply;
  }

  /**
   * Our epoch stood at some time after `sinceMs`: a tracker or a peer acted under
   * it. That nobody had taken us out *then* stays true when the epoch moves on,
   * so a confirmation outlives its epoch.
   */
  confirmed(by: NodeId | "tracker", sinceMs: number): void {
    if (by === "tracker") this.#trackerMs = sinceMs;
    else this.#peerMs.set(by, sinceMs);
  }

  /** The part of the read lease that depends on who confirmed our epoch. */
  get confirmations(): Pick<LeaseView, "trackerMs" | "peerMs"> {
    return { trackerMs: this.#trackerMs, peerMs: this.#peerMs };
  }
}
