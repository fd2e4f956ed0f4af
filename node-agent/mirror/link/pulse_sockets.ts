/**
 * Both ends of the pulse (`schema/wire/mirror/pulse.ts`): who answers runs
 * beside the volumes, in a thread that touches no disk; who asks runs with them.
 *
 * The answering end has the port of the resource, for UDP. Where that is taken
 * or a firewall stops it, pings alone decide, as without a pulse.
 *
 * @module
 */

import dgram from "node:dgram";
import {
  decodePulse,
  encodePulse,
  type PulseSession,
  sessionOfPulse,
} from "@kedge/schema/wire/mirror";
import type { TcpAddress } from "./rendezvous.ts";

/** Sessions that are answered for at a time: one per volume. */
const SESSIONS_MAX = 1_024;

/** Answers for the volumes of a resource. */
export class PulseResponder {
  readonly #sessions = new Map<string, PulseSession>();
  readonly #local: TcpAddress;
  readonly #log: (text: string) => void;
  #socket: dgram.Socket | undefined;
  #isClosed = false;

  /** @param log Told once when the port cannot be used. */
  constructor(local: TcpAddress, log: (text: string) => void) {
    this.#local = local;
    this.#log = log;
  }

  /** Answer for a connection. */
  add(session: PulseSession): void {
    if (this.#isClosed || this.#sessions.size >= SESSIONS_MAX) return;
    this.#sessions.set(session.session, session);
    this.#socket ??= this.#bound();
  }

  /** The connection has ended. */
  remove(session: string): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#unbind();
  }

  /** Answer no more. */
  close(): void {
    this.#isClosed = true;
    this.#sessions.clear();
    this.#unbind();
  }

  #bound(): dgram.Socket {
    const { hostname, port } = this.#local;
    const socket = socketFor(hostname);
    socket.on("error", (error) => {
      this.#log(
        `No pulse on UDP ${hostname}:${port} (${error.message}): a node whose ` +
          "disk stops may be given up by its peer",
      );
      if (this.#socket === socket) this.#unbind();
    });
    socket.on("message", (bytes, from) => {
      const session = this.#sessions.get(sessionOfPulse(bytes) ?? "");
      if (session === undefined) return;
      const pulse = decodePulse(bytes, session);
      if (pulse?.kind !== "ask") return;
      const answer = encodePulse(session, { ...pulse, kind: "answer" });
      socket.send(answer, from.port, from.address, () => {});
    });
    socket.bind(port, hostname);
    return socket;
  }

  #unbind(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    closeSocket(socket);
  }
}

/** Asks for one connection. */
export class PulseAsker {
  readonly #session: PulseSession;
  readonly #remote: TcpAddress;
  readonly #heard: () => void;
  #socket: dgram.Socket | undefined;
  #number = 0;

  /** @param heard The other node lives. */
  constructor(session: PulseSession, remote: TcpAddress, heard: () => void) {
    this.#session = session;
    this.#remote = remote;
    this.#heard = heard;
  }

  /** Ask. What comes of it is told, or nothing comes. */
  ask(): void {
    const { hostname, port } = this.#remote;
    const socket = this.#socket ??= this.#open(hostname);
    const number = ++this.#number;
    const bytes = encodePulse(this.#session, { kind: "ask", number });
    socket.send(bytes, port, hostname, () => {});
  }

  /** Ask no more. */
  close(): void {
    closeSocket(this.#socket);
    this.#socket = undefined;
  }

  #open(hostname: string): dgram.Socket {
    const socket = socketFor(hostname);
    socket.on("error", () => {/* nobody is there: that is an answer, too */});
    socket.on("message", (bytes) => {
      const pulse = decodePulse(bytes, this.#session);
      const isNew = pulse?.kind === "answer" && pulse.number === this.#number;
      if (isNew) this.#heard();
    });
    return socket;
  }
}

function socketFor(hostname: string): dgram.Socket {
  return dgram.createSocket(hostname.includes(":") ? "udp6" : "udp4");
}

function closeSocket(socket: dgram.Socket | undefined): void {
  try {
    socket?.close();
  } catch { /* it never was open */ }
}
