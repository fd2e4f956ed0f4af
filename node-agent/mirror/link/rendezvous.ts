/**
 * How two nodes find one another for the volumes of one resource: both listen,
 * both dial; the first connection that is greeted wins.
 *
 * A node listens only while one of its volumes looks for its peer, as DRBD
 * does: a StandAlone resource leaves its port free.
 *
 * @module
 */

import type { MirrorHello, SharedSecret } from "@kedge/schema/wire/mirror";
import { type ConnectionTimes, PeerConnection } from "./peer_connection.ts";

/** An address of TCP. */
export interface TcpAddress {
  readonly hostname: string;
  readonly port: number;
}

/** What a rendezvous is for. */
export interface RendezvousOptions {
  readonly resource: string;
  /** Name of this host. */
  readonly node: string;
  readonly local: TcpAddress;
  readonly remote: TcpAddress;
  readonly times: ConnectionTimes;
  /** The longest pause between two attempts, in ms. */
  readonly connectIntMs: number;
  readonly secret: SharedSecret | undefined;
  /** A greeted connection. Returns whether it is taken. */
  readonly connected: (
    connection: PeerConnection,
    facts: { readonly volume: number; readonly resolveConflicts: boolean },
  ) => boolean;
  readonly log: (level: "info" | "warn", text: string) => void;
}

/** First pause between attempts to dial, in ms; it doubles. */
const FIRST_PAUSE_MS = 200;
/** Connections that may be in their greeting at a time. */
const GREETINGS_MAX = 64;

/** See the module comment. */
export class Rendezvous {
  readonly #seeking = new Map<number, AbortController>();
  #listener: Deno.TcpListener | undefined;
  #greetings = 0;
  #lastComplaint = "";

  constructor(readonly options: RendezvousOptions) {}

  /** Look for the peer of a volume, until told otherwise. */
  seek(volume: number, seek: boolean): void {
    if (seek === this.#seeking.has(volume)) return;
    if (seek) {
      const stop = new AbortController();
      this.#seeking.set(volume, stop);
      this.#listen();
      this.#dial(volume, stop.signal).catch(() => {});
    } else {
      this.#seeking.get(volume)?.abort();
      this.#seeking.delete(volume);
      if (this.#seeking.size === 0) this.#unlisten();
    }
  }

  /** Stop looking for anybody. */
  close(): void {
    for (const volume of [...this.#seeking.keys()]) this.seek(volume, false);
  }

  #listen(): void {
    if (this.#listener !== undefined) return;
    const { local } = this.options;
    try {
      this.#listener = Deno.listen({ ...local, transport: "tcp" });
    } catch (error) {
      this.#complain(
        `Cannot listen on ${local.hostname}:${local.port}: ${error}`,
      );
      return;
    }
    this.#accept(this.#listener).catch(() => {});
  }

  #unlisten(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    for (;;) {
      const conn = await listener.accept();
      if (this.#greetings >= GREETINGS_MAX) {
        conn.close();
        continue;
      }
      this.#greetings++;
      this.#greet(conn, "acceptor", 0)
        .catch((error) => this.#complain(messageOf(error)))
        .finally(() => this.#greetings--);
    }
  }

  async #dial(volume: number, signal: AbortSignal): Promise<void> {
    const { remote, local, connectIntMs } = this.options;
    let pauseMs = FIRST_PAUSE_MS;
    // The lower address dials first; the other one gives it time to.
    if (addressOf(local) > addressOf(remote)) await pause(pauseMs * 2, signal);
    while (!signal.aborted) {
      if (this.#listener === undefined) this.#listen();
      try {
        const conn = await Deno.connect({ ...remote, signal });
        await this.#greet(conn, "dialer", volume);
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused)) {
          this.#complain(messageOf(error));
        }
      }
      const jitter = 0.75 + Math.random() / 2;
      await pause(pauseMs * jitter, signal);
      pauseMs = Math.min(pauseMs * 2, Math.min(connectIntMs, 1_000));
    }
  }

  async #greet(
    conn: Deno.TcpConn,
    role: "dialer" | "acceptor",
    volume: number,
  ): Promise<void> {
    const { resource, node, secret, times } = this.options;
    const nonce = crypto.randomUUID().replaceAll("-", "");
    const hello = { resource, volume, node, nonce };
    const { connection, peer } = await PeerConnection.greet(conn, role, {
      hello,
      times,
      secret: () => secret,
      accept: (theirs) => this.#checked(theirs, hello),
    });
    const taken = this.options.connected(connection, {
      volume: peer.volume,
      resolveConflicts: nonce > peer.nonce,
    });
    if (!taken) connection.close("another connection was quicker");
    else this.#lastComplaint = "";
  }

  #checked(theirs: MirrorHello, ours: MirrorHello): MirrorHello {
    const { resource } = this.options;
    if (theirs.resource !== resource) {
      throw new Error(
        `A node that wants resource "${theirs.resource}" came to "${resource}"`,
      );
    }
    if (!this.#seeking.has(theirs.volume)) {
      throw new Error(`Volume ${theirs.volume} does not look for its peer`);
    }
    return { ...ours, volume: theirs.volume };
  }

  /** Say a thing once, not with every attempt. */
  #complain(text: string): void {
    if (text === this.#lastComplaint) return;
    this.#lastComplaint = text;
    this.options.log("warn", text);
  }
}

function addressOf({ hostname, port }: TcpAddress): string {
  return `${hostname}:${port}`;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
