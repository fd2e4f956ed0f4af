/**
 * How long one node waits for another on behalf of a client that cannot be sent
 * on: only while it is the other's turn, and anew with every byte. What the
 * other sends must come at a rate, too, or a byte now and then would do.
 *
 * @module
 */

import type { Clock } from "../../ports.ts";

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

/** How long is long. */
export interface PatienceLimits {
  /** The longest silence; after waiting so long in all the rate counts, in ms. */
  readonly silentMs: number;
  /** The slowest peer, in bytes per second of waiting for it. */
  readonly bytesPerSecondMin: number;
}

/** Ends a request to a peer that has been silent for a while, or is too slow. */
export class Patience {
  readonly #aborter = new AbortController();
  readonly #limits: PatienceLimits;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waitedMs = 0;
  #windowBytes = 0;

  /** Wait as long as these say. */
  constructor(limits: PatienceLimits, clock: Pick<Clock, "monotonicMs">) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** For the request. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** It is the peer's turn. */
  start(): void {
    this.stop();
    this.#timer = setTimeout(
      () => this.#aborter.abort(new Error("The peer is silent")),
      this.#limits.silentMs,
    );
  }

  /** It is not. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Bytes for the peer: its turn is after each of them, and after the last. */
  outgoing(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    return this.#watched(body, () => this.stop(), () => this.start());
  }

  /** Bytes of the peer: its turn is while the next are asked for. */
  incoming(body: Bytes): Bytes {
    let sinceMs = 0;
    return this.#watched(body, () => {
      sinceMs = this.#clock.monotonicMs();
      this.start();
    }, (piece) => {
      this.stop();
      if (piece === undefined) return;
      this.#came(piece.length, this.#clock.monotonicMs() - sinceMs);
    });
  }

  #came(bytes: number, waitedMs: number): void {
    const { silentMs, bytesPerSecondMin } = this.#limits;
    this.#waitedMs += waitedMs;
    this.#windowBytes += bytes;
    if (this.#waitedMs < silentMs) return;
    if (this.#windowBytes < bytesPerSecondMin * this.#waitedMs / 1000) {
      const why = `Less than ${bytesPerSecondMin} bytes per second came`;
      this.#aborter.abort(new Error(why));
    }
    this.#waitedMs = 0;
    this.#windowBytes = 0;
  }

  #watched<Piece extends Uint8Array>(
    body: ReadableStream<Piece>,
    before: () => void,
    after: (piece?: Piece) => void,
  ): ReadableStream<Piece> {
    const reader = body.getReader();
    const silent = Promise.withResolvers<never>();
    silent.promise.catch(() => {});
    this.signal.addEventListener("abort", () => {
      silent.reject(this.signal.reason);
      reader.cancel(this.signal.reason).catch(() => {});
    });
    return new ReadableStream<Piece>({
      async pull(to) {
        before();
        const next = await Promise.race([silent.promise, reader.read()])
          .catch((error) => {
            after();
            throw error;
          });
        if (next.done) {
          after();
          return to.close();
        }
        after(next.value);
        to.enqueue(next.value);
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
  }
}
