/**
 * The replication of one node: decisions only, no I/O.
 *
 * Inputs come in one at a time; each returns the effects that the shell
 * (`replicator.ts`) performs **in order** before the next input. There is no
 * clock, no socket, no disk and no promise in this file, so the simulator runs
 * this very code under every fault it can think of (`tests/sim/`).
 *
 * What it keeps: a change at level B or C is answered only when every member of
 * the in-sync set has it, whoever that is at the moment of the answer. The set
 * changes in the register alone, and always *before* it matters: out before an
 * answer without the peer (shrink before ack), in only after every answer waited
 * for it (ack before grow). See `docs/architecture.md`, "In sync".
 *
 * @module
 */

import {
  type GroupRegister,
  isInSync,
  isMember,
  type Level,
  type NodeId,
  ownerOf,
} from "@kedge/schema";
import { CommitQueue } from "./commit_core.ts";
import { Membership } from "./membership_core.ts";
import {
  type LateTerms,
  type LinkInput,
  PeerTable,
} from "./peer_table_core.ts";
import { judgeRegister, RegisterRequests } from "./register_core.ts";
import type { ReplicaEffect, ReplicaInput } from "./replica_messages.ts";
import { SAFETY_RULES, type SafetyRules } from "./rules_core.ts";
import {
  REPLICA_SETTINGS,
  type ReplicaSettings,
  type ReplicaStart,
  type WriteVerdict,
} from "./replica_start_core.ts";
import { wantedChange } from "./want_core.ts";

export { REPLICA_SETTINGS } from "./replica_start_core.ts";
export type {
  ReplicaSettings,
  ReplicaStart,
  WriteVerdict,
} from "./replica_start_core.ts";

/** Farthest that a peer alone moves our epoch: some steps of `force`. */
const PEER_EPOCH_LEAP_MAX = 10_000;

/** Longest step of core time per tick, in ms: a paused process is not late. */
const TICK_STEP_MS_MAX = 250;

/** Levels that need peers. */
const SHARED_LEVELS: readonly Level[] = ["B", "C"];
const ALL_LEVELS: readonly Level[] = ["A", "B", "C"];

/** See the module comment. */
export class ReplicaCore {
  readonly node: NodeId;
  readonly store: string;
  readonly incarnation: number;
  readonly #settings: ReplicaSettings;
  readonly #rules: SafetyRules;
  readonly #commits: CommitQueue;
  readonly #peers: PeerTable;
  readonly #membership: Membership;
  readonly #requests = new RegisterRequests();
  #register: GroupRegister | undefined;
  #nowMs = 0;
  #lastTickMs: number | undefined;
  #frozen: string | undefined;
  #confirmedEpoch = 0;
  #readOnly: string | undefined;
  /** Why files may be gone from our disks; our index is whole. */
  #filesLost: string | undefined;
  #effects: ReplicaEffect[] = [];
  readonly #blockedSinceMs: LateTerms["blockedSinceMs"] = (position) =>
    this.#commits.blockedSinceMs(position);

  constructor(start: ReplicaStart) {
    this.node = start.node;
    this.store = start.store;
    this.incarnation = start.incarnation;
    this.#settings = { ...REPLICA_SETTINGS, ...start.settings };
    this.#rules = start.rules ?? SAFETY_RULES;
    this.#register = start.register;
    this.#commits = new CommitQueue(start.head, this.#rules);
    this.#peers = new PeerTable(start.node, this.#rules);
    this.#membership = new Membership({
      node: this.node,
      peers: this.#peers,
      settings: this.#settings,
      rules: this.#rules,
      isSuspect: start.mayHaveLost && this.#rules.suspectLeaves,
      mayBeOld: start.mayBeOld ?? false,
    });
    if (this.#register !== undefined) {
      this.#peers.adopt(this.#register);
      if (this.#rules.startAssumesPromises) {
        this.#peers.assumePromises(start.head);
      }
    }
  }

  /** The register that this node acts under. */
  get register(): GroupRegister | undefined {
    return this.#register;
  }

  /** Changes that wait for their answer. */
  get pending(): number {
    return this.#commits.size;
  }

  /** Peers that must have a change before it is answered. */
  requiredPeers(): NodeId[] {
    return this.#peers.required.map((peer) => peer.node);
  }

  /**
   * Whether our index is whole: it holds every change that was acknowledged at
   * B or C. Only then is "never had it" our word (`fetch_core.ts`).
   */
  isWhole(): boolean {
    const register = this.#register;
    return register !== undefined && isInSync(register, this.node) &&
      !this.#storeDiffers(register) && !this.#membership.isSuspect &&
      !this.#membership.mayBeOld;
  }

  /** Nobody has vouched for our database yet: it may be an older copy. */
  get mayBeOld(): boolean {
    return this.#membership.mayBeOld;
  }

  /**
   * Whether this node may have lost records and has not joined again since. Who
   * stops or is killed in this state must start with `mayHaveLost` again.
   */
  get isSuspect(): boolean {
    return this.#membership.isSuspect;
  }

  /** Whether a change would be taken now. */
  mayWrite(): WriteVerdict {
    const register = this.#register;
    if (this.#frozen !== undefined) return refuse("frozen", this.#frozen);
    if (this.#readOnly !== undefined) {
      return refuse("read-only", this.#readOnly);
    }
    if (register === undefined) {
      return refuse("not-in-sync", "no tracker has told the group yet");
    }
    if (!isMember(register, this.node)) {
      return refuse("not-in-sync", "this node is not in the group");
    }
    if (!isInSync(register, this.node) || this.#storeDiffers(register)) {
      return refuse("not-in-sync", "this node is catching up");
    }
    if (this.#membership.isSuspect) {
      return refuse("not-in-sync", "this node checks what it lost");
    }
    if (this.#membership.mayBeOld) {
      return refuse(
        "not-in-sync",
        "nobody could say that this is its newest " +
          "data: no tracker and not all nodes in sync answered since its start",
      );
    }
    if (this.#commits.size >= this.#settings.pendingMax) {
      return refuse("busy", "too many changes wait for their answer");
    }
    return { ok: true };
  }

  /**
   * Take one input.
   *
   * @param input What happened.
   * @returns What to do about it, in order; often nothing.
   */
  handle(input: ReplicaInput): ReplicaEffect[] {
    this.#effects = [];
    this.#take(input);
    return this.#effects;
  }

  #take(input: ReplicaInput): void {
    switch (input.kind) {
      case "submit":
        return this.#onSubmit(input);
      case "logged":
        this.#commits.logged(input);
        return this.#settle();
      case "log-failed":
        return this.#onLogFailed(input.why);
      case "files-lost":
        return this.#onFilesLost(input.why);
      case "register":
        return this.#onRegister(input.register, input.askedUnder);
      case "confirm":
        return this.#onConfirm(input.register);
      case "register-answer":
        return this.#onRegisterAnswer(input);
      case "compared":
        this.#membership.compared(input, this.#register);
        return this.#act();
      case "vouched":
        this.#membership.vouched();
        return this.#act();
      case "tracker":
        if (input.reachable) this.#requests.hurry();
        this.#membership.trackerSeen(input.reachable);
        return this.#act();
      case "tick":
        return this.#onTick(input.nowMs);
      default:
        return this.#onLinkInput(input);
    }
  }

  #onSubmit(input: ReplicaInput & { readonly kind: "submit" }): void {
    const { op, origin } = input;
    const verdict = this.mayWrite();
    if (!verdict.ok) {
      const { reason, why } = verdict;
      this.#effects.push({ kind: "refuse", op, reason, why });
      return;
    }
    const register = this.#register;
    if (origin !== undefined && register !== undefined) {
      if (ownerOf(register, origin) !== this.node) {
        const why = "another node owns this file now";
        this.#effects.push({ kind: "refuse", op, reason: "not-in-sync", why });
        return;
      }
    }
    this.#effects.push(this.#commits.submit(input, origin, this.#nowMs));
  }

  #onLogFailed(why: string): void {
    if (this.#readOnly !== undefined) return;
    this.#readOnly = why;
    this.#effects.push({ kind: "alarm", why: `read-only: ${why}` });
    this.#giveUp(ALL_LEVELS, why);
    this.#act();
  }

  /**
   * Leave the set to whoever has the bytes; stay out while they are gone. The
   * alarm is the store's: it ends with its cause.
   */
  #onFilesLost(why: string | undefined): void {
    if (this.#filesLost === why) return;
    this.#filesLost = why;
    this.#act();
  }

  // -------------------------------------------------------------- register

  #onRegister(shown: GroupRegister, askedUnder: number | undefined): void {
    // A question from before a confirmation proves nothing about what was
    // confirmed since: its answer may be on its way for long.
    const isLate = askedUnder !== undefined &&
      askedUnder < this.#confirmedEpoch;
    const asked = isLate ? undefined : askedUnder;
    switch (judgeRegister(this.#register, shown, asked)) {
      case "news":
        // A frozen node takes up a register only when an operator says so:
        // after a restore a higher epoch may be another history.
        if (this.#frozen !== undefined) return;
        if (askedUnder === undefined && this.#leapsTooFar(shown)) {
          this.#effects.push({ kind: "read-register" });
          return;
        }
        return this.#adopt(shown);
      case "known":
      case "old":
        return;
      case "foreign":
        this.#effects.push({ kind: "read-register" });
        return;
      case "restored":
        return this.#freeze(shown);
    }
  }

  /** A peer may be behind the tracker, and may be hostile: ask the tracker. */
  #leapsTooFar(shown: GroupRegister): boolean {
    const ours = this.#register?.epoch ?? shown.epoch;
    return shown.epoch - ours > PEER_EPOCH_LEAP_MAX;
  }

  #freeze(shown: GroupRegister): void {
    if (this.#frozen !== undefined) return;
    this.#frozen = `the tracker's store was restored: it is at epoch ` +
      `${shown.epoch} of ${shown.gen}, this node at ` +
      `${this.#register?.epoch} of ${this.#register?.gen}`;
    this.#effects.push({ kind: "alarm", why: this.#frozen });
    this.#giveUp(SHARED_LEVELS, this.#frozen);
  }

  #onConfirm(shown: GroupRegister): void {
    if (shown.epoch <= (this.#register?.epoch ?? 0)) {
      const why = "the confirmed epoch is not higher than ours: " +
        "declare a node in sync with `kedge group force` first";
      this.#effects.push({ kind: "alarm", why });
      return;
    }
    this.#frozen = undefined;
    this.#confirmedEpoch = shown.epoch;
    this.#adopt(shown);
  }

  #adopt(register: GroupRegister): void {
    const was = this.#register;
    this.#register = register;
    this.#effects.push({ kind: "save-register", register });
    this.#peers.adopt(register);
    this.#requests.hurry();
    this.#membership.adopted(register, was, this.#nowMs);
    const inSync = isInSync(register, this.node);
    for (const peer of this.#peers.linked()) this.#tell(peer);
    if (!inSync) this.#giveUp(SHARED_LEVELS, "this node is out of sync");
    if (this.#rules.ownerAnswers) {
      const isOurs = (origin: NodeId) =>
        ownerOf(register, origin) === this.node;
      this.#commits.ownershipMoved(isOurs, this.#effects);
    }
    this.#settle();
    this.#act();
  }

  #onRegisterAnswer(
    input: ReplicaInput & { readonly kind: "register-answer" },
  ): void {
    const { request, outcome, register } = input;
    const asked = this.#requests.finish(request, outcome, this.#nowMs);
    if (asked === undefined) return;
    if (register !== undefined) this.#onRegister(register, asked.epoch);
    if (outcome === "unknown") this.#effects.push({ kind: "read-register" });
    this.#act();
  }

  // ----------------------------------------------------------------- links

  #onLinkInput(input: LinkInput): void {
    if (input.kind === "linked") return this.#onLinked(input);
    const peer = this.#peers.bySession(input.peer, input.session);
    if (peer === undefined) return; // an older connection
    const link = { peer: input.peer, session: input.session };
    switch (input.kind) {
      case "unlinked":
        this.#peers.unlink(peer, this.#nowMs);
        this.#membership.linkLost(input.peer, this.#register, this.#nowMs);
        break;
      case "acked":
        this.#peers.moved(peer, input, this.#nowMs);
        break;
      case "refused":
        if (input.epoch > (this.#register?.epoch ?? 0)) {
          peer.refusedUs = true;
          this.#effects.push({ kind: "read-register" });
        } else this.#effects.push({ kind: "send", ...link });
        return;
      case "pushed":
        return this.#onPushed(input);
      case "applied":
        this.#effects.push({
          kind: "acknowledge",
          ...link,
          batch: input.batch,
        });
        return;
      case "join-requested":
        this.#peers.requestJoin(peer, input.epoch, this.#joinTerms());
        break;
      case "promised":
        if (input.epoch === this.#register?.epoch) {
          peer.promisedUs = input.epoch;
        }
        break;
      default:
        return input satisfies never;
    }
    this.#settle();
    this.#act();
  }

  #onLinked(input: LinkInput & { readonly kind: "linked" }): void {
    const peer = this.#peers.link(input, this.#nowMs);
    const register = this.#register;
    if (register !== undefined && !isMember(register, input.peer)) {
      this.#drop(input, "not in the group");
      return;
    }
    this.#tell(peer);
    this.#effects.push({
      kind: "send",
      peer: input.peer,
      session: input.session,
    });
    if (input.knowsMore) this.#onSuffixLost(input.peer);
    this.#settle();
    this.#act();
  }

  #onSuffixLost(peer: NodeId): void {
    // After a start that may have lost records this is no surprise: the log has
    // a new incarnation already and we join again.
    if (this.#membership.isSuspect || this.#readOnly !== undefined) return;
    const why = `node ${peer} has records of ours that we have lost`;
    this.#readOnly = why;
    this.#giveUp(ALL_LEVELS, why);
    this.#effects.push({ kind: "alarm", why }, { kind: "restart-log", why });
  }

  #onPushed(input: LinkInput & { readonly kind: "pushed" }): void {
    const { peer, session, batch } = input;
    const register = this.#register;
    const epoch = register?.epoch ?? 0;
    if (register !== undefined && input.epoch < epoch) {
      if (this.#rules.refuseLowerEpochs) {
        this.#effects.push(
          { kind: "tell-register", peer, session, register },
          { kind: "reject", peer, session, batch, epoch },
        );
        return;
      }
    }
    if (input.epoch > epoch) {
      // Its register always comes before its records; this one did not help.
      this.#effects.push({ kind: "read-register" });
      this.#drop(input, "its epoch is not known here");
      return;
    }
    if (this.#readOnly !== undefined) {
      this.#drop(input, "this node cannot store records");
      return;
    }
    this.#effects.push({ kind: "apply", peer, session, batch });
  }

  #drop(
    link: { readonly peer: NodeId; readonly session: number },
    why: string,
  ) {
    const { peer, session } = link;
    this.#effects.push({ kind: "drop-link", peer, session, why });
  }

  #tell(peer: Parameters<PeerTable["tell"]>[0]): void {
    this.#effects.push(...this.#peers.tell(peer));
  }

  // ---------------------------------------------------------------- acting

  #onTick(nowMs: number): void {
    const stepMs = nowMs - (this.#lastTickMs ?? nowMs);
    this.#lastTickMs = nowMs;
    this.#nowMs += Math.max(0, Math.min(stepMs, TICK_STEP_MS_MAX));
    if (this.#peers.releaseSlowJoiners(this.#lateTerms())) this.#settle();
    const beforeMs = this.#nowMs - this.#settings.giveUpMs;
    this.#commits.giveUp(
      { beforeMs, levels: ALL_LEVELS },
      "not every node in sync answered in time",
      this.#effects,
    );
    this.#act();
  }

  /** Do whatever is due: one change of the register, one step of joining. */
  #act(): void {
    const register = this.#register;
    if (register === undefined || this.#frozen !== undefined) return;
    if (!isMember(register, this.node)) return;
    this.#effects.push(...this.#peers.promises());
    const canHold = this.#readOnly === undefined &&
      this.#filesLost === undefined && !this.#storeDiffers(register);
    this.#effects.push(...this.#membership.skips(register));
    const step = this.#membership.step(register, this.#nowMs, canHold);
    this.#effects.push(...step.effects);
    if (!this.#requests.ready(this.#nowMs)) return;
    if (step.grows) {
      this.#membership.grows(register.epoch);
      return this.#request(register, { kind: "grow", node: this.node });
    }
    const change = wantedChange({
      register,
      node: this.node,
      store: this.store,
      suspicion: this.#membership.suspicion,
      cannotStore: this.#readOnly !== undefined,
      filesLost: this.#filesLost !== undefined,
      another: this.#peers.hasAnother(),
      // Who may be out of date itself takes nobody out.
      late: this.#membership.mayBeOld
        ? undefined
        : this.#peers.late(this.#lateTerms()),
      nowMs: this.#nowMs,
      rules: this.#rules,
    });
    if (change !== undefined) this.#request(register, change);
  }

  #request(
    register: GroupRegister,
    change: Parameters<RegisterRequests["begin"]>[1],
  ): void {
    const { request } = this.#requests.begin(register.epoch, change);
    const { gen, epoch } = register;
    this.#effects.push({
      kind: "change-register",
      request,
      gen,
      epoch,
      change,
    });
  }

  #lateTerms(): LateTerms {
    return {
      nowMs: this.#nowMs,
      settings: this.#settings,
      blockedSinceMs: this.#blockedSinceMs,
    };
  }

  #settle(): void {
    const register = this.#register;
    const holders = this.#peers.holders;
    if (register === undefined) return;
    if (!isInSync(register, this.node)) {
      return this.#commits.settleLocal(holders, this.#effects);
    }
    const late = this.#rules.shrinkBeforeAnswer
      ? undefined
      : this.#peers.late(this.#lateTerms());
    this.#commits.settle(this.#peers.standing(late), this.#effects);
  }

  #giveUp(levels: readonly Level[], why: string): void {
    this.#commits.giveUp({ beforeMs: Infinity, levels }, why, this.#effects);
  }

  #joinTerms() {
    const register = this.#register;
    const willing = register !== undefined && isInSync(register, this.node) &&
      !this.#membership.isSuspect && !this.#membership.mayBeOld &&
      this.#frozen === undefined;
    return {
      ...this.#lateTerms(),
      willing,
      head: this.#commits.head,
      answered: this.#commits.answered,
    };
  }

  #storeDiffers(register: GroupRegister): boolean {
    if (!this.#rules.checkStores) return false;
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
