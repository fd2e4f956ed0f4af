/**
 * The page that the mirror's bench leaves behind.
 *
 * @module
 */

import type { PlaceFound } from "./bench_mirror.ts";
import { type NbdLocalReport, nbdTable } from "./nbd_local.ts";
import type { ResyncRound } from "./mirror_resync.ts";
import { machine, median, round, table, type Target } from "./report.ts";

/** Written by hand: what is known about the targets that are missed. */
const REASONS = new URL("./mirror_reasons.md", import.meta.url);

/** The page, in Markdown. */
export async function mirrorPage(
  local: NbdLocalReport,
  places: readonly PlaceFound[],
): Promise<string> {
  const targets = [local, ...places].flatMap(({ targets }) => targets);
  const absent = [local, ...places].flatMap(({ absent }) => absent);
  return [
    "# Bench of the mirror",
    "",
    "Written by `deno task bench:mirror`; not edited by hand. Client and servers",
    "share the cores, so figures per second are lower bounds: compare figures of",
    "one table only, which were measured in turns. CPU time is that of the servers",
    "(both nodes), from `/proc`. Medians of three rounds, of 15 where a target is.",
    "fio's `p50` and `p99` are those of reads or writes, without the FLUSH behind.",
    "",
    ...(await machine()).map((line) => `- ${line}`),
    ...new Set(absent.map((name) => `- not measured: ${name}`)),
    "",
    "## Targets",
    "",
    targetTable(targets),
    "",
    "## Reading the figures",
    "",
    (await Deno.readTextFile(REASONS)).trimEnd(),
    "",
    "## The local export, files in memory",
    "",
    nbdTable(local.rows),
    ...places.flatMap(placeLines),
    "",
  ].join("\n");
}

function targetTable(targets: readonly Target[]): string {
  return table(
    ["target", "wanted", "measured", ""],
    targets.map(({ what, wanted, measured, isMet }) => [
      ...[what, wanted, measured],
      isMet === undefined ? "–" : isMet ? "met" : "**missed**",
    ]),
  );
}

function placeLines(found: PlaceFound): string[] {
  const { place, fileSystem, limits, resync, rows } = found;
  const mb = (bytesPerS: number) => `${round(bytesPerS / 1e6)} MB/s`;
  const of = (pick: (each: ResyncRound) => number) =>
    median(resync.rounds.map(pick));
  return [
    "",
    `## Mirrored, files ${place === "memory" ? "in memory" : "on the disk"}`,
    "",
    `\`kedge alone\` is a Primary without its peer. File system: ${fileSystem}.`,
    "",
    nbdTable(rows),
    "",
    table(["what", "value"], [
      ["full resync", mb(of((each) => each.bytesPerS))],
      [
        "CPU of both nodes per MiB of resync",
        `${round(of((each) => each.cpuUsPerMib))} µs`,
      ],
      [
        "the first one, in which the programs are compiled",
        mb(resync.first.bytesPerS),
      ],
      ["full resync beside 4 KiB writes", mb(resync.loaded.bytesPerS)],
      ["latest reply to them", `${round(resync.loaded.latestReplyMs)} ms`],
      ["loopback TCP, one stream", mb(of(({ limits }) => limits.tcpBytesPerS))],
      [
        "128 KiB writes and fdatasync",
        mb(of(({ limits }) => limits.diskBytesPerS)),
      ],
      [
        "the same while another image is read, the slower of both",
        mb(of(({ limits }) => limits.sharedDiskBytesPerS)),
      ],
      [
        "a bare copy: read, TCP, write and fdatasync, no more",
        mb(of(({ limits }) => limits.bareCopyBytesPerS)),
      ],
      ["TCP round trip of 4 KiB", `${round(limits.roundTripUs)} µs`],
    ]),
  ];
}
