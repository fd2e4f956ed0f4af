/**
 * Loads of fio's nbd engine against an export, with the CPU time of the
 * processes that serve it.
 *
 * Client and servers share the cores, so operations per second are a lower
 * bound; compare only figures of the same run, and medians of several rounds.
 *
 * @module
 */

import { run } from "../helpers/child.ts";
import { cpuUsOf } from "../helpers/proc.ts";
import { median } from "./report.ts";

/** A server under measurement. */
export interface NbdSubject {
  readonly name: string;
  /** Where fio connects. */
  readonly uri: string;
  /** Every process that serves it: their CPU time counts. */
  readonly pids: readonly number[];
}

/** What fio does. */
export interface NbdLoad {
  readonly name: string;
  readonly rw: "randread" | "randwrite" | "read" | "write";
  readonly blockBytes: number;
  readonly depth: number;
  /** FLUSH after so many writes; 0 is never. */
  readonly flushEvery: number;
}

/** What came out. */
export interface NbdFigures {
  readonly iops: number;
  readonly mbPerS: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU time of the servers per operation, in microseconds. */
  readonly cpuUsPerOperation: number;
}

/** Figures of one load against one server. */
export interface NbdRow {
  readonly subject: string;
  readonly load: NbdLoad;
  /** Medians over the rounds. */
  readonly figures: NbdFigures;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** The loads of the issue: small random ones, large sequential ones, flushes. */
export const NBD_LOADS: readonly NbdLoad[] = [
  ...[1, 16, 64].map((depth) => load("randread", 4 * KIB, depth)),
  ...[1, 16, 64].map((depth) => load("randwrite", 4 * KIB, depth)),
  ...[1, 16].map((depth) => load("randwrite", 4 * KIB, depth, 1)),
  load("read", MIB, 8),
  load("write", MIB, 8),
];

function load(
  rw: NbdLoad["rw"],
  blockBytes: number,
  depth: number,
  flushEvery = 0,
): NbdLoad {
  const size = blockBytes >= MIB
    ? `${blockBytes / MIB} MiB`
    : `${blockBytes / KIB} KiB`;
  const flush = flushEvery > 0 ? " + FLUSH" : "";
  const name = `${size} ${rw}${flush}, depth ${depth}`;
  return { name, rw, blockBytes, depth, flushEvery };
}

/**
 * Run one load.
 *
 * @param durationMs How long, in milliseconds.
 * @throws {Error} When fio reports an error.
 */
export async function measureNbd(
  subject: NbdSubject,
  load: NbdLoad,
  durationMs: number,
): Promise<NbdFigures> {
  const cpuUs = cpuUsOf(subject.pids);
  const { code, stdout, stderr } = await run([
    "fio",
    ...["--name=bench", "--ioengine=nbd", `--uri=${subject.uri}`],
    ...[`--rw=${load.rw}`, `--bs=${load.blockBytes}`],
    ...[`--iodepth=${load.depth}`, `--fsync=${load.flushEvery}`],
    ...["--time_based", `--runtime=${durationMs}ms`],
    ...["--norandommap", "--randrepeat=0", "--output-format=json"],
  ], { cwd: "/" });
  const usedUs = cpuUsOf(subject.pids) - cpuUs;
  if (code !== 0) throw new Error(`fio failed on ${subject.name}: ${stderr}`);
  const side = sideOf(stdout, load);
  const percentile = side.clat_ns.percentile ?? {};
  return {
    iops: side.iops,
    mbPerS: side.bw_bytes / 1e6,
    p50Us: (percentile["50.000000"] ?? NaN) / 1000,
    p99Us: (percentile["99.000000"] ?? NaN) / 1000,
    cpuUsPerOperation: usedUs / Math.max(1, side.total_ios),
  };
}

/** One run differs from the next by a tenth and more: targets get more of them. */
const TARGET_ROUNDS = 5;

/** Whether a target is about this load: `mirror_targets.ts`, `nbd_local.ts`. */
function hasTarget({ blockBytes, depth, rw, flushEvery }: NbdLoad): boolean {
  if (blockBytes !== 4 * KIB) return false;
  return depth === 16 ? flushEvery === 0 : depth === 1 && rw === "randwrite";
}

/** Before anything counts: a program compiles what it runs often. */
const WARM_UP_MS = 300;

/**
 * Run loads against several servers, in turns, so that all see the same noise.
 * Each has run for a moment before.
 *
 * @returns A row per load and server: medians over the rounds.
 */
export async function measureAll(
  subjects: readonly NbdSubject[],
  loads: readonly NbdLoad[],
  plan: { readonly rounds: number; readonly durationMs: number },
): Promise<NbdRow[]> {
  const rows: NbdRow[] = [];
  for (const rw of ["randread", "randwrite"] as const) {
    for (const subject of subjects) {
      await measureNbd(subject, load(rw, 4 * KIB, 16), WARM_UP_MS);
    }
  }
  for (const load of loads) {
    const found = new Map<string, NbdFigures[]>();
    const rounds = plan.rounds * (hasTarget(load) ? TARGET_ROUNDS : 1);
    for (let round = 0; round < rounds; round++) {
      // Nobody is always the one behind the busiest neighbour.
      const first = round % subjects.length;
      const turns = [...subjects.slice(first), ...subjects.slice(0, first)];
      for (const subject of turns) {
        const figures = await measureNbd(subject, load, plan.durationMs);
        const known = found.get(subject.name) ?? [];
        found.set(subject.name, [...known, figures]);
      }
    }
    for (const [subject, all] of found) {
      rows.push({ subject, load, figures: medians(all) });
    }
  }
  return rows;
}

/** The middle of each figure by itself. */
export function medians(all: readonly NbdFigures[]): NbdFigures {
  const of = (pick: (figures: NbdFigures) => number) => median(all.map(pick));
  return {
    iops: of((each) => each.iops),
    mbPerS: of((each) => each.mbPerS),
    p50Us: of((each) => each.p50Us),
    p99Us: of((each) => each.p99Us),
    cpuUsPerOperation: of((each) => each.cpuUsPerOperation),
  };
}

interface Side {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly total_ios: number;
  readonly clat_ns: { readonly percentile?: Record<string, number> };
}

function sideOf(output: string, load: NbdLoad): Side {
  // fio says "connected to NBD server" before the JSON.
  const report = JSON.parse(output.slice(output.indexOf("{"))) as {
    readonly jobs: readonly { readonly read: Side; readonly write: Side }[];
  };
  const [job] = report.jobs;
  if (job === undefined) throw new Error(`fio reported no job: ${output}`);
  return load.rw.endsWith("read") ? job.read : job.write;
}
