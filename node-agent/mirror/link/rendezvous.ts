/**
 * How two nodes find one another for the volumes of one resource: both listen,
 * both dial. Of the connections that are greeted, the node with the lower name
 * takes the first one and says so by a ping; the other node takes the one that
 * something comes over. So both take the same.
 *
 * A node listens only while one of its volumes looks for its peer, as DRBD
 * does: a StandAlone resource leaves its port free.
 *
 * @module
 */

import type {
  MirrorHello,
  PulseSession,
  SharedSecret,
} from "@kedge/schema/wire/mirror";
import { isCallerGone } from "../../callers.ts";
import { GreetingDesk, hostOf, type Place } from "../../greeting_desk.ts";
import {
  type ConnectionTimes,
  PeerConnection,
  WrongSecretError,
} from "./peer_connection.ts";
import { pause } from "../pause.ts";
import { PulseAsker } from "./pulse_sockets.ts";

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
  /** Digest that goes with each write (`data-integrity-alg`). */
  readonly integrity?: string | undefined;
  /** A greeted connection. Returns whether it is taken. */
  readonly connected: (
    connection: PeerConnection,
    facts: { readonly volume: number; readonly resolveConflicts: boolean },
  ) => boolean;
  /** Who answers pulses beside this thread; undefined: nobody does. */
  readonly pulse?: {
    add(session: PulseSession): void;
    remove(session: string): void;
  };
  /** The peer that we dialed has another secret: leave it alone. */
  readonly refused: (volume: number, why: string) => void;
  readonly log: (level: "info" | "warn", text: string) => void;
}

/** First pause between attempts to dial, in ms; it doubles. */
const FIRST_PAUSE_MS = 200;
/** The longest wait for the peer to take a call, in ms. */
const DIAL_MS = 2_000;
/** Pause after a call could not be taken, in ms. */
const ACCEPT_PAUSE_MS = 100;
/** The shortest time between two complaints about the same thing, in ms. */
const COMPLAINT_MS = 1_000;
/** Connections that may be in their greeting at a time. */
const GREETINGS = { placesMax: 64, strangersPerAddressMax: 4 };

/** See the module comment. */
export class Rendezvous {
  readonly #seeking = new Map<number, AbortController>();
  #listener: Deno.TcpListener | undefined;
  readonly #desk = new GreetingDesk(GREETINGS);
  readonly #complaints = new Map<string, { text: string; atMs: number }>();

  constructor(public options: RendezvousOptions) {}

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

  /** Other options from the next attempt on. */
  change(options: Partial<RendezvousOptions>): void {
    const { local } = this.options;
    this.options = { ...this.options, ...options };
    if (addressOf(local) !== addressOf(this.options.local)) this.#unlisten();
  }

  /** Stop looking for anybody. */
  close(): void {
    for (const volume of [...this.#seeking.keys()]) this.seek(volume, false);
  }

  #listen(): void {
    if (this.#listener !== undefined) return;
    const { local } = this.options;
    const { hostname, port } = local;
    try {
      this.#listener = Deno.listen({ hostname, port, transport: "tcp" });
    } catch (error) {
      const why =
        `Cannot listen on ${hostname}:${port} (${messageOf(error)}): ` +
        "end what uses this address, or correct it. Trying again";
      return this.#complain("listen", why);
    }
    if (this.#complaints.delete("listen")) {
      this.options.log("info", `Listening on ${hostname}:${port} now`);
    }
    this.#accept(this.#listener);
  }

  #unlisten(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    while (this.#listener === listener) {
      let conn: Deno.TcpConn;
      try {
        conn = await listener.accept();
      } catch (error) {
        if (this.#listener !== listener) return;
        if (isCallerGone(error)) continue;
        this.#complain("accept", messageOf(error)); // no descriptors left?
        await new Promise((done) => setTimeout(done, ACCEPT_PAUSE_MS));
        continue;
      }
      this.#welcome(conn);
    }
  }

  #welcome(conn: Deno.TcpConn): void {
    let [isProven, isTurnedOut] = [false, false];
    const { hostname, port } = conn.remoteAddr;
    const place: Place = {
      host: hostOf(`${hostname}:${port}`),
      close: () => {
        isTurnedOut = true;
        closeConn(conn);
      },
    };
    this.#desk.setPeers([this.options.remote.hostname]);
    this.#desk.enter(place);
    this.#greet(conn, "acceptor", {
      volume: 0,
      proven: () => isProven = true,
    })
      .catch((error) => {
        if (!isTurnedOut) this.#complain("caller", messageOf(error));
      })
      .finally(() => this.#desk.leave(place, isProven));
  }

  async #dial(volume: number, signal: AbortSignal): Promise<void> {
    const { remote, local, connectIntMs } = this.options;
    let pauseMs = FIRST_PAUSE_MS;
    // The lower address dials first; the other one gives it time to.
    if (addressOf(local) > addressOf(remote)) await pause(pauseMs * 2, signal);
    while (!signal.aborted) {
      this.#listen();
      await this.#call(volume, signal);
      const jitter = 0.75 + Math.random() / 2;
      await pause(pauseMs * jitter, signal);
      pauseMs = Math.min(pauseMs * 2, Math.min(connectIntMs, 1_000));
    }
  }

  async #call(volume: number, signal: AbortSignal): Promise<void> {
    const { hostname, port } = this.options.remote;
    try {
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)]);
      const conn = await Deno.connect({ hostname, port, signal: inTime });
      await this.#greet(conn, "dialer", { volume });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof WrongSecretError) {
        this.options.refused(volume, error.message);
      } else if (!isAbsent(error)) {
        this.#complain("peer", messageOf(error));
      }
    }
  }

  async #greet(
    conn: Deno.TcpConn,
    role: "dialer" | "acceptor",
    { volume, proven }: {
      readonly volume: number;
      /** Called once the peer has shown who it is. */
      readonly proven?: () => void;
    },
  ): Promise<void> {
    const { resource, node, secret, times } = this.options;
    const nonce = crypto.randomUUID().replaceAll("-", "");
    const integrity = this.options.integrity ?? "";
    const hello = { resource, volume, node, integrity, nonce };
    const { connection, peer } = await PeerConnection.greet(conn, role, {
      hello,
      times,
      secret: () => secret,
      accept: (theirs) => this.#checked(theirs, hello),
    });
    proven?.();
    const chooses = node === peer.node ? nonce > peer.nonce : node < peer.node;
    if (!chooses && !await connection.isChosen(times.greetingMs)) return;
    const taken = this.options.connected(connection, {
      volume: peer.volume,
      resolveConflicts: nonce > peer.nonce,
    });
    if (!taken) return connection.close("another connection was quicker");
    this.#watch(connection);
    if (chooses) connection.choose();
    this.#complaints.clear();
  }

  /** Both ends answer pulses as long as they use this connection. */
  #watch(connection: PeerConnection): void {
    const { pulse, remote } = this.options;
    const { session } = connection;
    if (pulse === undefined) return;
    connection.asker = new PulseAsker(
      session,
      remote,
      () => connection.pulsed(),
    );
    connection.onClose = () => pulse.remove(session.session);
    pulse.add(session);
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
  #complain(about: string, text: string): void {
    const last = this.#complaints.get(about);
    const atMs = performance.now();
    if (last?.text === text) return;
    if (last !== undefined && atMs - last.atMs < COMPLAINT_MS) return;
    this.#complaints.set(about, { text, atMs });
    this.options.log("warn", text);
  }
}

/** Nobody is there yet: that is why we look for it. */
function isAbsent(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused ||
    error instanceof DOMException && error.name === "TimeoutError";
}

/** It may be closed already. */
function closeConn(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch { /* it was */ }
}

function addressOf({ hostname, port }: TcpAddress): string {
  return `${hostname}:${port}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
