/**
 * Bodies that are arriving: how many, and whether they arrive fast enough.
 *
 * Only the time spent waiting for the client counts, not the time that disks
 * and peers make it wait.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { Clock } from "../../ports.ts";
import type { HttpLimits } from "../deps.ts";
import { PieceRoom, type Pieces, piecesOf } from "./body_pieces.ts";

const SWEEP_MS = 500;

/** Counts and watches every body of one agent. */
export class BodyGuard {
  readonly #limits: HttpLimits;
  readonly #clock: Clock;
  readonly #bodies = new Set<GuardedBody>();
  readonly #room = new PieceRoom();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Watch with these limits. */
  constructor(limits: HttpLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Bodies that are arriving now. */
  get count(): number {
    return this.#bodies.size;
  }

  /**
   * Begin to take a body.
   *
   * @param body As the request has it; `null` is an empty one.
   * @param isShort Whether it is known to be short.
   * @throws {Problem} `too-many-requests` when too many arrive already.
   */
  open(body: ReadableStream<Uint8Array> | null, isShort: boolean): GuardedBody {
    if (this.#bodies.size >= this.#limits.bodiesMax) {
      throw new Problem("too-many-requests", "Too many uploads at once");
    }
    const room = isShort ? undefined : this.#room;
    const pieces = body === null ? undefined : piecesOf(body, room);
    const guarded = new GuardedBody(pieces, {
      limits: this.#limits,
      clock: this.#clock,
      closed: () => this.#bodies.delete(guarded),
    });
    this.#bodies.add(guarded);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS);
    return guarded;
  }

  #sweep(): void {
    for (const body of this.#bodies) body.check();
    if (this.#bodies.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

interface GuardOptions {
  readonly limits: HttpLimits;
  readonly clock: Clock;
  readonly closed: () => void;
}

/** One body, read once, in chunks. */
export class GuardedBody implements Disposable {
  readonly #options: GuardOptions;
  readonly #pieces: Pieces | undefined;
  #failure: Problem | undefined;
  #waitingSinceMs: number | undefined;
  #waitedMs = 0;
  #windowBytes = 0;

  /** Made by {@linkcode BodyGuard}. */
  constructor(pieces: Pieces | undefined, options: GuardOptions) {
    this.#options = options;
    this.#pieces = pieces;
  }

  /** Why the body could not be read to its end, if so. */
  get failure(): Problem | undefined {
    return this.#failure;
  }

  /**
   * The next bytes.
   *
   * @returns `undefined` at the end.
   * @throws {Problem} `incomplete-body` when the client went away or broke the
   * framing, `unavailable` when the server closes, `request-timeout` when it
   * was too slow.
   */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#pieces === undefined) return undefined;
    this.#waitingSinceMs = this.#options.clock.monotonicMs();
    try {
      const value = await this.#pieces.next();
      if (this.#failure !== undefined) throw this.#failure;
      this.#windowBytes += value?.length ?? 0;
      return value;
    } catch (error) {
      throw this.#fail(error);
    } finally {
      this.#waitedMs += this.#options.clock.monotonicMs() -
        this.#waitingSinceMs;
      this.#waitingSinceMs = undefined;
    }
  }

  /** Called now and then: ends a body that arrives too slowly. */
  check(): void {
    const { limits, clock } = this.#options;
    const sinceMs = this.#waitingSinceMs;
    if (sinceMs === undefined) return;
    const nowMs = clock.monotonicMs();
    if (this.#waitedMs + nowMs - sinceMs < limits.bodyWindowMs) return;
    const neededBytes = limits.bodyBytesPerSecondMin * limits.bodyWindowMs /
      1000;
    if (this.#windowBytes < neededBytes) {
      this.#failure ??= new Problem(
        "request-timeout",
        `Less than ${limits.bodyBytesPerSecondMin} bytes per second arrived`,
      );
      this.cancel();
      return;
    }
    this.#waitedMs = 0;
    this.#windowBytes = 0;
    this.#waitingSinceMs = nowMs;
  }

  /** Read no more. A read under way ends at once. */
  cancel(): void {
    // Nobody waits for the connection to agree; it may be gone.
    this.#pieces?.cancel().catch(() => {});
  }

  /** The body is no longer of interest. */
  [Symbol.dispose](): void {
    this.#pieces?.close();
    this.#options.closed();
  }

  #fail(error: unknown): Problem {
    this.#failure ??= error instanceof Problem ? error : brokenOff(error);
    return this.#failure;
  }
}

/**
 * A server that closes takes the bodies away that are still being read
 * (`BadResource`, Deno 2.9.6): not the client's fault, and worth another try.
 */
function brokenOff(error: unknown): Problem {
  return error instanceof Error && error.name === "BadResource"
    ? new Problem("unavailable", "The node stops; nothing was stored")
    : new Problem("incomplete-body", "The body broke off before its end");
}
