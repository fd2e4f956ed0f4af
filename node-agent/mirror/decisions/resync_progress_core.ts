/**
 * How far a resync or verify is, and the two lines that `/proc/drbd` of DRBD
 * 8.4 shows of it:
 *
 * ```text
 * \t[=========>..........] sync'ed: 52.3% (1003000/2103412)K
 * \tfinish: 0:00:37 speed: 26,792 (27,076) want: 102,400 K/sec
 * ```
 *
 * Speed is measured between marks: eight of them, one every 3 s, so that the
 * first number is an average of the last 18 to 24 s; the one in parentheses is
 * that of the whole resync without its pauses. Time is the caller's monotonic
 * clock in whole milliseconds. Blocks are 4 KiB.
 *
 * @module
 */

/** Marks that are kept. */
const MARKS = 8;
/** Time between two marks. */
const MARK_INTERVAL_MS = 3_000;
/** Without progress for this long it says "(stalled)". */
const STALLED_SECONDS = 180;
const KIB_PER_BLOCK = 4;
/** 4 GiB: above it, amounts are shown in MiB. */
const SHOW_MIB_ABOVE_BLOCKS = 4 * 1024 * 1024 / KIB_PER_BLOCK;

interface Mark {
  readonly atMs: number;
  readonly leftBlocks: number;
}

/** What is remembered of one resync or verify. */
export interface ResyncProgress {
  readonly totalBlocks: number;
  readonly startedMs: number;
  /** Time that it was paused. */
  readonly pausedMs: number;
  /** Oldest first, at most eight. */
  readonly marks: readonly Mark[];
}

/** Begin: `totalBlocks` are to be copied or compared. */
export function startProgress(
  totalBlocks: number,
  nowMs: number,
): ResyncProgress {
  return {
    totalBlocks,
    startedMs: nowMs,
    pausedMs: 0,
    marks: [{ atMs: nowMs, leftBlocks: totalBlocks }],
  };
}

/** Note where it stands; call it at least every 3 s. */
export function noteProgress(
  progress: ResyncProgress,
  leftBlocks: number,
  nowMs: number,
): ResyncProgress {
  const last = progress.marks.at(-1);
  if (last !== undefined) {
    if (nowMs - last.atMs < MARK_INTERVAL_MS) return progress;
    // No progress makes no mark, so that a stall shows its age.
    if (last.leftBlocks === leftBlocks) return progress;
  }
  const marks = [...progress.marks, { atMs: nowMs, leftBlocks }];
  return { ...progress, marks: marks.slice(-MARKS) };
}

/** It was paused for a while: that time does not count. */
export function notePause(
  progress: ResyncProgress,
  pausedMs: number,
): ResyncProgress {
  return {
    ...progress,
    pausedMs: progress.pausedMs + pausedMs,
    marks: progress.marks.map((mark) => ({
      ...mark,
      atMs: mark.atMs + pausedMs,
    })),
  };
}

/** Numbers of one moment. */
export interface ProgressReport {
  /** Done, in 1/1000. */
  readonly donePermille: number;
  readonly leftBlocks: number;
  readonly totalBlocks: number;
  /** Until the end, at the present speed. */
  readonly remainingSeconds: number;
  readonly speedKibPerSecond: number;
  /** Since the beginning, without pauses. */
  readonly averageKibPerSecond: number;
  readonly isStalled: boolean;
}

/** Measure a moment; integer divisions as in DRBD. */
export function reportProgress(
  progress: ResyncProgress,
  leftBlocks: number,
  nowMs: number,
): ProgressReport {
  const { totalBlocks, startedMs, pausedMs } = progress;
  const mark = speedMark(progress) ?? { atMs: startedMs, leftBlocks };
  const age = wholeSeconds(nowMs - mark.atMs);
  const seconds = Math.max(age, 1);
  const done = Math.max(mark.leftBlocks - leftBlocks, 0);
  const allSeconds = Math.max(wholeSeconds(nowMs - startedMs - pausedMs), 1);
  const allDone = Math.max(totalBlocks - leftBlocks, 0);
  return {
    donePermille: permilleOf(leftBlocks, totalBlocks),
    leftBlocks,
    totalBlocks,
    remainingSeconds: remaining(leftBlocks, done, seconds),
    speedKibPerSecond: Math.trunc(done / seconds) * KIB_PER_BLOCK,
    averageKibPerSecond: Math.trunc(allDone / allSeconds) * KIB_PER_BLOCK,
    isStalled: age > STALLED_SECONDS,
  };
}

/** The second oldest of eight, or the first of fewer. */
function speedMark({ marks }: ResyncProgress): Mark | undefined {
  return marks[marks.length === MARKS ? 1 : 0];
}

/** Exact, where DRBD counts in steps of 4 MiB and shows 100 % of little. */
function permilleOf(leftBlocks: number, totalBlocks: number): number {
  if (leftBlocks > totalBlocks) return 0;
  if (totalBlocks === 0) return 1000;
  return Math.trunc((totalBlocks - leftBlocks) * 1000 / totalBlocks);
}

/** A little too long rather than a division by zero: DRBD's formula. */
function remaining(left: number, done: number, seconds: number): number {
  const perHundredth = Math.trunc(done / 100) + 1;
  return Math.trunc(seconds * Math.trunc(left / perHundredth) / 100);
}

function wholeSeconds(ms: number): number {
  return Math.trunc(ms / 1000);
}

/** What else the lines show. */
export interface ProgressLook {
  readonly kind: "resync" | "verify";
  /** Only the side that drives it wants a rate: SyncTarget and VerifyS. */
  readonly wantKibPerSecond?: number;
}

/** The two lines of `/proc/drbd`, each with its leading tab. */
export function formatProgress(
  report: ProgressReport,
  look: ProgressLook,
): readonly [string, string] {
  const { donePermille, speedKibPerSecond, averageKibPerSecond } = report;
  const word = look.kind === "verify" ? "verified:" : "sync'ed:";
  const whole = String(Math.trunc(donePermille / 10)).padStart(3);
  const percent = `${whole}.${donePermille % 10}%`;
  const want = look.wantKibPerSecond === undefined
    ? ""
    : ` want: ${grouped(look.wantKibPerSecond)}`;
  return [
    `\t[${barOf(donePermille)}] ${word}${percent} ${amountsOf(report)}`,
    `\tfinish: ${formatDuration(report.remainingSeconds)} ` +
    `speed: ${grouped(speedKibPerSecond)} (${grouped(averageKibPerSecond)})` +
    `${want} K/sec${report.isStalled ? " (stalled)" : ""}`,
  ];
}

/** Twenty steps; at the very beginning there is one character more. */
function barOf(donePermille: number): string {
  const steps = Math.trunc(donePermille / 50);
  return `${"=".repeat(Math.max(steps - 1, 0))}>${".".repeat(20 - steps)}`;
}

function amountsOf({ leftBlocks, totalBlocks }: ProgressReport): string {
  const isLarge = totalBlocks > SHOW_MIB_ABOVE_BLOCKS;
  const shown = (blocks: number) =>
    isLarge
      ? Math.trunc(blocks * KIB_PER_BLOCK / 1024)
      : blocks * KIB_PER_BLOCK;
  return `(${shown(leftBlocks)}/${shown(totalBlocks)})${isLarge ? "M" : "K"}`;
}

/** `H:MM:SS`. */
function formatDuration(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.trunc(seconds / 60);
  return `${Math.trunc(minutes / 60)}:${two(minutes % 60)}:${
    two(seconds % 60)
  }`;
}

/** Thousands with a comma, whatever the locale. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}
