/**
 * What the machine itself can do at this hour: the yardsticks of a resync and
 * of a synchronous write.
 *
 * @module
 */

import { run } from "../helpers/child.ts";
import { Scope } from "../helpers/scope.ts";
import { writtenFile } from "./images.ts";

const MIB = 1024 * 1024;

/** Limits of the machine. */
export interface MachineLimits {
  /** One TCP stream over loopback, both ends Deno, in bytes per second. */
  readonly tcpBytesPerS: number;
  /** 128 KiB writes over a file, then fdatasync, in bytes per second. */
  readonly diskBytesPerS: number;
  /** A frame of 4 KiB there, a small one back, in microseconds, p50. */
  readonly roundTripUs: number;
}

/** Measure them. */
export async function measureLimits(
  dir: string,
  sizeBytes: number,
): Promise<MachineLimits> {
  await using scope = new Scope();
  const path = await writtenFile(scope, dir, sizeBytes);
  return {
    diskBytesPerS: await writeSpeed(path, sizeBytes),
    ...await tcpFigures(sizeBytes),
  };
}

async function writeSpeed(path: string, sizeBytes: number): Promise<number> {
  const beganMs = performance.now();
  using file = await Deno.open(path, { write: true });
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  const piece = new Uint8Array(131_072);
  piece.set(block);
  piece.set(block, block.length);
  for (let left = sizeBytes; left > 0;) left -= file.writeSync(piece);
  file.syncDataSync();
  return sizeBytes / ((performance.now() - beganMs) / 1000);
}

/** The other end is a process of its own, as the peer of a mirror is. */
const SINK = `
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(listener.addr.port);
const buffer = new Uint8Array(1 << 20);
for (let round = 0; round < 2; round++) {
  const conn = await listener.accept();
  conn.setNoDelay(true);
  let count = 0;
  for (;;) {
    const got = await conn.read(buffer);
    if (got === null) break;
    count += got;
    while (round === 0 && count >= 4128) {
      count -= 4128;
      await conn.write(buffer.subarray(0, 56));
    }
  }
  if (round === 1) conn.close();
}
`;

async function tcpFigures(
  sizeBytes: number,
): Promise<{ tcpBytesPerS: number; roundTripUs: number }> {
  const sink = new Deno.Command(Deno.execPath(), {
    args: ["eval", SINK],
    stdout: "piped",
  }).spawn();
  const reader = sink.stdout.getReader();
  const { value } = await reader.read();
  const port = Number(new TextDecoder().decode(value));
  const roundTripUs = await pingPong(port);
  const tcpBytesPerS = await stream(port, sizeBytes);
  await reader.cancel();
  await sink.status;
  return { tcpBytesPerS, roundTripUs };
}

async function pingPong(port: number): Promise<number> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  const frame = new Uint8Array(4128);
  const times: number[] = [];
  for (let count = 0; count < 5_000; count++) {
    const beganMs = performance.now();
    await conn.write(frame);
    for (let got = 0; got < 56;) got += await conn.read(frame) ?? 56;
    times.push(performance.now() - beganMs);
  }
  times.sort((a, b) => a - b);
  return (times[times.length >> 1] ?? NaN) * 1000;
}

async function stream(port: number, sizeBytes: number): Promise<number> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const piece = new Uint8Array(1 * MIB);
  const beganMs = performance.now();
  for (let left = sizeBytes; left > 0;) left -= await conn.write(piece);
  await conn.closeWrite();
  await conn.read(piece);
  return sizeBytes / ((performance.now() - beganMs) / 1000);
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
