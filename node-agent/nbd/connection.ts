/**
 * One connection from the greeting to its end: the handshake's bytes to and
 * from the socket, opening the export, then the transmission.
 *
 * @module
 */

import { OPTION_HEADER_BYTES } from "@kedge/schema/wire/nbd/options";
import type {
  BlockExport,
  BlockExports,
  BlockRefusal,
} from "../block_ports.ts";
import type { Log } from "../ports.ts";
import { type Agreed, HandshakeCore } from "./handshake_core.ts";
import type { NbdLimits } from "./limits.ts";
import { Session } from "./session.ts";

/** First size of the handshake's buffer, in bytes; it grows for a long option. */
const BUFFER_BYTES = 4096;

/** What a connection needs. */
export interface ConnectionOptions {
  readonly conn: Deno.Conn;
  readonly exports: BlockExports;
  readonly limits: NbdLimits;
  /** Connections in transmission, by the name of their export. */
  readonly openConnections: Map<string, number>;
  readonly log: Log;
  /** Called when the handshake is over and transmission begins. */
  readonly agreed: () => void;
}

/** A connection that runs. */
export interface Connection {
  /** End it: at once in the handshake, after what is due in transmission. */
  close(): void;
  /** Cut it when the client does not take its replies. */
  cutIfStalled(nowMs: number): boolean;
}

/**
 * Serve a connection.
 *
 * @returns Its handle, and a promise of its end that never rejects.
 */
export function runConnection(
  options: ConnectionOptions,
): { readonly connection: Connection; readonly ended: Promise<void> } {
  const connection = new NbdConnection(options);
  return { connection, ended: connection.run() };
}

class NbdConnection implements Connection {
  readonly #options: ConnectionOptions;
  readonly #handshake: HandshakeCore;
  #buffer = new Uint8Array(BUFFER_BYTES);
  #filled = 0;
  #session: Session | undefined;
  #release: (() => void) | undefined;
  #mustClose = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#handshake = new HandshakeCore(options.exports, options.limits);
  }

  close(): void {
    this.#mustClose = true;
    if (this.#session !== undefined) this.#session.close();
    else closeConn(this.#options.conn);
  }

  cutIfStalled(nowMs: number): boolean {
    return this.#session?.cutIfStalled(nowMs) ?? false;
  }

  async run(): Promise<void> {
    const { conn, limits, log } = this.#options;
    const timer = setTimeout(() => closeConn(conn), limits.handshakeMs);
    try {
      const agreed = await this.#negotiate().finally(() => clearTimeout(timer));
      if (agreed !== undefined) await this.#transmit(agreed);
    } catch (error) {
      // In the handshake that is a client that went away.
      if (this.#session !== undefined) {
        log.warn("an NBD session broke", { error: String(error) });
      }
    } finally {
      closeConn(conn);
      this.#release?.();
    }
  }

  async #negotiate(): Promise<Agreed | undefined> {
    await this.#send(this.#handshake.greeting());
    for (;;) {
      const input = this.#buffer.subarray(0, this.#filled);
      const { consumed, step } = this.#handshake.next(input);
      this.#buffer.copyWithin(0, consumed, this.#filled);
      this.#filled -= consumed;
      if (step.kind === "need-data") {
        if (!await this.#fill(step.bytes)) return undefined;
        continue;
      }
      const next = step.kind === "open"
        ? this.#handshake.opened(this.#open(step.export))
        : step;
      if (next.kind === "open" || next.kind === "need-data") continue;
      await this.#send(next.bytes);
      if (next.kind === "enter") return next.agreed;
      if (next.kind !== "close") continue;
      const { why } = next;
      if (why !== undefined) {
        this.#options.log.info("ended an NBD handshake", { why });
      }
      return undefined;
    }
  }

  async #transmit(agreed: Agreed): Promise<void> {
    const release = this.#release;
    this.#release = undefined;
    this.#options.agreed();
    this.#session = new Session({
      conn: this.#options.conn,
      agreed,
      early: this.#buffer.subarray(0, this.#filled),
      limits: this.#options.limits,
      release: () => release?.(),
    });
    this.#buffer = new Uint8Array(0);
    if (this.#mustClose) this.#session.close();
    await this.#session.run();
  }

  /** Open the export; undefined when it is open. */
  #open(found: BlockExport): BlockRefusal | undefined {
    const { exports, limits, openConnections } = this.#options;
    const count = openConnections.get(found.name) ?? 0;
    if (count >= limits.exportConnectionsMax) {
      return {
        why: `${found.name} has ${count} connections, the most that are ` +
          "allowed; close one of them",
      };
    }
    const opened = exports.open(found.name, () => this.close());
    if (typeof opened !== "function") return opened;
    openConnections.set(found.name, count + 1);
    this.#release = () => {
      const left = (openConnections.get(found.name) ?? 1) - 1;
      if (left > 0) openConnections.set(found.name, left);
      else openConnections.delete(found.name);
      opened();
    };
    return undefined;
  }

  /** Read until the buffer holds so many bytes; false at the end. */
  async #fill(wantedBytes: number): Promise<boolean> {
    if (this.#buffer.length < wantedBytes + OPTION_HEADER_BYTES) {
      const larger = new Uint8Array(wantedBytes + OPTION_HEADER_BYTES);
      larger.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = larger;
    }
    while (this.#filled < wantedBytes) {
      const room = this.#buffer.subarray(this.#filled);
      const count = await this.#options.conn.read(room);
      if (count === null) return false;
      this.#filled += count;
    }
    return true;
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += await this.#options.conn.write(bytes.subarray(at));
    }
  }
}

function closeConn(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was closed already.
  }
}
