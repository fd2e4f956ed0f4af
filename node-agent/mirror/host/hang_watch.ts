/**
 * Sees from outside that a Worker hangs in its disk (`volume/disk_watch.ts`).
 *
 * The Worker cannot be woken: its thread is in the system. What can be done is
 * to stop answering for it, so that its peer gives it up and goes on alone.
 *
 * @module
 */

/** How often it is looked at, in ms. */
const LOOK_MS = 250;

/** What is new about a Worker. */
export type HangNews = "hangs" | "back" | undefined;

/** Judges what is seen of a counter of turns. Pure. */
export class HangJudge {
  #turn = 0;
  #sinceMs = 0;
  #hangs = false;

  /**
   * @param turn Odd: something is asked of the disk.
   * @param timeoutMs Longest time for that; 0: for ever.
   */
  look(turn: number, nowMs: number, timeoutMs: number): HangNews {
    if (turn !== this.#turn || turn % 2 === 0) {
      this.#turn = turn;
      this.#sinceMs = nowMs;
      if (!this.#hangs) return undefined;
      this.#hangs = false;
      return "back";
    }
    const isLate = timeoutMs > 0 && nowMs - this.#sinceMs > timeoutMs;
    if (!isLate || this.#hangs) return undefined;
    this.#hangs = true;
    return "hangs";
  }
}

/** See the module comment. */
export class HangWatch {
  /** The Worker's counter. */
  readonly turns: Int32Array = new Int32Array(new SharedArrayBuffer(4));
  readonly #judge = new HangJudge();
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * @param timeoutMs Longest time for the disk now; 0: for ever.
   * @param tell Hears of it once, and once when it is over.
   */
  constructor(timeoutMs: () => number, tell: (news: "hangs" | "back") => void) {
    this.#timer = setInterval(() => {
      const turn = Atomics.load(this.turns, 0);
      const news = this.#judge.look(turn, performance.now(), timeoutMs());
      if (news !== undefined) tell(news);
    }, LOOK_MS);
    Deno.unrefTimer(Number(this.#timer));
  }

  /** Look no more. */
  close(): void {
    clearInterval(this.#timer);
  }
}
