/**
 * One turn of `bench:fastdfs`: a system is started on a new file system, warmed
 * up, measured and stopped, and nothing else runs meanwhile.
 *
 * @module
 */

import { interruption } from "../helpers/interrupt.ts";
import { Scope } from "../helpers/scope.ts";
import {
  fastdfsDownloader,
  type FastdfsFile,
  fastdfsUploader,
} from "./fastdfs_client.ts";
import type { SubjectFound } from "./fastdfs_found.ts";
import { killUnderLoad } from "./fastdfs_kill.ts";
import { type Plan, type RowPlan, rowsOf, type Turn } from "./fastdfs_plan.ts";
import { type FastdfsSubject, startSystem } from "./fastdfs_subject.ts";
import { useFreshDisk } from "./fresh_disk.ts";
import { type Figures, type Load, runLoad } from "./load.ts";
import { round, type Row } from "./report.ts";
import { watchIdle, watchLater } from "./settle.ts";
import type { QuietRule } from "./settle_core.ts";

/**
 * How long a system must be quiet after uploads, in ms: FastDFS tells its other
 * storage once a second (`sync_binlog_buff_interval`), Kedge twice.
 */
const UPLOAD_QUIET_MS = 1200;
/** After downloads, which leave nothing that waits for a timer. */
const DOWNLOAD_QUIET_MS = 500;
/** What comes later than this after a load is not waited for. */
const DEADLINE_MS = 5000;
const WARM_UP_CONNECTIONS = 8;
const KB = 1000;

/** Where a turn leaves what it found. */
export interface TurnReport {
  readonly found: SubjectFound;
  /** Says a line after so many steps of {@linkcode stepsOf}. */
  step(steps: number, line: string): void;
}

/** What starting and warming up take, in rows. */
const START_STEPS = 7;

/** How many steps a turn has: one per row, and its start. */
export function stepsOf(plan: Plan): number {
  return START_STEPS + rowsOf(plan).length;
}

/**
 * Measure one system.
 *
 * @returns What to say of its file system on the page.
 */
export async function takeTurn(
  plan: Plan,
  turn: Turn,
  report: TurnReport,
): Promise<string> {
  using interrupted = interruption();
  await using disk = new Scope();
  const files = await useFreshDisk(disk);
  // Processes and files are gone before the file system goes.
  await using scope = new Scope();
  await Promise.race([
    interrupted.happens,
    measure(scope, { ...report, plan, turn }),
  ]);
  return files;
}

async function measure(
  scope: Scope,
  { plan, turn, ...report }: TurnReport & {
    readonly plan: Plan;
    readonly turn: Turn;
  },
): Promise<void> {
  const subject = await startSystem(scope, turn.system);
  const warm = await warmUp(plan, subject);
  const { idleUsPerS } = warm;
  report.found.idleUsPerS.push(idleUsPerS);
  report.step(
    START_STEPS,
    `${turn.system}, round ${turn.round}: warm; ` +
      `idle it uses ${round(idleUsPerS / 1000)} ms of CPU per second`,
  );
  const uploads = warm.uploads +
    await measureRows(plan, { ...report, subject, idleUsPerS });
  if (plan.lateMs > 0) {
    const lateUs = await watchLater(subject.pids(), {
      ...{ forMs: plan.lateMs, idleUsPerS },
    });
    report.step(
      0,
      `${turn.system}: ${round(lateUs / uploads)} µs for each of the ` +
        `${uploads} uploads came later`,
    );
  }
  if (turn.isLastRound && plan.killMs > 0) {
    report.found.kill = await killUnderLoad(subject, plan.killMs);
  }
}

interface Measured extends TurnReport {
  readonly subject: FastdfsSubject;
  readonly idleUsPerS: number;
}

/** @returns How many files it uploaded. */
async function measureRows(plan: Plan, to: Measured): Promise<number> {
  const files = new Map<number, FastdfsFile[]>();
  for (const row of rowsOf(plan)) {
    const known = files.get(row.sizeKb) ?? [];
    files.set(row.sizeKb, known);
    const figures = await runLoad({
      ...loadOf(row, to.subject, known),
      durationMs: plan.durationMs,
      serverPids: to.subject.pids(),
      quiet: quietRule(row, to.idleUsPerS),
    });
    const made = tableRow(row, figures);
    to.found.rows.push(made);
    to.step(1, `${to.found.name} ${rowWords(made)}`);
  }
  return [...files.values()].reduce((sum, known) => sum + known.length, 0);
}

function quietRule({ what }: RowPlan, idleUsPerS: number): QuietRule {
  const windowMs = what === "upload" ? UPLOAD_QUIET_MS : DOWNLOAD_QUIET_MS;
  return { idleUsPerS, windowMs, deadlineMs: DEADLINE_MS };
}

function loadOf(
  { what, sizeKb, connections }: RowPlan,
  { tracker }: FastdfsSubject,
  files: FastdfsFile[],
): Pick<Load, "concurrency" | "bytesPerOperation" | "worker"> {
  const sizeBytes = sizeKb * KB;
  return {
    concurrency: connections,
    bytesPerOperation: sizeBytes,
    worker: what === "upload"
      ? () => fastdfsUploader(tracker, sizeBytes, files)
      : () => fastdfsDownloader(tracker, sizeBytes, files),
  };
}

function tableRow(
  { what, sizeKb, connections }: RowPlan,
  figures: Figures,
): Row {
  const size = `${sizeKb} kB`;
  return { what, size, level: "", concurrency: connections, figures };
}

function rowWords({ what, size, concurrency, figures: f }: Row): string {
  const later = (f.laterUsPerOperation ?? 0) / f.cpuUsPerOperation;
  return `${what} ${size} × ${concurrency}: ${round(f.perS)}/s, ` +
    `${round(f.cpuUsPerOperation)} µs (${(later * 100).toFixed(0)} % later), ` +
    `p99 ${round(f.p99Ms)} ms` +
    (f.isSettled === false ? ", still busy at the deadline" : "") +
    (f.failures > 0 ? `, ${f.failures} failed: ${f.firstFailure}` : "");
}

/**
 * Programs that compile while they run are measured when they have: everything
 * that is measured is done before, with files of its own.
 *
 * @returns How many files it uploaded, and what the system uses when idle.
 */
async function warmUp(
  plan: Plan,
  subject: FastdfsSubject,
): Promise<{ readonly uploads: number; readonly idleUsPerS: number }> {
  let files: FastdfsFile[] = [];
  let uploads = 0;
  for (const row of rowsOf({ ...plan, connections: [WARM_UP_CONNECTIONS] })) {
    if (row.what === "upload") files = [];
    const { operations } = await runLoad({
      ...loadOf(row, subject, files),
      ...{ durationMs: plan.warmUpMs, serverPids: [] },
    });
    if (row.what === "upload") uploads += operations;
  }
  const idleUsPerS = await watchIdle(subject.pids(), {
    forMs: plan.idleMs,
    windowMs: UPLOAD_QUIET_MS,
  });
  return { uploads, idleUsPerS };
}
