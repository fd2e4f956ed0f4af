/**
 * The volume register in the KV: who is Primary and who has every answered
 * write. Calls may be slow, unanswered, or answered although nothing was done.
 *
 * @module
 */

import type {
  RegisterAnswer,
  RegisterWish,
} from "../../../node-agent/mirror/core/volume_types.ts";
import type { Prng } from "../prng.ts";
import type { Scheduler } from "../scheduler.ts";

/** A node as the register knows it. */
export interface Member {
  readonly id: 0 | 1;
  /** What it was booted as: it counts as in sync only while it is this. */
  readonly boot: string;
}

/** See the module comment. */
export class SimRegister {
  epoch = 1;
  primary: 0 | 1 | undefined;
  insync: Member[] = [];
  /** How many faults keep everybody, or one node, away. */
  readonly unreachable = { all: 0, nodes: [0, 0] };
  isHealing = false;

  constructor(
    readonly scheduler: Scheduler,
    readonly rng: Prng,
    readonly options: { readonly loss: number; readonly forgetsBoots: boolean },
  ) {}

  /** Change it; `answered` comes later. */
  ask(
    me: Member,
    peer: Member | undefined,
    wish: RegisterWish,
    answered: (answer: RegisterAnswer) => void,
  ): void {
    const { rng } = this;
    const isAway = this.unreachable.all > 0 ||
      (this.unreachable.nodes[me.id] ?? 0) > 0;
    const isLost = isAway || (!this.isHealing && rng.chance(this.options.loss));
    const isDone = !isAway && (!isLost || rng.chance(0.5));
    const delayMs = rng.chance(0.1) ? rng.range(20, 600) : rng.range(1, 20);
    if (isDone) {
      this.scheduler.after(delayMs / 2, () => {
        const answer = this.#apply(me, peer, wish);
        if (!isLost) this.scheduler.after(delayMs / 2, () => answered(answer));
      });
    }
    if (isLost) {
      this.scheduler.after(
        rng.range(50, 400),
        () => answered({ outcome: "unknown", epoch: this.epoch }),
      );
    }
  }

  #apply(
    me: Member,
    peer: Member | undefined,
    wish: RegisterWish,
  ): RegisterAnswer {
    const why = this.#refusal(me, peer, wish);
    if (why !== undefined) {
      return { outcome: "refused", epoch: this.epoch, why };
    }
    switch (wish.kind) {
      case "shrink":
        this.insync = [me];
        break;
      case "grow":
        this.insync = peer === undefined ? [me] : [me, peer];
        break;
      case "promote":
        this.primary = me.id;
        this.insync = [me];
        if (wish.force) this.epoch += 1000;
        break;
      case "demote":
        this.primary = undefined;
        break;
    }
    this.epoch++;
    return { outcome: "done", epoch: this.epoch };
  }

  #refusal(
    me: Member,
    peer: Member | undefined,
    wish: RegisterWish,
  ): string | undefined {
    const isPrimary = this.primary === me.id;
    switch (wish.kind) {
      case "shrink":
      case "demote":
        return isPrimary ? undefined : "another node is Primary";
      case "grow":
        if (!isPrimary) return "another node is Primary";
        return peer === undefined ? "no peer to add" : undefined;
      case "promote":
        if (wish.force || this.insync.length === 0) return undefined;
        return this.#isIn(me) ? undefined : "not in sync";
    }
  }

  #isIn(me: Member): boolean {
    const mine = this.insync.find((member) => member.id === me.id);
    if (mine === undefined) return false;
    const isLastPrimary = this.primary === me.id;
    return isLastPrimary || mine.boot === me.boot || this.options.forgetsBoots;
  }
}
