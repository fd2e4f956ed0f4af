/**
 * Feeds the replica core one input at a time and has its effects carried out in
 * order before the next input. A register is saved before anything after it
 * happens.
 *
 * @module
 */

import type { GroupRegister } from "@kedge/schema";
import type { ReplicaCore } from "./replica_core.ts";
import type { ReplicaEffect, ReplicaInput } from "./replica_messages.ts";

/** An effect that is carried out at once. */
export type PromptEffect = Exclude<
  ReplicaEffect,
  { readonly kind: "save-register" }
>;

/** What {@linkcode CoreLoop} works with. */
export interface CoreLoopOptions {
  readonly core: Pick<ReplicaCore, "handle">;
  /** Carry out one effect. */
  perform(effect: PromptEffect): void;
  /** Save durably. */
  save(register: GroupRegister): Promise<void>;
  /**
   * A register could not be saved, or an effect not be carried out: nothing that
   * follows may happen. The loop has stopped.
   */
  failed(error: unknown): void;
}

/** The one loop of a node. */
export class CoreLoop {
  readonly #options: CoreLoopOptions;
  #inputs: ReplicaInput[] = [];
  #effects: ReplicaEffect[] = [];
  #nextEffect = 0;
  #isBusy = false;
  #isStopped = false;

  /** A loop with nothing to do. */
  constructor(options: CoreLoopOptions) {
    this.#options = options;
  }

  /** Tell the core something; its effects happen now, or after a save. */
  input(input: ReplicaInput): void {
    if (this.#isStopped) return;
    this.#inputs.push(input);
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      this.#run();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Carry out nothing more. */
  stop(): void {
    this.#isStopped = true;
  }

  #run(): void {
    while (!this.#isStopped) {
      const effect = this.#effects[this.#nextEffect];
      if (effect === undefined) {
        const input = this.#inputs.shift();
        if (input === undefined) break;
        this.#effects = this.#options.core.handle(input);
        this.#nextEffect = 0;
        continue;
      }
      this.#nextEffect++;
      if (effect.kind === "save-register") {
        void this.#save(effect.register);
        return; // still busy
      }
      this.#options.perform(effect);
    }
    this.#isBusy = false;
  }

  async #save(register: GroupRegister): Promise<void> {
    try {
      await this.#options.save(register);
      this.#run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.stop();
    this.#options.failed(error);
  }
}
