/**
 * What the replica core knows: the register, the state of every peer, and what
 * waits; with the questions that every input asks of it.
 *
 * Only `replica_core.ts` and `link_inputs_core.ts` change it.
 *
 * @module
 */

import {
  type GroupRegister,
  isInSync,
  isMember,
  type Level,
  type NodeId,
} from "@kedge/schema";
import { CommitQueue } from "./commit_core.ts";
import { Membership } from "./membership_core.ts";
import { type LateTerms, PeerTable } from "./peer_table_core.ts";
import { RegisterRequests } from "./register_core.ts";
import type { ReplicaEffect } from "./replica_messages.ts";
import { SAFETY_RULES, type SafetyRules } from "./rules_core.ts";
import {
  REPLICA_SETTINGS,
  type ReplicaSettings,
  type ReplicaStart,
  type WriteVerdict,
} from "./replica_start_core.ts";

/** Every level of an answer. */
export const ALL_LEVELS: readonly Level[] = ["A", "B", "C"];

/** See the module comment. */
export class ReplicaState {
  readonly node: NodeId;
  readonly store: string;
  readonly settings: ReplicaSettings;
  readonly rules: SafetyRules;
  readonly commits: CommitQueue;
  readonly peers: PeerTable;
  readonly membership: Membership;
  readonly requests = new RegisterRequests();
  /** The register that this node acts under. */
  register: GroupRegister | undefined;
  /** Core time, in ms: it stands still while the process is paused. */
  nowMs = 0;
  /** Why nothing is decided here before an operator has spoken. */
  frozen: string | undefined;
  /** Why no record can be stored here. */
  readOnly: string | undefined;
  /** Why files may be gone from our disks; our index is whole. */
  filesLost: string | undefined;
  /** What the present input has brought about so far. */
  effects: ReplicaEffect[] = [];
  readonly #blockedSinceMs: LateTerms["blockedSinceMs"] = (position) =>
    this.commits.blockedSinceMs(position);

  /** What a core starts from. */
  constructor(start: ReplicaStart) {
    this.node = start.node;
    this.store = start.store;
    this.settings = { ...REPLICA_SETTINGS, ...start.settings };
    this.rules = start.rules ?? SAFETY_RULES;
    this.register = start.register;
    this.commits = new CommitQueue(start.head, this.rules);
    this.peers = new PeerTable(start.node, this.rules);
    this.membership = new Membership({
      node: this.node,
      peers: this.peers,
      settings: this.settings,
      rules: this.rules,
      isSuspect: start.mayHaveLost && this.rules.suspectLeaves,
      mayBeOld: start.mayBeOld ?? false,
    });
    if (this.register !== undefined) {
      this.peers.adopt(this.register);
      if (this.rules.startAssumesPromises) {
        this.peers.assumePromises(start.head);
      }
    }
  }

  /**
   * Whether our index is whole: it holds every change that was acknowledged at
   * B or C. Only then is "never had it" our word (`fetch_core.ts`).
   */
  isWhole(): boolean {
    const register = this.register;
    return register !== undefined && isInSync(register, this.node) &&
      !this.storeDiffers(register) && !this.membership.isSuspect &&
      !this.membership.mayBeOld;
  }

  /** Whether a change would be taken now. */
  mayWrite(): WriteVerdict {
    const register = this.register;
    if (this.frozen !== undefined) return refuse("frozen", this.frozen);
    if (this.readOnly !== undefined) {
      return refuse("read-only", this.readOnly);
    }
    if (register === undefined) {
      return refuse("not-in-sync", "no tracker has told the group yet");
    }
    if (!isMember(register, this.node)) {
      return refuse("not-in-sync", "this node is not in the group");
    }
    if (!isInSync(register, this.node) || this.storeDiffers(register)) {
      return refuse("not-in-sync", "this node is catching up");
    }
    if (this.membership.isSuspect) {
      return refuse("not-in-sync", "this node checks what it lost");
    }
    if (this.membership.mayBeOld) {
      return refuse(
        "not-in-sync",
        "nobody could say that this is its newest " +
          "data: no tracker and not all nodes in sync answered since its start",
      );
    }
    if (this.commits.size >= this.settings.pendingMax) {
      return refuse("busy", "too many changes wait for their answer");
    }
    return { ok: true };
  }

  /** Close a connection. */
  drop(
    link: { readonly peer: NodeId; readonly session: number },
    why: string,
  ): void {
    const { peer, session } = link;
    this.effects.push({ kind: "drop-link", peer, session, why });
  }

  /** Tell a peer what it lacks of the register. */
  tell(peer: Parameters<PeerTable["tell"]>[0]): void {
    this.effects.push(...this.peers.tell(peer));
  }

  /** By what a peer is late. */
  lateTerms(): LateTerms {
    return {
      nowMs: this.nowMs,
      settings: this.settings,
      blockedSinceMs: this.#blockedSinceMs,
    };
  }

  /** Answer whatever is answered by now. */
  settle(): void {
    const register = this.register;
    const holders = this.peers.holders;
    if (register === undefined) return;
    if (!isInSync(register, this.node)) {
      return this.commits.settleLocal(holders, this.effects);
    }
    const late = this.rules.shrinkBeforeAnswer
      ? undefined
      : this.peers.late(this.lateTerms());
    this.commits.settle(this.peers.standing(late), this.effects);
  }

  /** Answer what waits at these levels with `uncertain`. */
  giveUp(levels: readonly Level[], why: string): void {
    this.commits.giveUp({ beforeMs: Infinity, levels }, why, this.effects);
  }

  /** On what terms a peer may join now. */
  joinTerms() {
    const register = this.register;
    const willing = register !== undefined && isInSync(register, this.node) &&
      !this.membership.isSuspect && !this.membership.mayBeOld &&
      this.frozen === undefined;
    return {
      ...this.lateTerms(),
      willing,
      head: this.commits.head,
      answered: this.commits.answered,
    };
  }

  /** The register counts on another database than ours. */
  storeDiffers(register: GroupRegister): boolean {
    if (!this.rules.checkStores) return false;
    return register.members.some((member) =>
      member.node === this.node && member.store !== this.store
    );
  }
}

function refuse(
  reason: "not-in-sync" | "read-only" | "frozen" | "busy",
  why: string,
): WriteVerdict {
  return { ok: false, reason, why };
}
