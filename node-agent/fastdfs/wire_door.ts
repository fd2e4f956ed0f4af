/**
 * A door for FastDFS's clients: takes connections from those who may come, as
 * many as there may be, and watches them.
 *
 * @module
 */

import type { AllowedHosts } from "@kedge/schema/config/allow-hosts";
import { type HostPort, hostPortText } from "@kedge/schema/config/units";
import { isCallerGone } from "../callers.ts";
import type { Clock, Log } from "../ports.ts";
import { WireConnection, type WirePatience } from "./wire_connection.ts";
import { ReplyRooms } from "./reply_rooms.ts";
import type { Observer } from "./served.ts";
import type { Handler, PieceRoom } from "./wire_request.ts";
import { serveWire } from "./wire_server.ts";

const SWEEP_MS = 500;
/** How long requests under way may take to their end when a door closes, in ms. */
const FAREWELL_MS = 3000;

/** What a door needs. */
export interface WireDoorOptions {
  readonly listen: HostPort;
  readonly hosts: AllowedHosts;
  readonly connectionsMax: number;
  readonly patience: WirePatience;
  readonly clock: Clock;
  readonly log: Log;
  readonly handle: Handler;
  /** Is told of every request. */
  readonly observe?: Observer | undefined;
  /** Called now and then. */
  readonly sweep?: (() => void) | undefined;
}

/** See the module comment. */
export class WireDoor {
  readonly #options: WireDoorOptions;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Map<WireConnection, Promise<void>>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #accepting: Promise<void>;
  readonly #room: PieceRoom = { takenBytes: 0 };
  readonly #replyRooms = new ReplyRooms();
  #refused = 0;
  #most = 0;

  /**
   * Open the door.
   *
   * @throws {Error} When the address cannot be listened on.
   */
  constructor(options: WireDoorOptions) {
    this.#options = options;
    this.#listener = listenOn(options.listen);
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#accepting = this.#accept();
  }

  /** Where it really listens. */
  get address(): HostPort {
    const { hostname, port } = this.#listener.addr;
    return { hostname, port };
  }

  /** Connections there are. */
  get count(): number {
    return this.#connections.size;
  }

  /** Most connections there ever were. */
  get most(): number {
    return this.#most;
  }

  /**
   * Take no more connections, end those that wait, and let requests under way
   * come to their answer for a moment: what was stored should be told.
   */
  async close(): Promise<void> {
    try {
      this.#listener.close();
    } catch {
      // It is closed already.
    }
    await this.#accepting;
    for (const connection of this.#connections.keys()) connection.retire();
    const late = setTimeout(() => this.#endAll(), FAREWELL_MS);
    await Promise.all(this.#connections.values());
    clearTimeout(late);
    clearInterval(this.#timer);
  }

  #endAll(): void {
    for (const connection of this.#connections.keys()) connection.close();
  }

  async #accept(): Promise<void> {
    for (;;) {
      let conn: Deno.TcpConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        if (isCallerGone(error)) continue;
        // Too many descriptors, mostly.
        await new Promise((resolve) => setTimeout(resolve, 50));
        if (error instanceof Deno.errors.Interrupted) return;
        continue;
      }
      this.#admit(conn);
    }
  }

  #admit(conn: Deno.TcpConn): void {
    const { hosts, connectionsMax, clock, patience } = this.#options;
    const { log, handle, observe } = this.#options;
    const { hostname } = conn.remoteAddr;
    if (!hosts.allows(hostname)) {
      conn.close();
      if (this.#refused++ % 1000 === 0) {
        log.warn(
          "a caller that fastdfs_allow_hosts does not name was refused",
          {
            hostname,
            refused: this.#refused,
          },
        );
      }
      return;
    }
    if (this.count >= connectionsMax && !this.#endIdle()) {
      conn.close();
      return;
    }
    conn.setNoDelay(true);
    conn.setKeepAlive(true);
    const connection = new WireConnection(conn, clock, patience);
    const room = this.#room;
    const replyRooms = this.#replyRooms;
    const door = { handle, observe, clock, log, room, replyRooms };
    const work = { ...door, client: hostname };
    const served = serveWire(connection, work)
      .finally(() => this.#connections.delete(connection));
    this.#connections.set(connection, served);
    this.#most = Math.max(this.#most, this.count);
  }

  /** Make room: the connection that has been idle longest goes. */
  #endIdle(): boolean {
    let longest: WireConnection | undefined;
    let sinceMs = Infinity;
    for (const connection of this.#connections.keys()) {
      if (connection.isClosed) continue;
      const idleMs = connection.idleSinceMs;
      if (idleMs === undefined || idleMs >= sinceMs) continue;
      longest = connection;
      sinceMs = idleMs;
    }
    longest?.close();
    if (longest !== undefined) this.#connections.delete(longest);
    return longest !== undefined;
  }

  #sweep(): void {
    for (const connection of this.#connections.keys()) connection.check();
    this.#replyRooms.sweep();
    this.#options.sweep?.();
  }
}

function listenOn(listen: HostPort): Deno.TcpListener {
  try {
    return Deno.listen({ ...listen });
  } catch (error) {
    const why = error instanceof Deno.errors.AddrInUse
      ? "another program has it"
      : String(error);
    throw new Error(`Cannot listen on ${hostPortText(listen)}: ${why}`);
  }
}
