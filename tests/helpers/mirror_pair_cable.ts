/**
 * The cable between two daemons, in the hands of a test: each host dials a
 * proxy, which forwards to the other host, or not.
 *
 * ```text
 *  a dials 127.x.y.3 ──▶ Cable ──▶ 127.x.y.2 (b)
 *  b dials 127.x.y.4 ──▶ Cable ──▶ 127.x.y.1 (a)
 * ```
 *
 * @module
 */

import { MIRROR_PORT, type PairHost } from "./mirror_pair.ts";
import type { Scope } from "./scope.ts";

/** How many bytes are read at a time. */
const PIECE_BYTES = 65_536;

/** See the module comment. */
export class Cable {
  /** Ends of every connection that is up. */
  readonly #conns = new Set<Deno.Conn>();
  #isCut = false;
  #isDeaf = new Set<"a" | "b">();
  #bytesLeft = Infinity;
  #corrupts: "a" | "b" | undefined;
  #bytesPerS = Infinity;
  /** Connections that were forwarded. */
  connections = 0;

  private constructor(
    readonly hosts: Readonly<Record<"a" | "b", PairHost>>,
    readonly dials: Readonly<Record<"a" | "b", string>>,
  ) {}

  /** Lay a cable between two new hosts; it goes with the scope. */
  static lay(scope: Scope): Cable {
    const part = () => 1 + Math.floor(Math.random() * 253);
    const net = `127.${part()}.${part()}`;
    const host = (last: number) => ({ address: `${net}.${last}`, prefix: [] });
    const hosts = { a: host(1), b: host(2) };
    const dials = {
      a: `${net}.3:${MIRROR_PORT}`,
      b: `${net}.4:${MIRROR_PORT}`,
    };
    const cable = new Cable(hosts, dials);
    cable.#listen(scope, `${net}.3`, "b");
    cable.#listen(scope, `${net}.4`, "a");
    scope.defer(() => cable.cut());
    return cable;
  }

  /** End every connection; new ones are closed at once. */
  cut(): void {
    this.#isCut = true;
    this.#closeAll();
  }

  /** Lose everything that would come to a host, without a word. */
  deafen(host: "a" | "b"): void {
    this.#isDeaf.add(host);
  }

  /** Forward so many bytes more, both directions together, then cut for once. */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes;
  }

  /** Let so many bytes per second through, in each direction. */
  pace(bytesPerS: number): void {
    this.#bytesPerS = bytesPerS;
  }

  /** Flip a bit of the next long piece to this host, as a bad switch does. */
  corrupt(host: "a" | "b"): void {
    this.#corrupts = host;
  }

  /** Whether the piece of {@link corrupt} is still to come. */
  get willCorrupt(): boolean {
    return this.#corrupts !== undefined;
  }

  /** Whether the cut of {@link cutAfter} is still to come. */
  get willCut(): boolean {
    return this.#bytesLeft !== Infinity;
  }

  /** Mend everything. Connections that lost bytes end. */
  heal(): void {
    if (this.#isDeaf.size > 0) this.#closeAll();
    this.#isCut = false;
    this.#isDeaf = new Set();
    this.#bytesLeft = this.#bytesPerS = Infinity;
  }

  #closeAll(): void {
    for (const conn of this.#conns) close(conn);
    this.#conns.clear();
  }

  #listen(scope: Scope, hostname: string, to: "a" | "b"): void {
    const listener = Deno.listen({ hostname, port: MIRROR_PORT });
    scope.defer(() => listener.close());
    this.#accept(listener, to);
  }

  async #accept(listener: Deno.TcpListener, to: "a" | "b"): Promise<void> {
    for await (const conn of listener) {
      if (this.#isCut) close(conn);
      else this.#forward(conn, to);
    }
  }

  async #forward(from: Deno.TcpConn, to: "a" | "b"): Promise<void> {
    this.#conns.add(from);
    let onward: Deno.TcpConn;
    try {
      const hostname = this.hosts[to].address;
      onward = await Deno.connect({ hostname, port: MIRROR_PORT });
    } catch {
      return close(from); // nobody listens there
    }
    // Cut meanwhile, and perhaps mended again: this one has ended.
    if (this.#isCut || !this.#conns.has(from)) {
      close(from);
      return close(onward);
    }
    this.connections++;
    this.#conns.add(onward);
    from.setNoDelay(true);
    onward.setNoDelay(true);
    const other = to === "a" ? "b" : "a";
    await Promise.race([
      this.#copy(from, onward, to),
      this.#copy(onward, from, other),
    ]);
    for (const conn of [from, onward]) {
      this.#conns.delete(conn);
      close(conn);
    }
  }

  async #copy(
    from: Deno.Conn,
    into: Deno.Conn,
    to: "a" | "b",
  ): Promise<void> {
    const piece = new Uint8Array(PIECE_BYTES);
    try {
      for (;;) {
        const count = await from.read(piece);
        if (count === null) return;
        if (this.#isDeaf.has(to)) continue;
        if (this.#corrupts === to && count >= LONG_BYTES) {
          const middle = Math.floor(count / 2);
          piece[middle] = (piece[middle] ?? 0) ^ 1;
          this.#corrupts = undefined;
        }
        const passed = Math.min(count, this.#bytesLeft);
        this.#bytesLeft -= passed;
        await this.#carry(passed);
        for (let at = 0; at < passed;) {
          at += await into.write(piece.subarray(at, passed));
        }
        if (passed < count || this.#bytesLeft === 0) {
          this.#bytesLeft = Infinity;
          return this.#closeAll();
        }
      }
    } catch {
      // One of the ends is gone.
    }
  }

  /** The time that so many bytes are on the line; shorter once it is healed. */
  async #carry(bytes: number): Promise<void> {
    let leftMs = bytes / this.#bytesPerS * 1000;
    while (leftMs > 0 && this.#bytesPerS !== Infinity) {
      const ms = Math.min(leftMs, CARRY_MS_MAX);
      await new Promise((resolve) => setTimeout(resolve, ms));
      leftMs -= ms;
    }
  }
}

/** A piece so long holds data of a write, in bytes. */
const LONG_BYTES = 16 * 1024;
/** How long a piece of a slow line takes at most, in ms. */
const CARRY_MS_MAX = 50;

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was closed already.
  }
}
