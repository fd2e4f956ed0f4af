/**
 * Reports to a tracker every few seconds and passes on what it answers.
 *
 * @module
 */

import type { Heartbeat, HeartbeatReply } from "@kedge/schema";
import type { Clock, Log, TrackerPort } from "../ports.ts";

/** First and longest pause after a failure, in milliseconds. */
const RETRY_MS = { first: 200, longest: 5000 } as const;
/** Least pause between two reports, whoever asks for one, in milliseconds. */
const SOON_MS = 100;

/** What {@linkcode Heartbeats} works with. */
export interface HeartbeatOptions {
  readonly tracker: TrackerPort;
  readonly clock: Clock;
  readonly log: Log;
  /** What to report now. */
  report(): Heartbeat;
  /** Our epoch when a question is sent; 0 is none. */
  epoch(): number;
  /** What a tracker answered; our epoch and the time when we asked. */
  replied(
    reply: HeartbeatReply,
    asked: { readonly epoch: number; readonly atMs: number },
  ): void;
  /** Whether trackers can be reached; told at every try. */
  reachable(reachable: boolean): void;
}

/** The heart of one node. */
export class Heartbeats {
  readonly #options: HeartbeatOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs: number = RETRY_MS.first;
  #isAsking = false;
  #isWanted = false;
  #isStopped = false;
  #failure = "";

  /** Silent until {@linkcode start}. */
  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Why the last report did not arrive; "" when it did. */
  get failure(): string {
    return this.#failure;
  }

  /** Report now and from now on. */
  start(): void {
    this.#schedule(0);
  }

  /** Report as soon as possible: something changed. */
  soon(): void {
    if (this.#isAsking) this.#isWanted = true;
    else this.#schedule(SOON_MS);
  }

  /** Report no more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(inMs: number): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), inMs);
  }

  async #beat(): Promise<void> {
    const { tracker, clock, replied, reachable, epoch, report } = this.#options;
    this.#isAsking = true;
    this.#isWanted = false;
    const asked = { epoch: epoch(), atMs: clock.monotonicMs() };
    let nextMs: number;
    try {
      const reply = await tracker.heartbeat(report());
      if (this.#isStopped) return;
      if (this.#failure !== "") {
        this.#options.log.info("a tracker answers again");
      }
      this.#failure = "";
      this.#retryMs = RETRY_MS.first;
      nextMs = reply.nextMs;
      replied(reply, asked);
      reachable(true);
    } catch (error) {
      nextMs = this.#failed(error);
    }
    this.#isAsking = false;
    this.#schedule(this.#isWanted ? SOON_MS : nextMs);
  }

  #failed(error: unknown): number {
    const why = error instanceof Error ? error.message : String(error);
    if (this.#isStopped) return 0;
    if (why !== this.#failure) {
      this.#options.log.warn("no tracker took the report", { why });
    }
    this.#failure = why;
    this.#options.reachable(false);
    const pauseMs = this.#retryMs * (0.5 + Math.random());
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.longest);
    return pauseMs;
  }
}
