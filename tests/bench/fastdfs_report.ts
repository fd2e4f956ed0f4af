/**
 * The page of `bench:fastdfs`: both systems side by side, and the targets.
 *
 * @module
 */

import type { SubjectFound } from "./fastdfs_bench.ts";
import { machine, round, type Row, table } from "./report.ts";

/** Written by hand: what is known about the targets that are missed. */
const REASONS = new URL("./fastdfs_reasons.md", import.meta.url);

const CPU_RATIO_MAX = 1.5;
const SPEED_RATIO_MIN = 0.8;
/** The wall-clock target holds from here on. */
const SPEED_FROM_CONNECTIONS = 8;

/** The page, in Markdown. */
export async function fastdfsPage(
  found: readonly SubjectFound[],
  how: { readonly mode: string; readonly files: string },
): Promise<string> {
  const theirs = found.find(({ name }) => name === "FastDFS");
  const ours = found.filter((one) => one !== theirs);
  return [
    "# Bench of the FastDFS gateway",
    "",
    "Written by `deno task bench:fastdfs`; not edited by hand. One client program",
    "(each operation asks the tracker side, then a storage side, on connections",
    "that stay open) against each system in turn: one tracker, one group of two",
    "storages. FastDFS and level A answer before the second copy, level B (the",
    "default) with it. Client and servers share the cores; CPU counts the servers.",
    "",
    ...(await machine()).map((line) => `- ${line}`),
    `- ${how.files}`,
    `- mode: ${how.mode}`,
    ...theirs === undefined
      ? ["- not measured: FastDFS (FASTDFS_PREFIX is not set)"]
      : [],
    "",
    "## Targets",
    "",
    table(
      ["target", "wanted", "measured", ""],
      [
        ...ours.flatMap((one) => targets(one, theirs)),
        ...found.flatMap((one) => one.kill ? [killed(one)] : []),
      ],
    ),
    "",
    "## Reading the figures",
    "",
    (await Deno.readTextFile(REASONS)).trimEnd(),
    "",
    "## Operations",
    "",
    "In brackets: against FastDFS.",
    "",
    operations(ours, theirs),
    "",
  ].join("\n");
}

function operations(
  ours: readonly SubjectFound[],
  theirs: SubjectFound | undefined,
): string {
  const all = [...theirs ? [theirs] : [], ...ours];
  const heads = ["ops/s", "CPU µs", "p99 ms"].flatMap((what) =>
    all.map(({ name }) => `${what} ${name}`)
  );
  const figures = (
    row: Row,
    of: (figures: Row["figures"]) => number,
  ): string[] => {
    const base = twin(row, theirs);
    return all.map((one) => {
      const own = twin(row, one);
      if (own === undefined) return "–";
      const value = of(own.figures);
      if (base === undefined || own === base) return round(value);
      return `${round(value)} (${round(value / of(base.figures))} ×)`;
    });
  };
  return table(
    ["operation", "size", "conn.", ...heads, "failed"],
    (ours[0]?.rows ?? []).map((row) => [
      ...[row.what, row.size, String(row.concurrency)],
      ...figures(row, (f) => f.perS),
      ...figures(row, (f) => f.cpuUsPerOperation),
      ...figures(row, (f) => f.p99Ms),
      all.map((one) => twin(row, one)?.figures.failures ?? "–").join(", "),
    ]),
  );
}

function twin(row: Row, other: SubjectFound | undefined): Row | undefined {
  return other?.rows.find(({ what, size, concurrency }) =>
    what === row.what && size === row.size && concurrency === row.concurrency
  );
}

function targets(
  ours: SubjectFound,
  theirs: SubjectFound | undefined,
): string[][] {
  const pairs = ours.rows.flatMap((row) => {
    const other = twin(row, theirs);
    return other === undefined ? [] : [{ row, other }];
  });
  const cpu = (what: string) =>
    judged(
      `${ours.name}: server CPU per ${what}; worst, median row`,
      `≤ ${CPU_RATIO_MAX} ×`,
      pairs.filter(({ row }) => row.what === what).map(({ row, other }) =>
        row.figures.cpuUsPerOperation / other.figures.cpuUsPerOperation
      ).sort((a, b) => b - a),
      (worst) => worst <= CPU_RATIO_MAX,
    );
  const speed = (what: string) =>
    judged(
      `${ours.name}: ${what}s/s from ${SPEED_FROM_CONNECTIONS} connections; worst, median row`,
      `≥ ${SPEED_RATIO_MIN} ×`,
      pairs.filter(({ row }) =>
        row.what === what && row.concurrency >= SPEED_FROM_CONNECTIONS
      ).map(({ row, other }) => row.figures.perS / other.figures.perS)
        .sort((a, b) => a - b),
      (worst) => worst >= SPEED_RATIO_MIN,
    );
  return [cpu("upload"), cpu("download"), speed("upload"), speed("download")];
}

function judged(
  what: string,
  wanted: string,
  worstFirst: readonly number[],
  isMet: (worst: number) => boolean,
): string[] {
  const worst = worstFirst[0];
  if (worst === undefined) return [what, wanted, "–", "–"];
  const median = worstFirst[Math.floor(worstFirst.length / 2)] ?? worst;
  const measured = `${round(worst)} ×, ${round(median)} ×`;
  return [what, wanted, measured, isMet(worst) ? "met" : "**missed**"];
}

function killed({ name, kill }: SubjectFound): string[] {
  const { acknowledged = 0, refused = 0, lost = 0 } = kill ?? {};
  return [
    `${name}: acknowledged files lost by \`kill -9\` under load`,
    "0",
    `${lost} of ${acknowledged} (${refused} uploads refused)`,
    lost === 0 ? "met" : "**missed**",
  ];
}
