/**
 * What to think of a register that somebody shows us, and the one request for a
 * change that may be under way.
 *
 * @module
 */

import type { GroupRegister, RegisterChange } from "@kedge/schema";

/**
 * What a register means to a node that has another:
 *
 * - `news`       act under it from now on (after saving it);
 * - `known`      the one we have;
 * - `old`        overtaken: ignore;
 * - `foreign`    a peer lives in another generation: ask a tracker;
 * - `restored`   the KV went back or was made anew: freeze (R13).
 */
export type RegisterVerdict =
  | "news"
  | "known"
  | "old"
  | "foreign"
  | "restored";

/**
 * Judge a register.
 *
 * @param ours What we act under; `undefined` before the first.
 * @param shown What was shown.
 * @param askedUnder For a tracker's answer, our epoch when we asked: the KV is
 * linearizable, so less than that means that it lost a change. `undefined` for
 * what a peer tells, which may be late but never proves anything.
 */
export function judgeRegister(
  ours: GroupRegister | undefined,
  shown: GroupRegister,
  askedUnder: number | undefined,
): RegisterVerdict {
  if (ours === undefined) return "news";
  if (shown.gen !== ours.gen) {
    return askedUnder === undefined ? "foreign" : "restored";
  }
  if (shown.epoch > ours.epoch) return "news";
  if (askedUnder !== undefined && shown.epoch < askedUnder) return "restored";
  if (shown.epoch < ours.epoch) return "old";
  return sameContent(ours, shown) ? "known" : "restored";
}

function sameContent(a: GroupRegister, b: GroupRegister): boolean {
  return a.insync.join() === b.insync.join() &&
    a.members.map((member) => member.node + member.store).join() ===
      b.members.map((member) => member.node + member.store).join();
}

/** First and longest pause after a request that did not succeed, in ms. */
const BACKOFF_MS = { first: 200, longest: 5000 } as const;

/** A request for a change of the register that was sent. */
export interface RegisterRequest {
  readonly request: number;
  readonly epoch: number;
  readonly change: RegisterChange;
}

/** At most one request at a time, with pauses that grow while it fails. */
export class RegisterRequests {
  #last = 0;
  #waiting: RegisterRequest | undefined;
  #pauseMs: number = BACKOFF_MS.first;
  #notBeforeMs = -Infinity;

  /** Whether a request may be made now. */
  ready(nowMs: number): boolean {
    return this.#waiting === undefined && nowMs >= this.#notBeforeMs;
  }

  /** Note a request as sent. */
  begin(epoch: number, change: RegisterChange): RegisterRequest {
    const request = { request: ++this.#last, epoch, change };
    this.#waiting = request;
    return request;
  }

  /**
   * Note an answer.
   *
   * @returns The request that it belongs to; `undefined` when it is a duplicate.
   */
  finish(
    request: number,
    outcome: "changed" | "refused" | "unknown",
    nowMs: number,
  ): RegisterRequest | undefined {
    const finished = this.#waiting;
    if (finished?.request !== request) return undefined;
    this.#waiting = undefined;
    if (outcome === "changed") {
      this.hurry();
    } else {
      this.#notBeforeMs = nowMs + this.#pauseMs;
      this.#pauseMs = Math.min(2 * this.#pauseMs, BACKOFF_MS.longest);
    }
    return finished;
  }

  /** The tracker answers again, or the world changed: no pause. */
  hurry(): void {
    this.#pauseMs = BACKOFF_MS.first;
    this.#notBeforeMs = -Infinity;
  }
}
