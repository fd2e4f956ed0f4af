/**
 * Zeroes of any length, in pieces: a device without holes writes them, 4 GiB at
 * a time if a client says so, and meanwhile nobody else would be served, not
 * even the peer of a mirror.
 *
 * Pieces are asked for until a turn of the event loop has taken long enough;
 * the rest waits for the next one. Those of one session wait for one another.
 *
 * @module
 */

import { BlockErrno } from "../block_ports.ts";

/** Longest piece, in bytes; a later one begins at a multiple of it. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** Pieces that the device may work on together. */
const FLIGHT_MAX = 16;
/** How long pieces are asked for in one turn, in ms. */
const TURN_MS = 20;

/** A request to make zeroes. */
export interface ZeroJob {
  readonly offset: number;
  readonly lengthBytes: number;
  /** Ask the device for a piece. */
  act(
    piece: { readonly offset: number; readonly lengthBytes: number },
    done: (errno: BlockErrno) => void,
  ): void;
  /** Called once. */
  ended(errno: BlockErrno): void;
}

interface Running {
  readonly job: ZeroJob;
  offset: number;
  leftBytes: number;
  pending: number;
  errno: BlockErrno;
}

/** See the module comment. */
export class Zeroes {
  readonly #settle: () => void;
  readonly #jobs: Running[] = [];
  #flight = 0;
  #turnMs: number | undefined;
  #isPumping = false;
  #isPlanned = false;

  /** @param settle Called behind what was asked outside of a session's turn. */
  constructor(settle: () => void) {
    this.#settle = settle;
  }

  /** Begin a request; it may end at once. */
  add(job: ZeroJob): void {
    const { offset, lengthBytes } = job;
    const begun = { offset, leftBytes: lengthBytes, pending: 0 };
    this.#jobs.push({ job, ...begun, errno: BlockErrno.OK });
    this.#pump();
  }

  /** The client is gone: nothing new is begun. */
  drop(): void {
    for (const running of this.#jobs.splice(0)) {
      running.leftBytes = 0;
      running.errno ||= BlockErrno.ESHUTDOWN;
      if (running.pending === 0) running.job.ended(running.errno);
    }
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#flight < FLIGHT_MAX) {
      const [running] = this.#jobs;
      if (running === undefined || !this.#isInTime()) break;
      this.#start(running);
    }
    this.#isPumping = false;
  }

  /** What callers up the stack are doing is to be over first. */
  #pumpSoon(): void {
    if (this.#isPumping || this.#isPlanned || this.#jobs.length === 0) return;
    this.#isPlanned = true;
    queueMicrotask(() => {
      this.#isPlanned = false;
      this.#pump();
      this.#settle();
    });
  }

  #isInTime(): boolean {
    const nowMs = performance.now();
    if (this.#turnMs === undefined) {
      this.#turnMs = nowMs;
      setTimeout(() => {
        this.#turnMs = undefined;
        if (this.#jobs.length === 0) return;
        this.#pump();
        this.#settle();
      }, 0);
    }
    return nowMs - this.#turnMs < TURN_MS;
  }

  #start(running: Running): void {
    const { job, offset } = running;
    const lengthBytes = Math.min(
      running.leftBytes,
      PIECE_BYTES - offset % PIECE_BYTES,
    );
    running.offset += lengthBytes;
    running.leftBytes -= lengthBytes;
    running.pending++;
    this.#flight++;
    if (running.leftBytes === 0) this.#jobs.shift();
    job.act({ offset, lengthBytes }, (errno) => {
      this.#flight--;
      running.pending--;
      running.errno ||= errno;
      this.#ended(running);
      this.#pumpSoon();
    });
  }

  #ended(running: Running): void {
    if (running.errno !== BlockErrno.OK && running.leftBytes > 0) {
      running.leftBytes = 0;
      this.#jobs.splice(this.#jobs.indexOf(running), 1);
    }
    const isOver = running.pending === 0 && running.leftBytes === 0;
    if (isOver) running.job.ended(running.errno);
  }
}
