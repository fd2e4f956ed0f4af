/**
 * The page of `bench:fastdfs`: the systems side by side, and the targets.
 *
 * @module
 */

import {
  killTarget,
  medianRows,
  ratio,
  type SubjectFound,
  targetsOf,
  twins,
} from "./fastdfs_found.ts";
import type { Plan } from "./fastdfs_plan.ts";
import { machine, median, round, type Row, table } from "./report.ts";

/** Written by hand: what is known about the targets that are missed. */
const REASONS = new URL("./fastdfs_reasons.md", import.meta.url);

/** A system with one row per operation. */
interface Side {
  readonly name: string;
  readonly rows: readonly Row[];
}

/** The page, in Markdown. */
export async function fastdfsPage(
  found: readonly SubjectFound[],
  how: { readonly plan: Plan; readonly files: string },
): Promise<string> {
  const { plan, files } = how;
  return [
    "# Bench of the FastDFS gateway",
    "",
    "Written by `deno task bench:fastdfs`; not edited by hand.",
    "",
    ...methodOf(plan),
    "",
    ...(await machine()).map((line) => `- ${line}`),
    `- ${files}`,
    `- mode: ${plan.mode}`,
    ...found.map(({ name, idleUsPerS }) =>
      `- ${name}, idle: ${
        round(median(idleUsPerS) / 1000)
      } ms of CPU per second`
    ),
    ...plan.systems.includes("FastDFS")
      ? []
      : ["- not measured: FastDFS (FASTDFS_PREFIX is not set)"],
    "",
    "## Targets",
    "",
    targets(found),
    "",
    "## Reading the figures",
    "",
    (await Deno.readTextFile(REASONS)).trimEnd(),
    "",
    "## Operations",
    "",
    operations(found),
    "",
  ].join("\n");
}

/** The figures alone, for people at a terminal. */
export function fastdfsFigures(found: readonly SubjectFound[]): string {
  return ["", targets(found), "", operations(found), ""].join("\n");
}

function methodOf({ rounds, durationMs }: Plan): string[] {
  return [
    "One client program (each operation asks the tracker side, then a storage",
    "side, on connections that stay open) against one tracker and one group of two",
    "storages. FastDFS and level A answer before the second copy, level B (the",
    "default) with it. Client and servers share the cores.",
    "",
    "- **Alone.** One system runs at a time, on a new file system: it is started,",
    "  warmed up with all sizes, measured and stopped, then the next one is;",
    `  ${rounds} rounds, each second one in reverse. Figures are medians of rounds.`,
    `- **Operations per second** and p99 are of a load of ${
      round(durationMs / 1000)
    } s.`,
    "- **CPU** is what the servers' processes use from the start of the load until",
    "  they are quiet again (for 1.2 s after uploads, 0.5 s after downloads, at most",
    "  5 s after the load in all), less what they use when idle for the time after",
    "  the load. So a row pays for copies, flushes and files that its uploads left",
    "  to be done later, and not for those of the row before. The share of it that",
    "  came after the load is under _later_. What comes more than 5 s after a load is",
    "  not in its row (`--late` says how much that is; the largest files are measured",
    "  first, so that the rows after many uploads are as few as possible), and what",
    "  the kernel's threads write back afterwards is in none.",
  ];
}

function sidesOf(found: readonly SubjectFound[]): Side[] {
  return found.map(({ name, rows }) => ({ name, rows: medianRows(rows) }));
}

function targets(found: readonly SubjectFound[]): string {
  const sides = sidesOf(found);
  const theirs = sides.find(({ name }) => name === "FastDFS")?.rows ?? [];
  const all = [
    ...sides.filter(({ name }) => name !== "FastDFS")
      .flatMap(({ name, rows }) => targetsOf(name, rows, theirs)),
    ...found.flatMap(({ name, kill }) => kill ? [killTarget(name, kill)] : []),
  ];
  return table(
    ["target", "wanted", "measured", ""],
    all.map(({ what, wanted, measured, isMet }) => [
      ...[what, wanted, measured],
      isMet === undefined ? "–" : isMet ? "met" : "**missed**",
    ]),
  );
}

function operations(found: readonly SubjectFound[]): string {
  const sides = sidesOf(found);
  const theirs = sides.find(({ name }) => name === "FastDFS");
  const columns: [string, (row: Row, base: Row | undefined) => string][] = [
    ["ops/s", (row, base) => beside(row, base, (f) => f.perS)],
    ["CPU µs", (row, base) => beside(row, base, (f) => f.cpuUsPerOperation)],
    ["p99 ms", (row, base) => beside(row, base, (f) => f.p99Ms)],
    ["later", (row) => laterWords(row.figures)],
  ];
  const heads = columns.flatMap(([what]) =>
    sides.map(({ name }) => `${what} ${name}`)
  );
  const lines = (sides[0]?.rows ?? []).map((row) => {
    const base = twins(row, theirs?.rows ?? [])[0];
    const own = sides.map((side) => twins(row, side.rows)[0]);
    return [
      ...[row.what, row.size, String(row.concurrency)],
      ...columns.flatMap(([, cell]) =>
        own.map((mine) => mine === undefined ? "–" : cell(mine, base))
      ),
      own.map((mine) => mine?.figures.failures ?? "–").join(", "),
    ];
  });
  return [
    "In brackets: against FastDFS. With an asterisk: still busy after 5 s.",
    "",
    table(["operation", "size", "conn.", ...heads, "failed"], lines),
  ].join("\n");
}

function beside(
  row: Row,
  base: Row | undefined,
  of: (figures: Row["figures"]) => number,
): string {
  const value = of(row.figures);
  if (base === undefined || base === row) return round(value);
  return `${round(value)} (${ratio(value / of(base.figures))})`;
}

function laterWords(figures: Row["figures"]): string {
  const { laterUsPerOperation = 0, cpuUsPerOperation, isSettled } = figures;
  const share = Math.round(100 * laterUsPerOperation / cpuUsPerOperation);
  return `${share} %${isSettled === false ? "*" : ""}`;
}
