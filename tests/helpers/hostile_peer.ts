/**
 * A peer that says whatever a test wants, over the real frames.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import { decodeHeader, FRAME_HEADER_BYTES } from "@kedge/schema/wire/frame";
import {
  encodeFrame,
  type Frame,
  type FrameToSend,
} from "@kedge/schema/wire/frame";
import { prove } from "@kedge/schema/wire/handshake";
import {
  Challenge,
  decodeText,
  encodeText,
  type Hello,
} from "@kedge/schema/wire/sync";
import type { ByteChannel } from "../../node-agent/ports.ts";
import { TEST_SECRET } from "./replica_group.ts";

/** What the hostile peer claims to be. */
export interface HostileClaims {
  readonly node: NodeId;
  readonly to: NodeId;
  readonly store: string;
  readonly secret?: string;
  readonly purpose?: Hello["purpose"];
  readonly group?: string;
}

/** See the module comment. */
export class HostilePeer {
  readonly channel: ByteChannel;
  #held = new Uint8Array(0);
  #isClosed = false;

  /** A peer on a connection that it has dialled. */
  constructor(channel: ByteChannel) {
    this.channel = channel;
  }

  /** Send bytes as they are; a closed connection is no failure. */
  async raw(bytes: Uint8Array): Promise<void> {
    try {
      await this.channel.write(bytes);
    } catch {
      this.#isClosed = true;
    }
  }

  /** Send a frame. */
  async frame(frame: FrameToSend): Promise<void> {
    for (const piece of encodeFrame(frame)) await this.raw(piece);
  }

  /** Read a frame; `undefined` once the node has hung up. */
  async read(): Promise<Frame | undefined> {
    const head = await this.#take(FRAME_HEADER_BYTES);
    if (head === undefined) return undefined;
    const decoded = decodeHeader(head);
    if (!decoded.ok) throw new Error(`our own frame is bad: ${decoded.fault}`);
    const body = await this.#take(decoded.header.bodyLength);
    if (body === undefined) return undefined;
    return { ...decoded.header, body };
  }

  /** Read until a frame of this kind comes. */
  async until(kind: Frame["kind"]): Promise<Frame | undefined> {
    for (;;) {
      const frame = await this.read();
      if (frame === undefined || frame.kind === kind) return frame;
    }
  }

  /** Wait until the node hangs up; fails if it never does. */
  async hungUp(): Promise<void> {
    while (await this.read() !== undefined);
  }

  /** A hello with these claims. */
  static hello(claims: HostileClaims): Hello {
    return {
      version: 1,
      node: claims.node,
      to: claims.to,
      group: claims.group ?? "group1",
      store: claims.store,
      boot: crypto.randomUUID(),
      purpose: claims.purpose ?? "control",
      nonce: "n".repeat(43),
    };
  }

  /** Greet as a member that knows the secret; returns the proof that was sent. */
  async greet(claims: HostileClaims): Promise<string> {
    const hello = HostilePeer.hello(claims);
    await this.frame({ kind: "hello", epoch: 0, parts: [encodeText(hello)] });
    const answer = await this.read();
    if (answer?.kind !== "challenge") return "";
    const decoded = decodeText(Challenge, answer.body);
    if (!decoded.ok) throw new Error(decoded.fault);
    const { mac: _, ...challenge } = decoded.value;
    const secret = claims.secret ?? TEST_SECRET;
    const mac = prove(secret, "dialer", { hello, challenge });
    await this.frame({ kind: "proof", epoch: 0, parts: [encodeText({ mac })] });
    return mac;
  }

  async #take(count: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const buffer = new Uint8Array(65536);
    while (this.#held.length < count) {
      if (this.#isClosed) return undefined;
      let read: number | null;
      try {
        read = await this.channel.read(buffer);
      } catch {
        read = null;
      }
      if (read === null) return undefined;
      const more = new Uint8Array(this.#held.length + read);
      more.set(this.#held);
      more.set(buffer.subarray(0, read), this.#held.length);
      this.#held = more;
    }
    const taken = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    return taken;
  }
}
