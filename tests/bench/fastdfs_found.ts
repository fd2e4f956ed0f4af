/**
 * What rounds of `bench:fastdfs` found, and how it is judged.
 *
 * @module
 */

import type { KillFigures } from "./fastdfs_kill.ts";
import type { Figures } from "./load.ts";
import { median, type Row, type Target } from "./report.ts";

/** Everything that was measured of one system. */
export interface SubjectFound {
  readonly name: string;
  /** Of all rounds; the same operation comes once per round. */
  readonly rows: Row[];
  /** µs of CPU per second when idle, of each round. */
  readonly idleUsPerS: number[];
  kill: KillFigures | undefined;
}

const CPU_RATIO_MAX = 1.5;
const SPEED_RATIO_MIN = 0.8;
/** The wall-clock target holds from here on. */
const SPEED_FROM_CONNECTIONS = 8;

/** The same operation, in rows of another system or round. */
export function twins(row: Row, rows: readonly Row[]): Row[] {
  return rows.filter(({ what, size, concurrency }) =>
    what === row.what && size === row.size && concurrency === row.concurrency
  );
}

/** One row per operation, with the medians of its rounds; smallest files first. */
export function medianRows(rows: readonly Row[]): Row[] {
  return rows.filter((row) => twins(row, rows)[0] === row)
    .toSorted((a, b) => parseFloat(a.size) - parseFloat(b.size))
    .map((row) => ({
      ...row,
      figures: medianFigures(twins(row, rows).map(({ figures }) => figures)),
    }));
}

function medianFigures(all: readonly Figures[]): Figures {
  const of = (pick: (figures: Figures) => number) => median(all.map(pick));
  const sum = (pick: (figures: Figures) => number) =>
    all.reduce((total, figures) => total + pick(figures), 0);
  return {
    operations: sum((f) => f.operations),
    failures: sum((f) => f.failures),
    firstFailure: all.find((f) => f.firstFailure !== undefined)?.firstFailure,
    perS: of((f) => f.perS),
    mbPerS: of((f) => f.mbPerS),
    p50Ms: of((f) => f.p50Ms),
    p99Ms: of((f) => f.p99Ms),
    cpuUsPerOperation: of((f) => f.cpuUsPerOperation),
    trackerUsPerOperation: of((f) => f.trackerUsPerOperation),
    laterUsPerOperation: of((f) => f.laterUsPerOperation ?? 0),
    isSettled: all.every((f) => f.isSettled !== false),
  };
}

/** The targets of one system, against FastDFS's rows. */
export function targetsOf(
  name: string,
  rows: readonly Row[],
  theirs: readonly Row[],
): Target[] {
  const ratios = (what: string, from: number, of: (row: Row) => number) =>
    rows.filter((row) => row.what === what && row.concurrency >= from)
      .flatMap((row) => twins(row, theirs).map((other) => of(row) / of(other)))
      .toSorted((a, b) => a - b);
  const cpu = (what: string) =>
    judged({
      what: `${name}: server CPU per ${what}; worst, median row`,
      wanted: `≤ ${CPU_RATIO_MAX} ×`,
      worstFirst: ratios(what, 1, (row) => row.figures.cpuUsPerOperation)
        .toReversed(),
      isMet: (worst) => worst <= CPU_RATIO_MAX,
    });
  const speed = (what: string) =>
    judged({
      what:
        `${name}: ${what}s/s from ${SPEED_FROM_CONNECTIONS} connections; worst, median row`,
      wanted: `≥ ${SPEED_RATIO_MIN} ×`,
      worstFirst: ratios(
        ...[what, SPEED_FROM_CONNECTIONS] as const,
        (row) => row.figures.perS,
      ),
      isMet: (worst) => worst >= SPEED_RATIO_MIN,
    });
  return [cpu("upload"), cpu("download"), speed("upload"), speed("download")];
}

function judged({ what, wanted, worstFirst, isMet }: {
  readonly what: string;
  readonly wanted: string;
  readonly worstFirst: readonly number[];
  readonly isMet: (worst: number) => boolean;
}): Target {
  const worst = worstFirst[0];
  if (worst === undefined) {
    return { what, wanted, measured: "–", isMet: undefined };
  }
  return {
    ...{ what, wanted, isMet: isMet(worst) },
    measured: `${ratio(worst)}, ${ratio(median(worstFirst))}`,
  };
}

/** Two digits behind the point, such as `1.36 ×`: more are noise. */
export function ratio(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(2)} ×` : "–";
}

/** No file that was acknowledged may be gone after a `kill -9`. */
export function killTarget(name: string, kill: KillFigures): Target {
  const { acknowledged, refused, lost } = kill;
  return {
    what: `${name}: acknowledged files lost by \`kill -9\` under load`,
    wanted: "0",
    measured: `${lost} of ${acknowledged} (${refused} uploads refused)`,
    isMet: lost === 0,
  };
}
