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
import { takeLinkInput } from "./link_inputs_core.ts";
import type { LinkInput } from "./peer_table_core.ts";
import { judgeRegister, type RegisterRequests } from "./register_core.ts";
import type { ReplicaEffect, ReplicaInput } from "./replica_messages.ts";
import type { ReplicaStart, WriteVerdict } from "./replica_start_core.ts";
import { ALL_LEVELS, ReplicaState } from "./replica_state.ts";
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

/** See the module comment. */
export class ReplicaCore {
  /** The run of our log. */
  readonly incarnation: number;
  readonly #state: ReplicaState;
  #lastTickMs: number | undefined;
  #confirmedEpoch = 0;

  /** A core that knows what the disk knew. */
  constructor(start: ReplicaStart) {
    this.incarnation = start.incarnation;
    this.#state = new ReplicaState(start);
  }

  /** Which node this is. */
  get node(): NodeId {
    return this.#state.node;
  }

  /** Identity of our database. */
  get store(): string {
    return this.#state.store;
  }

  /** The register that this node acts under. */
  get register(): GroupRegister | undefined {
    return this.#state.register;
  }

  /** Changes that wait for their answer. */
  get pending(): number {
    return this.#state.commits.size;
  }

  /** Peers that must have a change before it is answered. */
  requiredPeers(): NodeId[] {
    return this.#state.peers.required.map((peer) => peer.node);
  }

  /** See {@linkcode ReplicaState.isWhole}. */
  isWhole(): boolean {
    return this.#state.isWhole();
  }

  /** Nobody has vouched for our database yet: it may be an older copy. */
  get mayBeOld(): boolean {
    return this.#state.membership.mayBeOld;
  }

  /**
   * Whether this node may have lost records and has not joined again since. Who
   * stops or is killed in this state must start with `mayHaveLost` again.
   */
  get isSuspect(): boolean {
    return this.#state.membership.isSuspect;
  }

  /** Whether a change would be taken now. */
  mayWrite(): WriteVerdict {
    return this.#state.mayWrite();
  }

  /**
   * Take one input.
   *
   * @param input What happened.
   * @returns What to do about it, in order; often nothing.
   */
  handle(input: ReplicaInput): ReplicaEffect[] {
    this.#state.effects = [];
    this.#take(input);
    return this.#state.effects;
  }

  #take(input: ReplicaInput): void {
    switch (input.kind) {
      case "submit":
        return this.#onSubmit(input);
      case "logged":
        this.#state.commits.logged(input);
        return this.#state.settle();
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
        this.#state.membership.compared(input, this.#state.register);
        return this.#act();
      case "vouched":
        this.#state.membership.vouched();
        return this.#act();
      case "tracker":
        if (input.reachable) this.#state.requests.hurry();
        this.#state.membership.trackerSeen(input.reachable);
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
      this.#state.effects.push({ kind: "refuse", op, reason, why });
      return;
    }
    const register = this.#state.register;
    if (origin !== undefined && register !== undefined) {
      if (ownerOf(register, origin) !== this.node) {
        const why = "another node owns this file now";
        this.#state.effects.push({
          kind: "refuse",
          op,
          reason: "not-in-sync",
          why,
        });
        return;
      }
    }
    this.#state.effects.push(
      this.#state.commits.submit(input, origin, this.#state.nowMs),
    );
  }

  #onLogFailed(why: string): void {
    if (this.#state.readOnly !== undefined) return;
    this.#state.readOnly = why;
    this.#state.effects.push({ kind: "alarm", why: `read-only: ${why}` });
    this.#state.giveUp(ALL_LEVELS, why);
    this.#act();
  }

  /**
   * Leave the set to whoever has the bytes; stay out while they are gone. The
   * alarm is the store's: it ends with its cause.
   */
  #onFilesLost(why: string | undefined): void {
    if (this.#state.filesLost === why) return;
    this.#state.filesLost = why;
    this.#act();
  }

  // -------------------------------------------------------------- register

  #onRegister(shown: GroupRegister, askedUnder: number | undefined): void {
    // A question from before a confirmation proves nothing about what was
    // confirmed since: its answer may be on its way for long.
    const isLate = askedUnder !== undefined &&
      askedUnder < this.#confirmedEpoch;
    const asked = isLate ? undefined : askedUnder;
    switch (judgeRegister(this.#state.register, shown, asked)) {
      case "news":
        // A frozen node takes up a register only when an operator says so:
        // after a restore a higher epoch may be another history.
        if (this.#state.frozen !== undefined) return;
        if (askedUnder === undefined && this.#leapsTooFar(shown)) {
          this.#state.effects.push({ kind: "read-register" });
          return;
        }
        return this.#adopt(shown);
      case "known":
      case "old":
        return;
      case "foreign":
        this.#state.effects.push({ kind: "read-register" });
        return;
      case "restored":
        return this.#freeze(shown);
    }
  }

  /** A peer may be behind the tracker, and may be hostile: ask the tracker. */
  #leapsTooFar(shown: GroupRegister): boolean {
    const ours = this.#state.register?.epoch ?? shown.epoch;
    return shown.epoch - ours > PEER_EPOCH_LEAP_MAX;
  }

  #freeze(shown: GroupRegister): void {
    if (this.#state.frozen !== undefined) return;
    this.#state.frozen = `the tracker's store was restored: it is at epoch ` +
      `${shown.epoch} of ${shown.gen}, this node at ` +
      `${this.#state.register?.epoch} of ${this.#state.register?.gen}`;
    this.#state.effects.push({ kind: "alarm", why: this.#state.frozen });
    this.#state.giveUp(SHARED_LEVELS, this.#state.frozen);
  }

  #onConfirm(shown: GroupRegister): void {
    if (shown.epoch <= (this.#state.register?.epoch ?? 0)) {
      const why = "the confirmed epoch is not higher than ours: " +
        "declare a node in sync with `kedge group force` first";
      this.#state.effects.push({ kind: "alarm", why });
      return;
    }
    this.#state.frozen = undefined;
    this.#confirmedEpoch = shown.epoch;
    this.#adopt(shown);
  }

  #adopt(register: GroupRegister): void {
    const was = this.#state.register;
    this.#state.register = register;
    this.#state.effects.push({ kind: "save-register", register });
    this.#state.peers.adopt(register);
    this.#state.requests.hurry();
    this.#state.membership.adopted(register, was, this.#state.nowMs);
    const inSync = isInSync(register, this.node);
    for (const peer of this.#state.peers.linked()) this.#state.tell(peer);
    if (!inSync) this.#state.giveUp(SHARED_LEVELS, "this node is out of sync");
    if (this.#state.rules.ownerAnswers) {
      const isOurs = (origin: NodeId) =>
        ownerOf(register, origin) === this.node;
      this.#state.commits.ownershipMoved(isOurs, this.#state.effects);
    }
    this.#state.settle();
    this.#act();
  }

  #onRegisterAnswer(
    input: ReplicaInput & { readonly kind: "register-answer" },
  ): void {
    const { request, outcome, register } = input;
    const asked = this.#state.requests.finish(
      request,
      outcome,
      this.#state.nowMs,
    );
    if (asked === undefined) return;
    if (register !== undefined) this.#onRegister(register, asked.epoch);
    if (outcome === "unknown") {
      this.#state.effects.push({ kind: "read-register" });
    }
    this.#act();
  }

  // ----------------------------------------------------------------- links

  #onLinkInput(input: LinkInput): void {
    if (!takeLinkInput(this.#state, input)) return;
    this.#state.settle();
    this.#act();
  }

  // ---------------------------------------------------------------- acting

  #onTick(nowMs: number): void {
    const stepMs = nowMs - (this.#lastTickMs ?? nowMs);
    this.#lastTickMs = nowMs;
    this.#state.nowMs += Math.max(0, Math.min(stepMs, TICK_STEP_MS_MAX));
    if (this.#state.peers.releaseSlowJoiners(this.#state.lateTerms())) {
      this.#state.settle();
    }
    const beforeMs = this.#state.nowMs - this.#state.settings.giveUpMs;
    this.#state.commits.giveUp(
      { beforeMs, levels: ALL_LEVELS },
      "not every node in sync answered in time",
      this.#state.effects,
    );
    this.#act();
  }

  /** Do whatever is due: one change of the register, one step of joining. */
  #act(): void {
    const register = this.#state.register;
    if (register === undefined || this.#state.frozen !== undefined) return;
    if (!isMember(register, this.node)) return;
    this.#state.effects.push(...this.#state.peers.promises());
    const canHold = this.#state.readOnly === undefined &&
      this.#state.filesLost === undefined &&
      !this.#state.storeDiffers(register);
    this.#state.effects.push(...this.#state.membership.skips(register));
    const step = this.#state.membership.step(
      register,
      this.#state.nowMs,
      canHold,
    );
    this.#state.effects.push(...step.effects);
    if (!this.#state.requests.ready(this.#state.nowMs)) return;
    if (step.grows) {
      this.#state.membership.grows(register.epoch);
      return this.#request(register, { kind: "grow", node: this.node });
    }
    const change = wantedChange({
      register,
      node: this.node,
      store: this.store,
      suspicion: this.#state.membership.suspicion,
      cannotStore: this.#state.readOnly !== undefined,
      filesLost: this.#state.filesLost !== undefined,
      another: this.#state.peers.hasAnother(),
      // Who may be out of date itself takes nobody out.
      late: this.#state.membership.mayBeOld
        ? undefined
        : this.#state.peers.late(this.#state.lateTerms()),
      nowMs: this.#state.nowMs,
      rules: this.#state.rules,
    });
    if (change !== undefined) this.#request(register, change);
  }

  #request(
    register: GroupRegister,
    change: Parameters<RegisterRequests["begin"]>[1],
  ): void {
    const { request } = this.#state.requests.begin(register.epoch, change);
    const { gen, epoch } = register;
    this.#state.effects.push({
      kind: "change-register",
      request,
      gen,
      epoch,
      change,
    });
  }
}
