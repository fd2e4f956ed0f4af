/**
 * What `bench:fastdfs` measures, in which order and for how long.
 *
 * @module
 */

import { parseArgs } from "node:util";

/** A system that FastDFS's clients can talk to. */
export type SystemName = "FastDFS" | "Kedge A" | "Kedge B";

/** What is measured. */
export interface Plan {
  readonly mode: "full" | "quick" | "part";
  readonly systems: readonly SystemName[];
  /**
   * Sizes of files, in kB of 1000 bytes. The largest first: what a server does
   * half a minute after an upload is in no row, as far as it comes after the
   * many uploads of the smallest.
   */
  readonly sizesKb: readonly number[];
  /** Numbers of connections. */
  readonly connections: readonly number[];
  /** How often each system is started and measured. */
  readonly rounds: number;
  /** Of each row, without what comes after the load, in milliseconds. */
  readonly durationMs: number;
  /** Of uploads and of downloads of each size, in milliseconds. */
  readonly warmUpMs: number;
  /** How long an idle system is watched, in milliseconds. */
  readonly idleMs: number;
  /** Of the uploads during which a storage is killed; 0: none. */
  readonly killMs: number;
  /** How long to watch what comes after all rows, in milliseconds. */
  readonly lateMs: number;
}

/** One start of one system. */
export interface Turn {
  /** From 1. */
  readonly round: number;
  readonly system: SystemName;
  readonly isLastRound: boolean;
}

/** One line of the table. */
export interface RowPlan {
  readonly what: "upload" | "download";
  readonly sizeKb: number;
  readonly connections: number;
}

const SIZES_KB = [1000, 200, 50, 5];
const CONNECTIONS = [1, 8, 32, 64];
/** Everything that servers do after an upload is done by then. */
const LATE_MS = 50_000;
const FULL: Plan = {
  mode: "full",
  systems: ["FastDFS", "Kedge A", "Kedge B"],
  ...{ sizesKb: SIZES_KB, connections: CONNECTIONS, rounds: 2 },
  ...{ durationMs: 1000, warmUpMs: 1000, idleMs: 4000, killMs: 6000 },
  lateMs: 0,
};
const QUICK: Plan = {
  ...FULL,
  mode: "quick",
  ...{ sizesKb: [200, 5], connections: [8], rounds: 1 },
  ...{ warmUpMs: 700, idleMs: 3000, killMs: 0 },
};

/** What `--help` says. */
export const USAGE =
  `Measures the FastDFS gateway against FastDFS (FASTDFS_PREFIX: where it is
installed), one system after the other, each on a new file system.

  deno task bench:fastdfs            everything, about 10 minutes; writes the page
  deno task bench:fastdfs --quick    5 and 200 kB, 8 connections, once: a minute
  deno task bench:fastdfs --level A --size 5 --conn 8
                                     a part, in turn with FastDFS, printed only

  --level A|B               this level only
  --size 5|50|200|1000      files of so many kB only; may be repeated
  --conn 1|8|32|64          so many connections only; may be repeated
  --late                    then 50 s of nothing, and what an upload costs in them
  --rounds N                each system is started and measured N times (${FULL.rounds})
`;

/**
 * Read the arguments.
 *
 * @throws {TypeError} With what is wrong and how it is right.
 */
export function planOf(args: readonly string[]): Plan | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      level: { type: "string" },
      size: { type: "string", multiple: true },
      conn: { type: "string", multiple: true },
      rounds: { type: "string" },
      late: { type: "boolean" },
    },
  });
  if (values.help) return "help";
  const { level, size, conn, rounds, late } = values;
  const base = values.quick ? QUICK : FULL;
  const isPart = [level, size, conn, rounds, late].some((v) => v !== undefined);
  if (!isPart) return base;
  return {
    ...base,
    mode: "part",
    killMs: 0,
    lateMs: late === true ? LATE_MS : 0,
    systems: level === undefined ? base.systems : ["FastDFS", systemOf(level)],
    sizesKb: size?.map((s) => oneOf("--size", s, SIZES_KB)) ?? base.sizesKb,
    connections: conn?.map((c) => oneOf("--conn", c, CONNECTIONS)) ??
      base.connections,
    rounds: rounds === undefined
      ? base.rounds
      : oneOf("--rounds", rounds, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
  };
}

function systemOf(level: string): SystemName {
  if (level !== "A" && level !== "B") {
    throw new TypeError(`--level is A or B, not "${level}"`);
  }
  return `Kedge ${level}`;
}

function oneOf(flag: string, text: string, allowed: number[]): number {
  const value = Number(text);
  if (!allowed.includes(value)) {
    throw new TypeError(
      `${flag} is one of ${allowed.join(", ")}, not "${text}"`,
    );
  }
  return value;
}

/**
 * Who is measured when. Every second round goes backwards: a machine that gets
 * slower meanwhile does so for everybody.
 */
export function turnsOf({ systems, rounds }: Plan): Turn[] {
  return Array.from({ length: rounds }, (_, i) => i + 1).flatMap((round) =>
    (round % 2 === 0 ? systems.toReversed() : systems)
      .map((system) => ({ round, system, isLastRound: round === rounds }))
  );
}

/** The rows of a turn: each download finds what was uploaded before it. */
export function rowsOf({ sizesKb, connections }: Plan): RowPlan[] {
  return sizesKb.flatMap((sizeKb) =>
    connections.flatMap((connections) =>
      (["upload", "download"] as const)
        .map((what) => ({ what, sizeKb, connections }))
    )
  );
}

/** How long what remains will take, after a part of the work, in milliseconds. */
export function leftMs(elapsedMs: number, done: number, all: number): number {
  return done === 0 ? NaN : elapsedMs * (all - done) / done;
}

/** A time for people, such as `3 min 20 s`. */
export function timeWords(ms: number): string {
  if (!Number.isFinite(ms)) return "some time";
  const s = Math.round(ms / 1000);
  return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${s % 60} s`;
}
