/**
 * The block export without a mirror behind it, against nbdkit and qemu-nbd in
 * the same run: the first part of `bench:mirror`.
 *
 * ```sh
 * deno run -A tests/bench/nbd_local.ts [--quick]
 * ```
 *
 * The image lies in memory where there is `/dev/shm`: that compares the servers,
 * not the disk.
 *
 * @module
 */

import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { writtenFile } from "./images.ts";
import {
  measureAll,
  NBD_LOADS,
  type NbdRow,
  type NbdSubject,
} from "./nbd_load.ts";
import { startNbdkit, startOurs, startQemuNbd } from "./nbd_servers.ts";
import { round, type Target } from "./report.ts";

/** Size of the image, in bytes. */
const IMAGE_BYTES = 256 * 1024 * 1024;

/** How much to measure. */
export interface NbdLocalPlan {
  readonly rounds: number;
  readonly durationMs: number;
}

/** What was found. */
export interface NbdLocalReport {
  readonly rows: readonly NbdRow[];
  readonly targets: readonly Target[];
  /** Peers that are not installed. */
  readonly absent: readonly string[];
}

/** Measure everything. */
export async function benchNbdLocal(
  plan: NbdLocalPlan,
): Promise<NbdLocalReport> {
  await using scope = new Scope();
  const subjects: NbdSubject[] = [];
  const absent: string[] = [];
  const starts = { kedge: startOurs, nbdkit: startNbdkit, qemu: startQemuNbd };
  for (const [name, start] of Object.entries(starts)) {
    const subject = await start(scope, await makeImage(scope));
    if (subject === undefined) absent.push(name);
    else subjects.push(subject);
  }
  const rows = await measureAll(subjects, NBD_LOADS, plan);
  return { rows, targets: targetsOf(rows), absent };
}

/** Whom each of our arrangements is compared with. */
const PEERS: Readonly<Record<string, string>> = {
  "kedge": "nbdkit",
  "kedge A": "qemu mirror",
  "kedge B": "qemu mirror",
  "kedge C": "qemu quorum",
};

/** The figures as a Markdown table. */
export function nbdTable(rows: readonly NbdRow[]): string {
  const lines = rows.map((row) => {
    const { load, subject, figures: f } = row;
    const cells = [
      ...[load.name, subject, round(f.iops), round(f.mbPerS)],
      ...[round(f.p50Us), round(f.p99Us), round(f.cpuUsPerOperation)],
      againstPeer(row, rows),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| load | server | IOPS | MB/s | p50 µs | p99 µs | server CPU µs/op " +
    "| against its peer: IOPS, CPU |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...lines,
  ].join("\n");
}

function againstPeer(
  { subject, load, figures }: NbdRow,
  rows: readonly NbdRow[],
): string {
  const peer = rows.find((row) =>
    row.subject === PEERS[subject] && row.load === load
  );
  if (peer === undefined) return "";
  const speed = figures.iops / peer.figures.iops;
  const cost = figures.cpuUsPerOperation / peer.figures.cpuUsPerOperation;
  return `${round(speed)} ×, ${round(cost)} × ${peer.subject}`;
}

/** The targets of the issue for the local export, at depth 16. */
export function targetsOf(rows: readonly NbdRow[]): Target[] {
  return ["randread", "randwrite"].flatMap((rw) => {
    const at = (subject: string) =>
      rows.find((row) =>
        row.subject === subject && row.load.rw === rw &&
        row.load.depth === 16 && row.load.flushEvery === 0
      )?.figures;
    const ours = at("kedge");
    const peer = at("nbdkit");
    if (ours === undefined || peer === undefined) return [];
    const speed = ours.iops / peer.iops;
    const cost = ours.cpuUsPerOperation / peer.cpuUsPerOperation;
    return [
      {
        what: `local export, 4 KiB ${rw}, depth 16: IOPS against nbdkit`,
        wanted: "≥ 1.0 ×",
        measured: `${round(speed)} ×`,
        isMet: speed >= 1,
      },
      {
        what: `local export, 4 KiB ${rw}, depth 16: CPU against nbdkit`,
        wanted: "≤ 1.3 ×",
        measured: `${round(cost)} ×`,
        isMet: cost <= 1.3,
      },
    ];
  });
}

async function makeImage(scope: Scope): Promise<string> {
  const dir = await Deno.stat("/dev/shm").then(() => "/dev/shm", () => "/tmp");
  return await writtenFile(scope, dir, IMAGE_BYTES);
}

if (import.meta.main) {
  const plan = Deno.args.includes("--quick")
    ? { rounds: 1, durationMs: 500 }
    : { rounds: 3, durationMs: 1_000 };
  const report = await benchNbdLocal(plan);
  say(nbdTable(report.rows));
  for (const { what, wanted, measured, isMet } of report.targets) {
    say(`${isMet ? "met   " : "MISSED"} ${what}: ${measured} (${wanted})`);
  }
  for (const name of report.absent) say(`not measured: ${name}`);
}
