/**
 * Questions to the volume register, and the answers that still count.
 *
 * @module
 */

import type { VolumeCore } from "./volume_core.ts";
import type { RegisterAnswer, RegisterWish } from "./volume_types.ts";

/** Called once with what became of a question. */
export type Answered = (answer: RegisterAnswer) => void;

/** See the module comment. */
export class RegisterQuestions {
  /** Counts times as Primary: an answer of an earlier one changes nothing. */
  #reign = 0;
  #lastId = 0;
  /** The highest epoch that a change of ours began. */
  #ownEpoch = 0;
  readonly #asked = new Map<number, Answered>();

  constructor(readonly volume: VolumeCore) {}

  /** Another time as Primary begins, or none: what was asked is void. */
  endReign(): void {
    this.#reign++;
  }

  /** Ask for a change. Winning and giving back the role outlive a reign. */
  ask(change: RegisterWish, done: Answered): void {
    const id = ++this.#lastId;
    const reign = this.#reign;
    const isOfRole = change.kind === "promote" || change.kind === "demote";
    this.#asked.set(id, (answer) => {
      if (isOfRole || reign === this.#reign) done(answer);
    });
    this.volume.effects.changeRegister(change, id);
  }

  /** The register was asked; this is what came of it. */
  answered(id: number, answer: RegisterAnswer): void {
    const done = this.#asked.get(id);
    this.#asked.delete(id);
    const known = this.volume.persistent?.epoch ?? 0;
    if (answer.outcome === "done" && answer.epoch < known) {
      // A later change of ours was answered first: nobody came after us.
      const isOurs = known === this.#ownEpoch;
      if (isOurs) return done?.({ outcome: "unknown", epoch: known });
      // It was true when it was said, and somebody else came after us (R1).
      const why = "the register has changed since";
      return done?.({ outcome: "refused", epoch: known, why });
    }
    if (answer.outcome === "done") {
      this.#ownEpoch = answer.epoch;
      this.keepEpoch(answer.epoch);
    }
    done?.(answer);
  }

  /** This epoch is known from now on, on disk too. */
  keepEpoch(epoch: number): void {
    const { persistent, generations } = this.volume;
    if (persistent === undefined) return;
    if (epoch > persistent.epoch) generations.save({ epoch });
  }
}
