/**
 * A full resync between two daemons: how fast, and what the application feels.
 *
 * @module
 */

import { run } from "../helpers/child.ts";
import { cpuUsOf } from "../helpers/proc.ts";
import { Scope } from "../helpers/scope.ts";
import { connect, startPair, untilEqual, untilSyncing } from "./mirror_pair.ts";

/** What was found. */
export interface ResyncFigures {
  readonly bytesPerS: number;
  /** CPU time of both daemons per MiB, in microseconds. */
  readonly cpuUsPerMib: number;
  /** Latest reply that the application got meanwhile; undefined: no load. */
  readonly latestReplyMs: number | undefined;
}

/** Measure a resync of a whole disk. */
export async function measureResync(
  options: {
    readonly dir: string;
    readonly imageBytes: number;
    /** 4 KiB writes, one at a time, from before its begin to behind its end. */
    readonly underLoad: boolean;
  },
): Promise<ResyncFigures> {
  await using scope = new Scope();
  const { dir, imageBytes, underLoad } = options;
  const pair = await startPair(scope, {
    protocol: "C",
    dir,
    imageBytes,
    isAlone: true,
  });
  const { sizeBytes } = await pair.a.volume();
  const load = underLoad ? application(pair.uri) : undefined;
  if (underLoad) await new Promise((resolve) => setTimeout(resolve, 500));
  await connect(pair.a, pair.b);
  await untilSyncing(pair.a);
  const cpuUs = cpuUsOf(pair.pids);
  const beganMs = performance.now();
  await untilEqual(pair.a);
  const seconds = (performance.now() - beganMs) / 1000;
  const usedUs = cpuUsOf(pair.pids) - cpuUs;
  const latestReplyMs = await load;
  return {
    bytesPerS: sizeBytes / seconds,
    cpuUsPerMib: usedUs / (sizeBytes / 1024 ** 2),
    latestReplyMs,
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
