/**
 * Serves the exports of one Worker over NBD, on TCP and Unix sockets.
 *
 * @module
 */

import type { BlockExports } from "../block_ports.ts";
import { isCallerGone } from "../callers.ts";
import { GreetingDesk, hostOf, type Place } from "../greeting_desk.ts";
import type { Log } from "../ports.ts";
import { type Connection, runConnection } from "./connection.ts";
import { NBD_LIMITS, type NbdLimits } from "./limits.ts";

/** Where to listen. */
export type NbdListen =
  | { readonly path: string }
  | { readonly hostname: string; readonly port: number };

/** Where a server listens. */
export type NbdAddr = Deno.NetAddr | Deno.UnixAddr;

/** What a server needs. */
export interface NbdServerOptions {
  /** One address or several. */
  readonly listen: NbdListen | readonly NbdListen[];
  readonly exports: BlockExports;
  readonly limits?: Partial<NbdLimits>;
  readonly log: Log;
}

/** A server that listens. */
export interface NbdServer {
  /** The first address. */
  readonly addr: NbdAddr;
  /** All addresses, in the order asked for. */
  readonly addrs: readonly NbdAddr[];
  /** Connections now, handshakes included. */
  readonly connectionCount: number;
  /**
   * Stop listening, answer what is in flight, refuse the rest with ESHUTDOWN,
   * and end all connections.
   */
  close(): Promise<void>;
}

/** How often clients that do not take their replies are looked for. */
const STALL_CHECK_MS = 500;
/** Pause after a failed accept, for example without a free descriptor. */
const ACCEPT_PAUSE_MS = 100;

/** The address of who came over a Unix socket. */
const LOCAL = "local";

/**
 * Start serving.
 *
 * @throws {Deno.errors.AddrInUse} When an address is taken.
 */
export function serveNbd(options: NbdServerOptions): NbdServer {
  return new Server(options);
}

class Server implements NbdServer {
  readonly addrs: readonly NbdAddr[];
  readonly addr: NbdAddr;
  readonly #options: NbdServerOptions;
  readonly #limits: NbdLimits;
  readonly #listeners: Deno.Listener[] = [];
  readonly #connections = new Map<Connection, Promise<void>>();
  /** Those in their handshake. */
  readonly #desk: GreetingDesk;
  /** Connections in transmission, by the name of their export. */
  readonly #open = new Map<string, number>();
  readonly #stallTimer: ReturnType<typeof setInterval>;
  #isClosed = false;

  constructor(options: NbdServerOptions) {
    this.#options = options;
    this.#limits = { ...NBD_LIMITS, ...options.limits };
    this.#desk = new GreetingDesk({
      placesMax: this.#limits.connectionsMax,
      strangersPerAddressMax: this.#limits.exportConnectionsMax,
    });
    this.#desk.setPeers([LOCAL]);
    const places: readonly NbdListen[] = [options.listen].flat();
    try {
      for (const place of places) this.#listeners.push(listenAt(place));
    } catch (error) {
      for (const listener of this.#listeners) listener.close();
      throw error;
    }
    this.addrs = this.#listeners.map(({ addr }) => addr as NbdAddr);
    const [first] = this.addrs;
    if (first === undefined) {
      throw new TypeError("Cannot serve NBD: no address given");
    }
    this.addr = first;
    for (const listener of this.#listeners) this.#accept(listener);
    this.#stallTimer = setInterval(() => this.#cutStalled(), STALL_CHECK_MS);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      for (const listener of this.#listeners) closeListener(listener);
      for (const connection of this.#connections.keys()) connection.close();
    }
    await Promise.all(this.#connections.values());
    clearInterval(this.#stallTimer);
  }

  async #accept(listener: Deno.Listener): Promise<void> {
    while (!this.#isClosed) {
      try {
        this.#welcome(await listener.accept());
      } catch (error) {
        if (this.#isClosed) return;
        if (isCallerGone(error)) continue;
        this.#options.log.warn("cannot accept an NBD connection", {
          error: String(error),
        });
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
      }
    }
  }

  #welcome(conn: Deno.Conn): void {
    if (!this.#hasRoom()) {
      this.#options.log.warn("refused an NBD connection: too many", {
        limit: this.#limits.connectionsMax,
      });
      conn.close();
      return;
    }
    quicken(conn);
    let isAgreed = false;
    const place: Place = {
      host: callerOf(conn),
      close: () => connection.close(),
    };
    const { connection, ended } = runConnection({
      conn,
      exports: this.#options.exports,
      limits: this.#limits,
      openConnections: this.#open,
      log: this.#options.log,
      agreed: () => {
        isAgreed = true;
        this.#desk.leave(place, true);
      },
    });
    this.#desk.enter(place);
    this.#connections.set(
      connection,
      ended.finally(() => {
        this.#connections.delete(connection);
        if (!isAgreed) this.#desk.leave(place, false);
      }),
    );
  }

  /** Who has agreed on nothing goes for somebody new. */
  #hasRoom(): boolean {
    return this.#connections.size < this.#limits.connectionsMax ||
      this.#desk.makeRoom();
  }

  #cutStalled(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections.keys()) {
      if (connection.cutIfStalled(nowMs)) {
        this.#options.log.warn("cut an NBD client that takes no replies");
      }
    }
  }
}

function listenAt(place: NbdListen): Deno.Listener {
  if (!("path" in place)) return Deno.listen(place);
  const { path } = place;
  if (isLeftover(path)) Deno.removeSync(path);
  const listener = Deno.listen({ transport: "unix", path });
  // Whoever may connect may read and write the device.
  Deno.chmodSync(path, 0o600);
  return listener;
}

function callerOf({ remoteAddr }: Deno.Conn): string {
  return "hostname" in remoteAddr
    ? hostOf(`${remoteAddr.hostname}:${remoteAddr.port}`)
    : LOCAL;
}

/** A socket of a process that was killed: the file is there, nobody listens. */
function isLeftover(path: string): boolean {
  try {
    if (!Deno.lstatSync(path).isSocket) return false;
    const bound = Deno.readTextFileSync("/proc/net/unix").split("\n");
    return !bound.some((line) => line.endsWith(` ${path}`));
  } catch {
    return false;
  }
}

/** Replies leave at once; a client whose host vanished is noticed. */
function quicken(conn: Deno.Conn | Deno.TcpConn): void {
  if (!("setNoDelay" in conn)) return;
  conn.setNoDelay(true);
  conn.setKeepAlive(true);
}

function closeListener(listener: Deno.Listener): void {
  listener.close();
  const { addr } = listener;
  if (addr.transport !== "unix") return;
  try {
    Deno.removeSync(addr.path);
  } catch {
    // Somebody removed it.
  }
}
