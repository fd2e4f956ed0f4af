/**
 * The group register in a linearizable store behind trackers that may be slow,
 * silent, or carry a request out and lose its answer.
 *
 * @module
 */

import type { GroupRegister, NodeId, RegisterChange } from "@kedge/schema";
import { changeRegister } from "@kedge/schema/register";
import type { Prng } from "./prng.ts";
import type { Scheduler } from "./scheduler.ts";

/** The answer to a compare-and-set. */
export interface CasAnswer {
  readonly outcome: "changed" | "refused" | "unknown";
  readonly register: GroupRegister | undefined;
}

/** Shares of requests that go wrong. */
export interface KvFaults {
  readonly loss: number;
  readonly twice: number;
  readonly late: number;
}

/** How long an agent waits for a tracker, in ms. */
const TIMEOUT_MS = 1000;

/** See the module comment. */
export class SimKv {
  /** The truth. */
  register: GroupRegister;
  /** Every register that there was, for restores. */
  readonly history: GroupRegister[] = [];
  isOut = false;
  readonly #unreachable = new Map<NodeId, number>();
  readonly #scheduler: Scheduler;
  readonly #rng: Prng;
  readonly #faults: KvFaults;
  #isHealthy = false;

  constructor(
    register: GroupRegister,
    world: { readonly scheduler: Scheduler; readonly rng: Prng },
    faults: KvFaults,
  ) {
    this.register = register;
    this.history.push(register);
    this.#scheduler = world.scheduler;
    this.#rng = world.rng;
    this.#faults = faults;
  }

  /** Cut a node off from the trackers; nests. */
  block(node: NodeId): void {
    if (this.#isHealthy) return;
    this.#unreachable.set(node, (this.#unreachable.get(node) ?? 0) + 1);
  }

  /** Whether a node reaches a tracker now. */
  isReachable(node: NodeId): boolean {
    return !this.isOut && (this.#unreachable.get(node) ?? 0) === 0;
  }

  /** Take back one {@linkcode block}. */
  unblock(node: NodeId): void {
    const count = (this.#unreachable.get(node) ?? 0) - 1;
    this.#unreachable.set(node, Math.max(0, count));
  }

  /** No more faults. */
  heal(): void {
    this.#isHealthy = true;
    this.isOut = false;
    this.#unreachable.clear();
  }

  /** Told every register that becomes the truth. */
  onChange: (register: GroupRegister, change?: RegisterChange) => void =
    () => {};

  /** Set the register aside from any agent: an operator or a restore. */
  overwrite(register: GroupRegister): void {
    this.register = register;
    this.history.push(register);
  }

  /** Read. */
  read(
    node: NodeId,
    then: (register: GroupRegister | undefined) => void,
  ): void {
    this.#call(node, () => this.register, then);
  }

  /** Compare and set. */
  change(
    node: NodeId,
    wanted: {
      readonly gen: string;
      readonly epoch: number;
      readonly change: RegisterChange;
    },
    then: (answer: CasAnswer) => void,
  ): void {
    this.#call(
      node,
      () => this.#apply(wanted),
      (answer) => then(answer ?? { outcome: "unknown", register: undefined }),
    );
  }

  #apply(wanted: {
    readonly gen: string;
    readonly epoch: number;
    readonly change: RegisterChange;
  }): CasAnswer {
    const { register } = this;
    if (wanted.gen !== register.gen || wanted.epoch !== register.epoch) {
      return { outcome: "refused", register };
    }
    const result = changeRegister(register, wanted.change);
    if (!result.ok) return { outcome: "refused", register };
    this.overwrite(result.register);
    this.onChange(result.register, wanted.change);
    return { outcome: "changed", register: result.register };
  }

  #call<T>(
    node: NodeId,
    work: () => T,
    then: (answer: T | undefined) => void,
  ): void {
    let isDone = false;
    const finish = (answer: T | undefined) => {
      if (isDone) return;
      isDone = true;
      then(answer);
    };
    this.#scheduler.after(TIMEOUT_MS, () => finish(undefined));
    const times = !this.#isHealthy && this.#rng.chance(this.#faults.twice)
      ? 2
      : 1;
    for (let time = 0; time < times; time++) {
      if (this.#isLost(node)) continue;
      this.#scheduler.after(this.#delayMs(), () => {
        if (this.isOut) return;
        const answer = work();
        if (this.#isLost(node)) return;
        this.#scheduler.after(this.#delayMs(), () => finish(answer));
      });
    }
  }

  #isLost(node: NodeId): boolean {
    if (this.isOut || (this.#unreachable.get(node) ?? 0) > 0) return true;
    return !this.#isHealthy && this.#rng.chance(this.#faults.loss);
  }

  #delayMs(): number {
    // A heavy tail: some requests arrive after their sender gave up.
    const isLate = !this.#isHealthy && this.#rng.chance(this.#faults.late);
    return isLate ? this.#rng.range(500, 4000) : this.#rng.range(0.5, 8);
  }
}
