/**
 * Full resyncs between two daemons: how fast, and what the application feels.
 *
 * @module
 */

import { run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { cpuUsOf } from "../helpers/proc.ts";
import { Scope } from "../helpers/scope.ts";
import type { MachineLimits, Yardsticks } from "./mirror_limits.ts";
import { connect, type MirrorPair, startPair } from "./mirror_pair.ts";
import { StateWatch } from "./mirror_watch.ts";

/** One resync of a whole disk. */
export interface ResyncFigures {
  readonly bytesPerS: number;
  /** CPU time of both daemons per MiB, in microseconds. */
  readonly cpuUsPerMib: number;
}

/** A resync, and what the machine could do right before and right after it. */
export interface ResyncRound extends ResyncFigures {
  readonly limits: MachineLimits;
}

/** Where and how much. */
interface ResyncPlace {
  readonly dir: string;
  readonly imageBytes: number;
}

/**
 * Measure resyncs of one pair, in turns with the limits of the machine.
 *
 * @returns The first one, in which the programs are compiled, and the others.
 */
export async function measureResyncs(
  place: ResyncPlace,
  rounds: number,
  yardsticks: Yardsticks,
): Promise<{ first: ResyncFigures; rounds: ResyncRound[] }> {
  await using scope = new Scope();
  const pair = await startPair(scope, {
    protocol: "C",
    ...place,
    isAlone: true,
  });
  const first = await measureOne(pair, () => connect(pair.a, pair.b));
  const found: ResyncRound[] = [];
  let before = await yardsticks.measure();
  while (found.length < rounds) {
    const figures = await measureOne(
      pair,
      () => pair.b.must({ kind: "invalidate" }),
    );
    const after = await yardsticks.measure();
    found.push({ ...figures, limits: between(before, after) });
    before = after;
  }
  return { first, rounds: found };
}

/**
 * Measure a resync beside an application that writes 4 KiB at a time, from
 * before its begin to behind its end.
 */
export async function measureLoadedResync(
  place: ResyncPlace,
): Promise<ResyncFigures & { readonly latestReplyMs: number }> {
  await using scope = new Scope();
  const pair = await startPair(scope, {
    protocol: "C",
    ...place,
    isAlone: true,
  });
  const idle = (await pair.a.volume()).counters.writtenBytes;
  const load = application(pair.uri);
  await eventually(
    async () => (await pair.a.volume()).counters.writtenBytes > idle,
    { what: "the application's first write" },
  );
  const figures = await measureOne(pair, () => connect(pair.a, pair.b));
  return { ...figures, latestReplyMs: await load };
}

function between(a: MachineLimits, b: MachineLimits): MachineLimits {
  const of = (name: keyof MachineLimits) => (a[name] + b[name]) / 2;
  return {
    tcpBytesPerS: of("tcpBytesPerS"),
    diskBytesPerS: of("diskBytesPerS"),
    sharedDiskBytesPerS: of("sharedDiskBytesPerS"),
    bareCopyBytesPerS: of("bareCopyBytesPerS"),
    roundTripUs: of("roundTripUs"),
  };
}

async function measureOne(
  { a, pids }: MirrorPair,
  begin: () => Promise<void>,
): Promise<ResyncFigures> {
  const { sizeBytes } = await a.volume();
  await using states = await StateWatch.open(a);
  await begin();
  const beganMs = await states.until(({ connection }) =>
    connection === "SyncSource"
  );
  const cpuUs = cpuUsOf(pids);
  const endedMs = await states.until(({ connection, peerDisk }) =>
    connection === "Connected" && peerDisk === "UpToDate"
  );
  const usedUs = cpuUsOf(pids) - cpuUs;
  return {
    bytesPerS: sizeBytes / ((endedMs - beganMs) / 1000),
    cpuUsPerMib: usedUs / (sizeBytes / 1024 ** 2),
  };
}

/** @returns The latest reply, in ms. */
async function application(uri: string): Promise<number> {
  const { code, stdout, stderr } = await run([
    "fio",
    ...["--name=app", "--ioengine=nbd", `--uri=${uri}`, "--rw=randwrite"],
    ...["--bs=4k", "--iodepth=1", "--time_based", "--runtime=4"],
    ...["--norandommap", "--randrepeat=0", "--output-format=json"],
  ], { cwd: "/" });
  if (code !== 0) throw new Error(`fio failed during a resync: ${stderr}`);
  const report = JSON.parse(stdout.slice(stdout.indexOf("{"))) as {
    jobs: { write: { clat_ns: { max: number } } }[];
  };
  return (report.jobs[0]?.write.clat_ns.max ?? NaN) / 1e6;
}
