/**
 * Whether the peer at the other end of a link is alive, on the monotonic clock.
 *
 * Evidence is any byte that was read, or progress of a write that had filled the
 * buffers on the way (then the peer is reading). So a bulk transfer never looks
 * like silence, and our own pings, which the kernel swallows, prove nothing.
 * Source: promises.md §6.3 (ping 250 ms, suspicion after 1 s).
 *
 * @module
 */

import type { FrameLink } from "./frame_link.ts";

/** Pause between two pings, in milliseconds. */
export const PING_MS = 250;
/** Silence after which a peer is suspected, in milliseconds. */
export const SUSPECT_MS = 1000;

/** What to do about a link now. */
export type LivenessVerdict = "fine" | "ping" | "suspect";

/** Watches one link. */
export class Liveness {
  readonly #link: FrameLink;
  #readBytes: number;
  #writtenBytes: number;
  #hadBacklog = false;
  #progressMs: number;
  #pingMs: number;
  /** When the pings were sent that are not answered yet. */
  readonly #pinged: number[] = [];

  /** Start to watch at a monotonic time. */
  constructor(link: FrameLink, nowMs: number) {
    this.#link = link;
    this.#readBytes = link.readBytes;
    this.#writtenBytes = link.writtenBytes;
    this.#progressMs = nowMs;
    this.#pingMs = nowMs;
  }

  /**
   * Look again.
   *
   * @param nowMs Monotonic time.
   * @param wasPaused Whether our own event loop stood still: then silence
   * proves nothing.
   */
  check(nowMs: number, wasPaused: boolean): LivenessVerdict {
    const { readBytes, writtenBytes, queuedBytes } = this.#link;
    const hasDrained = this.#hadBacklog && writtenBytes > this.#writtenBytes;
    if (readBytes > this.#readBytes || hasDrained || wasPaused) {
      this.#progressMs = nowMs;
    }
    this.#readBytes = readBytes;
    this.#writtenBytes = writtenBytes;
    this.#hadBacklog = queuedBytes > 0;
    if (nowMs - this.#progressMs > SUSPECT_MS) return "suspect";
    if (nowMs - this.#pingMs < PING_MS) return "fine";
    this.#pingMs = nowMs;
    this.#pinged.push(nowMs);
    return "ping";
  }

  /** A pong came; returns when its ping was sent. */
  ponged(): number | undefined {
    return this.#pinged.shift();
  }
}
