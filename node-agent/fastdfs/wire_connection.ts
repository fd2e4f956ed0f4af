/**
 * One connection of a FastDFS client: exact reads, whole writes, and a watch on
 * clients that send or take too slowly.
 *
 * Only the time spent waiting for the client counts, as for bodies over HTTP.
 * What is read at once is bounded by whoever reads; the connection itself has one
 * small buffer.
 *
 * @module
 */

import type { Clock } from "../ports.ts";

const BUFFER_BYTES = 16 * 1024;

/** How patient a connection is. */
export interface WirePatience {
  /** Between two requests, in ms. */
  readonly idleMs: number;
  /** How long bytes may be waited for before their rate counts, in ms. */
  readonly windowMs: number;
  /** Slowest client, in bytes per second of waiting for it. */
  readonly bytesPerSecondMin: number;
}

/** Bytes that are here already, or come. */
export type MaybeBytes =
  | Uint8Array<ArrayBuffer>
  | Promise<Uint8Array<ArrayBuffer>>;

/** The client is gone, or was too slow; there is nobody to answer. */
export class WireEnd extends Error {}

/** See the module comment. */
export class WireConnection {
  readonly #conn: Deno.TcpConn;
  readonly #clock: Clock;
  readonly #patience: WirePatience;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #from = 0;
  #to = 0;
  #waitingSinceMs: number | undefined;
  /** Reads and writes under way: an answer may leave while a body still comes. */
  #waits = 0;
  #movedMs = 0;
  #waitedMs = 0;
  #windowBytes = 0;
  #isIdle = true;
  #isClosed = false;
  #isRetired = false;

  /** Take charge of a connection. */
  constructor(conn: Deno.TcpConn, clock: Clock, patience: WirePatience) {
    this.#conn = conn;
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Since when it waits for another request; `undefined` while it works. */
  get idleSinceMs(): number | undefined {
    return this.#isIdle ? this.#waitingSinceMs : undefined;
  }

  /** When bytes came or went last, in monotonic ms. */
  get movedMs(): number {
    return this.#movedMs;
  }

  /** Whether nothing can be read or written any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Wait for the next request.
   *
   * @returns `false` when the client ends between two requests.
   */
  async begin(): Promise<boolean> {
    if (this.#isRetired) return false;
    this.#isIdle = this.#from === this.#to;
    if (this.#isIdle) {
      this.#to = await this.#read(this.#emptyBuffer());
      this.#isIdle = false;
      if (this.#to === 0) return false;
    }
    this.#waitedMs = 0;
    this.#windowBytes = 0;
    return true;
  }

  /**
   * Exactly so many bytes, which belong to the caller; at once when they have
   * come already.
   *
   * @throws {WireEnd}
   */
  take(lengthBytes: number): MaybeBytes {
    return this.#here(lengthBytes)?.slice() ?? this.#fill(lengthBytes);
  }

  /**
   * The same, put into memory of the caller, which is not to be used again before
   * they have come: after an error bytes may still arrive there.
   *
   * @throws {WireEnd}
   */
  takeInto(memory: Uint8Array<ArrayBuffer>): MaybeBytes {
    const here = this.#here(memory.length);
    if (here === undefined) return this.#fill(memory.length, memory);
    memory.set(here);
    return memory;
  }

  /**
   * The same for what is read and forgotten: nothing is copied when they have
   * come already, and the next bytes that are wanted may overwrite them.
   *
   * @throws {WireEnd}
   */
  glance(lengthBytes: number): MaybeBytes {
    return this.#here(lengthBytes) ?? this.#fill(lengthBytes);
  }

  /** Bytes that have come, if they are so many. */
  #here(lengthBytes: number): Uint8Array<ArrayBuffer> | undefined {
    const end = this.#from + lengthBytes;
    if (this.#buffer === undefined || end > this.#to) return undefined;
    const bytes = this.#buffer.subarray(this.#from, end);
    this.#from = end;
    return bytes;
  }

  async #fill(
    lengthBytes: number,
    bytes = new Uint8Array(lengthBytes),
  ): Promise<Uint8Array<ArrayBuffer>> {
    let at = this.#fromBuffer(bytes);
    while (at < lengthBytes) {
      // Short pieces come through the buffer, with what follows them.
      if (lengthBytes - at < BUFFER_BYTES) {
        this.#to = await this.#read(this.#emptyBuffer());
        if (this.#to === 0) throw new WireEnd("the client is gone");
        at += this.#fromBuffer(bytes.subarray(at));
      } else {
        const count = await this.#read(bytes.subarray(at));
        if (count === 0) throw new WireEnd("the client is gone");
        at += count;
      }
    }
    return bytes;
  }

  /**
   * Write everything.
   *
   * @throws {WireEnd}
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed) throw new WireEnd("the connection is closed");
    this.#beginWaiting();
    try {
      for (let at = 0; at < bytes.length;) {
        const rest = at === 0 ? bytes : bytes.subarray(at);
        const count = await this.#conn.write(rest);
        this.#windowBytes += count;
        at += count;
      }
    } catch (error) {
      throw this.#broken(error);
    } finally {
      this.#stopWaiting();
    }
  }

  /** Say that nothing more comes, and let go of what still arrives. */
  async end(bytesMax: number): Promise<void> {
    await this.#conn.closeWrite().catch(() => {});
    for (let left = bytesMax; left > 0;) {
      const count = await this.#read(this.#emptyBuffer()).catch(() => 0);
      if (count === 0) return;
      left -= count;
    }
  }

  /** Called now and then: ends a connection that is too slow, or idle. */
  check(): void {
    const sinceMs = this.#waitingSinceMs;
    if (sinceMs === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    const { idleMs, windowMs, bytesPerSecondMin } = this.#patience;
    if (this.#isIdle) {
      if (nowMs - sinceMs > idleMs) this.close();
      return;
    }
    if (this.#waitedMs + nowMs - sinceMs < windowMs) return;
    if (this.#windowBytes < bytesPerSecondMin * windowMs / 1000) {
      this.close();
      return;
    }
    this.#waitedMs = 0;
    this.#windowBytes = 0;
    this.#waitingSinceMs = nowMs;
  }

  /** End as soon as no request is under way. */
  retire(): void {
    this.#isRetired = true;
    if (this.idleSinceMs !== undefined) this.close();
  }

  /** End both directions at once. May be called again. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#conn.close();
    } catch {
      // It was closed by the other side.
    }
  }

  #fromBuffer(into: Uint8Array): number {
    const count = Math.min(this.#to - this.#from, into.length);
    if (count === 0 || this.#buffer === undefined) return 0;
    into.set(this.#buffer.subarray(this.#from, this.#from + count));
    this.#from += count;
    return count;
  }

  /** The buffer, of which nothing is wanted any more. */
  #emptyBuffer(): Uint8Array<ArrayBuffer> {
    this.#from = 0;
    this.#to = 0;
    return this.#buffer ??= new Uint8Array(BUFFER_BYTES);
  }

  /** How many bytes came; 0 at the end. */
  async #read(into: Uint8Array): Promise<number> {
    if (this.#isClosed) throw new WireEnd("the connection is closed");
    this.#beginWaiting();
    try {
      const count = await this.#conn.read(into) ?? 0;
      this.#windowBytes += count;
      return count;
    } catch (error) {
      throw this.#broken(error);
    } finally {
      this.#stopWaiting();
    }
  }

  #broken(error: unknown): WireEnd {
    this.close();
    return new WireEnd(error instanceof Error ? error.message : "broken");
  }

  #beginWaiting(): void {
    this.#waits++;
    this.#waitingSinceMs ??= this.#clock.monotonicMs();
  }

  #stopWaiting(): void {
    this.#movedMs = this.#clock.monotonicMs();
    if (--this.#waits > 0) return;
    const sinceMs = this.#waitingSinceMs;
    if (sinceMs === undefined) return;
    this.#waitedMs += this.#movedMs - sinceMs;
    this.#waitingSinceMs = undefined;
  }
}
