/**
 * One connection to the peer's volume: greeting, frames both ways, heartbeats.
 *
 * A slow disk does not end it: flushes run beside the event loop, a pong is
 * queued as soon as its ping is read, and while the disk holds everything up
 * another thread answers (`pulse_sockets.ts`).
 *
 * @module
 */

import {
  GREETING_BYTES_MAX,
  type GreetingRole,
  type Hellos,
  isProvenMirror,
  json,
  MIRROR_NUMBERS,
  type MirrorFrame,
  MirrorFrameError,
  mirrorFrameOf,
  MirrorHello,
  MirrorProof,
  parse,
  proveMirror,
  type PulseSession,
  pulseSessionOf,
  type SharedSecret,
} from "@kedge/schema/wire/mirror";
import { InBuffer } from "./in_buffer.ts";
import { Liveness, type PingTimes } from "./liveness_core.ts";
import { signed, unsigned } from "./integrity.ts";
import { OutBuffer } from "./out_buffer.ts";
import type { PulseAsker } from "./pulse_sockets.ts";

/** Answers to what was read at once after which we look at the queue, in bytes. */
const ANSWERS_BYTES_MAX = 4 * 1024 * 1024;
/**
 * How long frames are handled before timers and other sockets have their turn, in
 * ms: some thousand requests for zeroes fit into one read.
 */
const TURN_MS = 100;

/** Who hears what comes over a connection. */
export interface ConnectionEvents {
  /** A frame; its payload is valid during the call. */
  frame(frame: MirrorFrame, epoch: number): void;
  /**
   * What was read is handled, or so much of it that its answers fill the queue.
   * A promise: wait before going on.
   */
  batchEnd(): Promise<void> | undefined;
  /** A ping of the peer is about to be answered. */
  pinged(): void;
  /** Our ping, sent at `sentMs`, was answered. */
  ponged(sentMs: number): void;
  /** The socket took a batch. */
  drained(): void;
}

/** Times of a connection, in ms. */
export interface ConnectionTimes {
  readonly greetingMs: number;
  readonly pingIntMs: number;
  readonly pingTimeoutMs: number;
}

/** The other side has another secret, or none: no attempt will go better. */
export class WrongSecretError extends Error {
  override readonly name = "WrongSecretError";
}

/** A connection whose peer has proven who it is. */
export class PeerConnection {
  readonly out: OutBuffer;
  readonly #in: InBuffer;
  readonly #live: Liveness;
  /** Digests behind the payload of writes, ours and theirs; "": none. */
  #signs = "";
  #theirSigns = "";
  #isClosed = false;
  /** Ends a wait between two reads. */
  #wake: (() => void) | undefined;
  /** Asks for a sign of life beside the connection. */
  asker: PulseAsker | undefined;
  /** Called once when it has ended. */
  onClose: (() => void) | undefined;
  /** Why it ended, for people. */
  why = "the peer closed the connection";

  private constructor(
    readonly conn: Deno.TcpConn,
    readonly times: ConnectionTimes,
    parts: { in: InBuffer; out: OutBuffer },
    /** How both ends name this connection in pulses. */
    readonly session: PulseSession,
  ) {
    this.#in = parts.in;
    this.out = parts.out;
    this.#live = new Liveness(times, performance.now());
  }

  /**
   * Greet the other side.
   *
   * @returns The connection and the peer's hello.
   * @throws {Error} When it is not who it should be; the socket is closed.
   */
  static async greet(
    conn: Deno.TcpConn,
    role: GreetingRole,
    options: {
      readonly hello: MirrorHello;
      readonly times: ConnectionTimes;
      readonly secret: (hello: MirrorHello) => SharedSecret | undefined;
      /** Checks the peer's hello. Throws when it is for somebody else. */
      readonly accept: (hello: MirrorHello) => MirrorHello;
    },
  ): Promise<{ connection: PeerConnection; peer: MirrorHello }> {
    const timer = setTimeout(() => close(conn), options.times.greetingMs);
    const parts = { in: new InBuffer(), out: new OutBuffer(writer(conn)) };
    try {
      conn.setNoDelay(true);
      let ours = options.hello;
      if (role === "dialer") send(parts.out, "hello", ours);
      const peer = parse(MirrorHello, await receive(conn, parts.in, "hello"));
      ours = options.accept(peer);
      if (role === "acceptor") send(parts.out, "hello", ours);
      const hellos: Hellos = role === "dialer" ? [ours, peer] : [peer, ours];
      const secret = options.secret(peer);
      send(parts.out, "proof", proveMirror(secret, role, hellos));
      const proof = parse(MirrorProof, await receive(conn, parts.in, "proof"));
      const other = role === "dialer" ? "acceptor" : "dialer";
      if (!isProvenMirror(proof, secret, other, hellos)) {
        throw new WrongSecretError(
          "The peer does not prove the shared secret: compare cram-hmac-alg " +
            "and shared-secret on both nodes",
        );
      }
      const session = pulseSessionOf(secret, hellos);
      const connection = new PeerConnection(
        conn,
        options.times,
        parts,
        session,
      );
      connection.#signs = ours.integrity;
      connection.#theirSigns = peer.integrity;
      return { connection, peer };
    } catch (error) {
      close(conn);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Where the payload of the next frame goes, if it is a `resyncData`. */
  payloadRoom(lengthBytes: number): Uint8Array {
    return this.out.payloadRoom(MIRROR_NUMBERS.resyncData, lengthBytes);
  }

  /** Queue a frame; its payload is copied. */
  send(frame: MirrorFrame, epoch: number): void {
    const isSigned = this.#signs !== "" && frame.kind === "data";
    this.out.put(isSigned ? signed(frame, this.#signs) : frame, epoch);
  }

  /** Tell the other side that this is the connection to use. */
  choose(): void {
    const nowMs = performance.now();
    this.#live.pinged(nowMs);
    this.#ping(nowMs);
  }

  /**
   * Wait until the other side has said something: it uses this connection.
   *
   * @returns False: it was closed, or nothing came in time.
   */
  async isChosen(timeoutMs: number): Promise<boolean> {
    const timer = setTimeout(() => this.close("not chosen"), timeoutMs);
    try {
      while (!this.#in.isReady) {
        const count = await this.conn.read(this.#in.room());
        if (count === null) break;
        this.#in.filled(count);
      }
      if (this.#in.isReady && !this.#isClosed) return true;
    } catch {
      /* it is of no use */
    } finally {
      clearTimeout(timer);
    }
    this.close("not chosen");
    return false;
  }

  /** Handle what comes until the connection ends. Never rejects. */
  async run(events: ConnectionEvents): Promise<void> {
    this.out.onDrain = () => events.drained();
    try {
      for (;;) {
        const end = this.#handleAll(events);
        const wait = events.batchEnd();
        this.out.flush();
        if (wait !== undefined && !this.#isClosed) await this.#orClosed(wait);
        if (end === "time") await new Promise((done) => setTimeout(done, 0));
        if (this.#isClosed) return;
        if (end !== "all") continue;
        const count = await this.conn.read(this.#in.room());
        if (count === null) return;
        this.#live.heard(performance.now());
        this.#in.filled(count);
      }
    } catch (error) {
      if (error instanceof MirrorFrameError) this.why = error.message;
      else if (!this.#isClosed) this.why = messageOf(error);
    } finally {
      this.close(this.why);
    }
  }

  /** Other times from now on. */
  set pings(times: PingTimes) {
    this.#live.times = times;
  }

  /** The peer lives, although it may not answer pings. */
  pulsed(): void {
    this.#live.pulsed(performance.now());
  }

  /** Send a ping if it is time, or now. Ends a connection that is silent. */
  tick(nowMs: number, pingNow = false): void {
    if (this.#isClosed) return;
    switch (this.#live.tick(nowMs, pingNow)) {
      case "silent": {
        const { pingTimeoutMs } = this.#live.times;
        return this.close(`no answer to a ping for ${pingTimeoutMs} ms`);
      }
      case "ask":
        return this.asker?.ask();
      case "ping":
        return this.#ping(nowMs);
    }
  }

  /** End it; what is queued is lost. */
  close(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.why = why;
    close(this.conn);
    this.#wake?.();
    this.asker?.close();
    this.onClose?.();
  }

  /** Not a race: one that outlives many waits would remember them all. */
  #orClosed(wait: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#wake = resolve;
      wait.then(resolve, reject);
    });
  }

  #checked(frame: MirrorFrame): MirrorFrame {
    const isSigned = this.#theirSigns !== "" && frame.kind === "data";
    return isSigned ? unsigned(frame, this.#theirSigns) : frame;
  }

  #ping(nowMs: number): void {
    this.out.putRaw("ping", numberBytes(nowMs));
    this.out.flush();
  }

  /** What was not sent yet cannot be answered: leases would last for ever. */
  #ponged(body: Uint8Array, events: ConnectionEvents): void {
    if (body.length !== 8) return;
    const sentMs = new DataView(body.slice().buffer).getFloat64(0);
    if (sentMs <= performance.now()) events.ponged(sentMs);
  }

  /** A question is short, its answer long, and what it asks for may take time. */
  #handleAll(events: ConnectionEvents): "all" | "answers" | "time" {
    const endMs = performance.now() + TURN_MS;
    const fullBytes = this.out.queuedBytes + ANSWERS_BYTES_MAX;
    for (;;) {
      const frame = this.#isClosed ? undefined : this.#in.next();
      if (frame === undefined) return "all";
      const { header, body } = frame;
      switch (header.kind) {
        case "ping":
          events.pinged();
          this.out.putRaw("pong", body.slice(0, 8));
          break;
        case "pong":
          this.#ponged(body, events);
          break;
        case "hello":
        case "proof":
          throw new MirrorFrameError("a second greeting");
        default:
          events.frame(
            this.#checked(mirrorFrameOf(header, body)),
            header.epoch,
          );
      }
      if (this.out.queuedBytes > fullBytes) return "answers";
      if (performance.now() > endMs) return "time";
    }
  }
}

function send(out: OutBuffer, kind: "hello" | "proof", body: unknown): void {
  out.putRaw(kind, json(body));
  out.flush();
}

async function receive(
  conn: Deno.Conn,
  buffer: InBuffer,
  kind: "hello" | "proof",
): Promise<Uint8Array> {
  for (;;) {
    const frame = buffer.next();
    if (frame !== undefined) {
      if (frame.header.kind !== kind) {
        throw new MirrorFrameError(`${frame.header.kind} instead of ${kind}`);
      }
      return frame.body.slice();
    }
    const room = buffer.room();
    if (buffer.queuedBytes > GREETING_BYTES_MAX) {
      throw new MirrorFrameError("a greeting that is too long");
    }
    const count = await conn.read(room.subarray(0, GREETING_BYTES_MAX));
    if (count === null) throw new Error("The peer closed the connection");
    buffer.filled(count);
  }
}

function writer(conn: Deno.Conn): (bytes: Uint8Array) => Promise<void> {
  return async (bytes) => {
    for (let done = 0; done < bytes.length;) {
      done += await conn.write(bytes.subarray(done));
    }
  };
}

function numberBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch { /* it was closed by the other side of this module */ }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
