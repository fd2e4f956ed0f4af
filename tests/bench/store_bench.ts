/**
 * What the local store costs: processor time and latency per small append, and
 * reading speed against a bare native stream.
 *
 * ```sh
 * deno run -A tests/bench/store_bench.ts [appends]
 * ```
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { openStore } from "../../node-agent/files/store.ts";
import {
  newEntry,
  someBytes,
  storeOptions,
} from "../../node-agent/files/store_fixture.ts";

const APPENDS = Number(Deno.args[0] ?? 4000);
const READ_BYTES = 100 << 20;
/** Removed at the end: ext4 is slow to create files where many were deleted. */
const ROOT = await Deno.makeTempDir({ prefix: "kedge-bench-" });

/** One measured run. */
interface Run {
  readonly name: string;
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function appends(
  concurrency: number,
  durable: boolean,
): Promise<Run> {
  const dir = await Deno.makeTempDir({ dir: ROOT });
  const store = await openStore(storeOptions(dir));
  const bytes = someBytes(4096);
  const times: number[] = [];
  let sequence = 0;
  let left = APPENDS;
  const client = async () => {
    while (left-- > 0) {
      const startMs = performance.now();
      const body = bytes.slice();
      const staged = await store.files.stage({ body, sizeBytesMax: 1e6 });
      const id = store.files
        .newId({ staged, extension: "bin", appender: false });
      const change = {
        entry: newEntry(id, staged),
        body: { kind: "whole" },
      } as const;
      const content = { kind: "staged", staged } as const;
      await store.log
        .append({ sequence: ++sequence, change, content }, durable);
      times.push(performance.now() - startMs);
    }
  };
  const before = cpuUsage();
  const startMs = performance.now();
  await Promise.all(Array.from({ length: concurrency }, client));
  const elapsedMs = performance.now() - startMs;
  const { user, system } = cpuUsage(before);
  await store.close({ clean: true });
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.floor(times.length * part)] ?? 0;
  return {
    name: `4 KiB ${durable ? "durable" : "written"}, ${concurrency} at once`,
    cpuUs: (user + system) / APPENDS,
    perSecond: APPENDS / elapsedMs * 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

async function reading(): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: ROOT });
  const store = await openStore(storeOptions(dir));
  const body = someBytes(READ_BYTES);
  const staged = await store.files.stage({ body, sizeBytesMax: 1e9 });
  const id = store.files.newId({ staged, extension: "", appender: false });
  const entry = newEntry(id, staged);
  await store.log.append({
    sequence: 1,
    change: { entry, body: { kind: "whole" } },
    content: { kind: "staged", staged },
  }, true);
  const path = `${dir}/p0/data/${id.split("/").slice(2).join("/")}`;
  const drain = async (name: string, open: () => unknown) => {
    const startMs = performance.now();
    let total = 0;
    const content = await open();
    if (content instanceof ReadableStream) {
      for await (const part of content) total += part.length;
    }
    const seconds = (performance.now() - startMs) / 1000;
    print(`${name.padEnd(28)} ${(total / seconds / 1e6).toFixed(0)} MB/s`);
  };
  for (let round = 0; round < 3; round++) {
    await drain(
      "bare native stream",
      async () => (await Deno.open(path)).readable,
    );
    await drain(
      round === 0 ? "first read, checked" : "read again",
      () => store.files.read(entry),
    );
    await drain(
      "part of it",
      () => store.files.read(entry, { from: 5, lengthBytes: READ_BYTES - 10 }),
    );
  }
  await store.close({ clean: true });
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
}

for (const durable of [true, false]) {
  for (const concurrency of [16, 64]) {
    const run = await appends(concurrency, durable);
    print(
      `${run.name.padEnd(32)} ${run.cpuUs.toFixed(0).padStart(5)} µs CPU  ${
        run.perSecond.toFixed(0).padStart(6)
      }/s  p50 ${run.p50Ms.toFixed(2)} ms  p99 ${run.p99Ms.toFixed(2)} ms`,
    );
  }
}
await reading();
await Deno.remove(ROOT, { recursive: true });
