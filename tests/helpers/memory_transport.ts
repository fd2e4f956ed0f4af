/**
 * A network in memory, for tests: the same port as TCP, with a switch per pair
 * of addresses and buffers that fill up.
 *
 * @module
 */

import type { PeerAddress } from "@kedge/schema";
import type { ByteChannel, PeerTransport } from "../../node-agent/ports.ts";

/** Bytes that wait in one direction before a write has to wait. */
const PIPE_BYTES_MAX = 256 * 1024;

/** One direction of a connection. */
class Pipe {
  readonly #chunks: Uint8Array[] = [];
  #heldBytes = 0;
  #isClosed = false;
  #wake: (() => void)[] = [];

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      const chunk = this.#chunks[0];
      if (chunk !== undefined) return this.#give(chunk, into);
      if (this.#isClosed) return null;
      await this.#change();
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    while (!this.#isClosed && this.#heldBytes > PIPE_BYTES_MAX) {
      await this.#change();
    }
    if (this.#isClosed) throw new Error("the connection is closed");
    this.#chunks.push(bytes.slice());
    this.#heldBytes += bytes.length;
    this.#changed();
  }

  close(): void {
    this.#isClosed = true;
    this.#changed();
  }

  #give(chunk: Uint8Array, into: Uint8Array): number {
    const count = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    this.#heldBytes -= count;
    this.#changed();
    return count;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** Several agents in one process. */
export class MemoryNetwork {
  readonly #doors = new Map<number, (channel: ByteChannel) => void>();
  readonly #open = new Set<ByteChannel>();
  #nextPort = 1;
  #isCut = false;

  /** Every connection ends and none can be made, or all is well again. */
  cut(isCut: boolean): void {
    this.#isCut = isCut;
    if (!isCut) return;
    for (const channel of this.#open) channel.close();
    this.#open.clear();
  }

  /** The network as one agent sees it. */
  transport(): PeerTransport {
    return {
      connect: (address) => this.#connect(address),
      listen: (address, onChannel) => {
        const port = address.port || this.#nextPort++;
        this.#doors.set(port, onChannel);
        return {
          address: { hostname: address.hostname, port },
          close: () => void this.#doors.delete(port),
        };
      },
    };
  }

  #connect(address: PeerAddress): Promise<ByteChannel> {
    const door = this.#doors.get(address.port);
    if (door === undefined || this.#isCut) {
      return Promise.reject(new Error("nobody answers"));
    }
    const [there, back] = [new Pipe(), new Pipe()];
    const near = channelOf(back, there, `memory:${address.port}`);
    const far = channelOf(there, back, "memory:dialer");
    this.#open.add(near).add(far);
    queueMicrotask(() => door(far));
    return Promise.resolve(near);
  }
}

function channelOf(inward: Pipe, outward: Pipe, remote: string): ByteChannel {
  return {
    remote,
    read: (into) => inward.read(into),
    write: (bytes) => outward.write(bytes),
    close() {
      inward.close();
      outward.close();
    },
  };
}
