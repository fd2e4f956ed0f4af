/**
 * How long one node waits for another on behalf of a client that cannot be sent
 * on: only while it is the other's turn, and anew with every byte.
 *
 * @module
 */

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

/** Ends a request to a peer that has been silent for a while. */
export class Patience {
  readonly #aborter = new AbortController();
  readonly #limitMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Wait for `limitMs` at a time. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
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
      this.#limitMs,
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
    return this.#watched(body, () => this.start(), () => this.stop());
  }

  #watched<Piece extends Uint8Array>(
    body: ReadableStream<Piece>,
    before: () => void,
    after: () => void,
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
          .finally(after);
        if (next.done) to.close();
        else to.enqueue(next.value);
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
  }
}
