/**
 * What the machine itself can do at this hour: the yardsticks of a resync and
 * of a synchronous write.
 *
 * @module
 */

import { Child, run } from "../helpers/child.ts";
import type { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";
import { writtenFile } from "./images.ts";
import {
  ANSWER_BYTES,
  BLOCK_BYTES,
  FRAME_BYTES,
  PeerTask,
} from "./mirror_limits_peer.ts";

/** A resync sends four blocks at a time. */
const BATCH_BYTES = 4 * BLOCK_BYTES;
const ROUND_TRIPS = 5_000;

/** Limits of the machine. Speeds are in bytes per second. */
export interface MachineLimits {
  /** One TCP stream over loopback, both ends Deno. */
  readonly tcpBytesPerS: number;
  /** 128 KiB writes over a file, then fdatasync. */
  readonly diskBytesPerS: number;
  /** The same while another process reads another image once: the slower one. */
  readonly sharedDiskBytesPerS: number;
  /** Read, TCP, write and flush, and nothing else: what a resync cannot beat. */
  readonly bareCopyBytesPerS: number;
  /** A frame of 4 KiB there, a small one back, in microseconds, p50. */
  readonly roundTripUs: number;
}

/** Measures them, with the same two images and the same peer each time. */
export class Yardsticks {
  private constructor(
    readonly image: string,
    readonly port: number,
    readonly sizeBytes: number,
  ) {}

  /** Make the images and start the peer; they go with the scope. */
  static async open(
    scope: Scope,
    dir: string,
    sizeBytes: number,
  ): Promise<Yardsticks> {
    const image = await writtenFile(scope, dir, sizeBytes);
    const other = await writtenFile(scope, dir, sizeBytes);
    const peer = `${ROOT}tests/bench/mirror_limits_peer.ts`;
    const child = Child.start(scope, {
      command: [Deno.execPath(), "run", "-A", "--quiet", peer, other],
    });
    const { port } = JSON.parse(await child.line(/"port"/)) as { port: number };
    const made = new Yardsticks(image, port, sizeBytes);
    await made.measure(); // the programs are compiled
    return made;
  }

  /** Measure all of them, one after the other. */
  async measure(): Promise<MachineLimits> {
    return {
      tcpBytesPerS: await this.#speed(() => this.#stream()),
      diskBytesPerS: await this.#speed(() => this.#write()),
      sharedDiskBytesPerS: await this.#speed(() => this.#share()),
      bareCopyBytesPerS: await this.#speed(() => this.#copy()),
      roundTripUs: await this.#pingPong(),
    };
  }

  async #speed(act: () => Promise<void>): Promise<number> {
    const beganMs = performance.now();
    await act();
    return this.sizeBytes / ((performance.now() - beganMs) / 1000);
  }

  async #connect(task: number): Promise<Deno.TcpConn> {
    const { port } = this;
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    await conn.write(Uint8Array.of(task));
    return conn;
  }

  async #stream(): Promise<void> {
    using conn = await this.#connect(PeerTask.drop);
    const batch = noise(BATCH_BYTES);
    for (let left = this.sizeBytes; left > 0;) {
      left -= await conn.write(batch);
    }
    await ended(conn);
  }

  async #write(): Promise<void> {
    using file = await Deno.open(this.image, { write: true });
    const block = noise(BLOCK_BYTES);
    for (let left = this.sizeBytes; left > 0;) {
      left -= file.writeSync(block.subarray(0, left));
    }
    file.syncDataSync();
  }

  async #share(): Promise<void> {
    using conn = await this.#connect(PeerTask.read);
    await this.#write();
    await ended(conn);
  }

  async #copy(): Promise<void> {
    using conn = await this.#connect(PeerTask.write);
    using file = await Deno.open(this.image);
    const batch = new Uint8Array(BATCH_BYTES);
    for (let left = this.sizeBytes; left > 0;) {
      let have = 0;
      for (; have < batch.length; have += BLOCK_BYTES) {
        file.readSync(batch.subarray(have, have + BLOCK_BYTES));
      }
      for (let at = 0; at < have;) at += await conn.write(batch.subarray(at));
      left -= have;
    }
    await ended(conn);
  }

  async #pingPong(): Promise<number> {
    using conn = await this.#connect(PeerTask.answer);
    const frame = new Uint8Array(FRAME_BYTES);
    const times: number[] = [];
    for (let count = 0; count < ROUND_TRIPS; count++) {
      const beganMs = performance.now();
      await conn.write(frame);
      for (let got = 0; got < ANSWER_BYTES;) {
        got += await conn.read(frame) ?? ANSWER_BYTES;
      }
      times.push(performance.now() - beganMs);
    }
    times.sort((a, b) => a - b);
    return (times[times.length >> 1] ?? NaN) * 1000;
  }
}

/** Nothing more is sent; the peer closes when it is done with what it got. */
async function ended(conn: Deno.TcpConn): Promise<void> {
  await conn.closeWrite();
  await conn.read(new Uint8Array(1));
}

function noise(lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  for (let at = 0; at < lengthBytes; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

/** A folder in memory, if the machine has one. */
export async function memoryDir(): Promise<string> {
  return await Deno.stat("/dev/shm").then(() => "/dev/shm", () => "/tmp");
}

/** A folder on the disk, which goes with the scope. */
export async function diskDir(scope: Scope): Promise<string> {
  const dir = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "kedge-" });
  scope.defer(() => Deno.remove(dir, { recursive: true }));
  return dir;
}

/** Name of the file system of a folder, for the report. */
export async function fileSystemOf(dir: string): Promise<string> {
  const { stdout } = await run(["stat", "-f", "-c", "%T", dir]);
  return stdout.trim();
}
