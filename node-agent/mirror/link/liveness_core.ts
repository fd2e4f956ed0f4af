/**
 * When a connection is given up, and what is tried before.
 *
 * ```text
 * idle ─ ping-int ─▶ ping ─ a quarter of ping-timeout ─▶ ask by pulse, again and again
 *                     │                                     │
 *                  heard ◀── anything on the connection     │ ping-timeout without either,
 *                                                           ▼ or too long without the first
 *                                                         silent
 * ```
 *
 * A node whose disk stops answers no ping, but its pulse: it is waited for as
 * long as a peer with default `timeout` and `ko-count` may owe an answer. A node
 * that stood still itself finds old deadlines when it goes on: it first reads
 * what has come meanwhile.
 *
 * Pure: told the time, no I/O.
 *
 * Source: DRBD 8.4, `ping-int` and `ping-timeout`; promises.md finding 4.
 *
 * @module
 */

/** Between two ticks lies more than this, in ms: we stood still. */
const STILL_MS = 300;
/** The longest that a pulse alone keeps a connection, in ms: 7 × 6 s, and a bit. */
const PULSE_ALONE_MS_MAX = 45_000;

/** Times of the pings, in ms. */
export interface PingTimes {
  readonly pingIntMs: number;
  readonly pingTimeoutMs: number;
}

/** What to do now. */
export type LivenessStep = "ping" | "ask" | "silent" | undefined;

/** See the module comment. */
export class Liveness {
  #lastHeardMs: number;
  #lastPulseMs: number;
  #lastTickMs: number;
  #graceEndMs: number;
  #nextPingMs: number;
  #pingSentMs: number | undefined;

  constructor(public times: PingTimes, nowMs: number) {
    this.#lastHeardMs = this.#lastPulseMs = this.#lastTickMs = nowMs;
    this.#graceEndMs = nowMs;
    this.#nextPingMs = nowMs + times.pingIntMs;
  }

  /** Something came on the connection. */
  heard(nowMs: number): void {
    this.#lastHeardMs = nowMs;
  }

  /** The pulse was answered. */
  pulsed(nowMs: number): void {
    this.#lastPulseMs = nowMs;
  }

  /** A ping was sent beside the ticks. */
  pinged(nowMs: number): void {
    this.#pingSentMs = nowMs;
    this.#nextPingMs = nowMs + this.times.pingIntMs;
  }

  /** Time passes. With `pingNow` a ping is due whatever the interval says. */
  tick(nowMs: number, pingNow = false): LivenessStep {
    if (nowMs - this.#lastTickMs > STILL_MS) {
      this.#graceEndMs = nowMs + this.times.pingTimeoutMs;
    }
    this.#lastTickMs = nowMs;
    const sentMs = this.#pingSentMs;
    if (sentMs !== undefined && this.#lastHeardMs < sentMs) {
      return this.#whileWaiting(nowMs, nowMs - sentMs);
    }
    if (nowMs < this.#nextPingMs && !pingNow) return undefined;
    this.pinged(nowMs);
    return "ping";
  }

  #whileWaiting(nowMs: number, waitedMs: number): LivenessStep {
    const { pingTimeoutMs } = this.times;
    const isLate = waitedMs > pingTimeoutMs && nowMs > this.#graceEndMs;
    const hasPulse = nowMs - this.#lastPulseMs <= pingTimeoutMs;
    if (isLate && (!hasPulse || waitedMs > PULSE_ALONE_MS_MAX)) return "silent";
    return waitedMs > pingTimeoutMs / 4 ? "ask" : undefined;
  }
}
