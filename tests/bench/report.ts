/**
 * The page that a bench leaves behind.
 *
 * @module
 */

import { run } from "../helpers/child.ts";
import type { Figures } from "./load.ts";

/** Written by hand: what is known about the targets that are missed. */
const REASONS = new URL("./reasons.md", import.meta.url);

/** One line of the big table. */
export interface Row {
  readonly what: string;
  readonly size: string;
  readonly level: string;
  readonly concurrency: number;
  readonly figures: Figures;
}

/** One target of the issue. */
export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  /** `undefined`: it was not measured. */
  readonly isMet: boolean | undefined;
  /** Why it is missed, or how it was measured. */
  readonly note?: string;
}

/** A figure that is no load. */
export interface Fact {
  readonly what: string;
  readonly value: string;
}

/** The middle one; between the middle two of an even number. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? NaN;
  return (lower + upper) / 2;
}

/** Everything that a run found. */
export interface Report {
  readonly mode: string;
  readonly rows: readonly Row[];
  readonly facts: readonly Fact[];
  readonly targets: readonly Target[];
  readonly absent: readonly string[];
}

/** The page, in Markdown. */
export async function markdown(report: Report): Promise<string> {
  const { rows, facts, targets, absent, mode } = report;
  return [
    "# Bench of the file store",
    "",
    "Written by `deno task bench:files`; not edited by hand. Client and servers",
    "share the cores, so figures per second are lower bounds; CPU time counts the",
    "tracker and all agents, from `/proc`.",
    "",
    ...(await machine()).map((line) => `- ${line}`),
    `- mode: ${mode}`,
    ...absent.map((line) => `- not measured: ${line}`),
    "",
    "## Targets",
    "",
    table(
      ["target", "wanted", "measured", "", "note"],
      targets.map((t) => [
        t.what,
        t.wanted,
        t.measured,
        t.isMet === undefined ? "–" : t.isMet ? "met" : "**missed**",
        t.note ?? "",
      ]),
    ),
    "",
    "## Why targets are missed",
    "",
    (await Deno.readTextFile(REASONS)).trimEnd(),
    "",
    "## Other figures",
    "",
    table(["what", "value"], facts.map(({ what, value }) => [what, value])),
    "",
    "## Operations",
    "",
    table(
      [
        ...["operation", "size", "level", "conc.", "ops/s", "MB/s"],
        ...["p50 ms", "p99 ms", "CPU µs/op", "of it tracker", "ops", "failed"],
      ],
      rows.map(({ what, size, level, concurrency, figures: f }) => [
        ...[what, size, level, String(concurrency), round(f.perS)],
        ...[round(f.mbPerS), round(f.p50Ms), round(f.p99Ms)],
        ...[round(f.cpuUsPerOperation), round(f.trackerUsPerOperation)],
        ...[String(f.operations), String(f.failures)],
      ]),
    ),
    "",
  ].join("\n");
}

/** A number with three digits that count. */
export function round(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  if (value >= 100) return Math.round(value).toString();
  return value.toPrecision(3).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** A table in Markdown. */
export function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join(
    "\n",
  );
}

/** The machine, in lines for a page. */
export async function machine(): Promise<string[]> {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(
    await Deno.readTextFile("/proc/cpuinfo").catch(() => ""),
  )?.[1] ?? "unknown processor";
  const disk = (await run(["df", "--output=fstype", "/tmp"])).stdout
    .split("\n")[1] ?? "?";
  const memoryGib = Deno.systemMemoryInfo().total / 2 ** 30;
  return [
    `date: ${new Date().toISOString().slice(0, 10)}`,
    `machine: ${navigator.hardwareConcurrency} × ${cpu}, ` +
    `${memoryGib.toFixed(0)} GiB, ${disk}, Linux ${Deno.osRelease()}`,
    `Deno ${Deno.version.deno}`,
    `load average (1, 5, 15 minutes): ${
      Deno.loadavg().map((n) => n.toFixed(1)).join(", ")
    }; the bench itself makes about 2`,
  ];
}
