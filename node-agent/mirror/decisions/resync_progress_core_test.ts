import assert from "node:assert/strict";
import {
  formatProgress,
  notePause,
  noteProgress,
  type ProgressReport,
  reportProgress,
  startProgress,
} from "./resync_progress_core.ts";

/** 2103412 KiB, the volume of the DRBD tutorial. */
const TOTAL = 525_853;

/** A resync of `blocksPerSecond` after so many seconds, noted each second. */
function after(seconds: number, blocksPerSecond: number): ProgressReport {
  let progress = startProgress(TOTAL, 0);
  for (let second = 1; second <= seconds; second += 1) {
    const left = TOTAL - second * blocksPerSecond;
    progress = noteProgress(progress, left, second * 1_000);
  }
  const left = TOTAL - seconds * blocksPerSecond;
  return reportProgress(progress, left, seconds * 1_000);
}

Deno.test("speed, average and end of a steady resync", () => {
  const report = after(30, 6_698);
  assert.equal(report.speedKibPerSecond, 26_792);
  assert.equal(report.averageKibPerSecond, 26_792);
  assert.equal(report.donePermille, 382);
  assert.ok(Math.abs(report.remainingSeconds - 48) <= 2);
  assert.equal(report.isStalled, false);
});

Deno.test("the lines look as in /proc/drbd", () => {
  const report: ProgressReport = {
    donePermille: 523,
    leftBlocks: 250_750,
    totalBlocks: TOTAL,
    remainingSeconds: 37,
    speedKibPerSecond: 26_792,
    averageKibPerSecond: 27_076,
    isStalled: false,
  };
  assert.deepEqual(
    formatProgress(report, { kind: "resync", wantKibPerSecond: 102_400 }),
    [
      "\t[=========>..........] sync'ed: 52.3% (1003000/2103412)K",
      "\tfinish: 0:00:37 speed: 26,792 (27,076) want: 102,400 K/sec",
    ],
  );
  const [, source] = formatProgress(report, { kind: "resync" });
  assert.equal(source, "\tfinish: 0:00:37 speed: 26,792 (27,076) K/sec");
});

Deno.test("the bar at its ends; a verify; amounts above 4 GiB in MiB", () => {
  const report = { ...after(0, 0), donePermille: 0, remainingSeconds: 3_725 };
  const [first, second] = formatProgress(report, { kind: "verify" });
  assert.equal(
    first,
    `\t[>${".".repeat(20)}] verified:  0.0% (2103412/2103412)K`,
  );
  assert.equal(second, "\tfinish: 1:02:05 speed: 0 (0) K/sec");
  const large = {
    ...report,
    donePermille: 1_000,
    leftBlocks: 256,
    totalBlocks: 2_097_152,
  };
  const [last] = formatProgress(large, { kind: "resync" });
  assert.equal(last, `\t[${"=".repeat(19)}>] sync'ed:100.0% (1/8192)M`);
});

Deno.test("no progress for more than three minutes is a stall", () => {
  let progress = startProgress(TOTAL, 0);
  progress = noteProgress(progress, TOTAL - 1, 3_000);
  for (let second = 4; second <= 190; second += 1) {
    progress = noteProgress(progress, TOTAL - 1, second * 1_000);
  }
  assert.equal(reportProgress(progress, TOTAL - 1, 180_000).isStalled, false);
  const report = reportProgress(progress, TOTAL - 1, 190_000);
  assert.equal(report.isStalled, true);
  const [, line] = formatProgress(report, { kind: "resync" });
  assert.ok(line.endsWith(" K/sec (stalled)"));
});

Deno.test("a pause counts neither as slowness nor as a stall", () => {
  let progress = startProgress(TOTAL, 0);
  progress = noteProgress(progress, TOTAL - 3_000, 3_000);
  progress = notePause(progress, 600_000);
  const report = reportProgress(progress, TOTAL - 6_000, 606_000);
  assert.equal(report.averageKibPerSecond, 4_000);
  assert.equal(report.speedKibPerSecond, 4_000);
  assert.equal(report.isStalled, false);
});

Deno.test("speed forgets what is older than the marks", () => {
  let progress = startProgress(TOTAL, 0);
  let left = TOTAL;
  for (let second = 1; second <= 120; second += 1) {
    left -= second <= 60 ? 3_000 : 300;
    progress = noteProgress(progress, left, second * 1_000);
  }
  const report = reportProgress(progress, left, 120_000);
  assert.equal(report.speedKibPerSecond, 1_200);
  assert.equal(report.averageKibPerSecond, 6_600);
});

Deno.test("more left than there was in total counts as nothing done", () => {
  const report = reportProgress(startProgress(10, 0), 20, 1_000);
  assert.equal(report.donePermille, 0);
  assert.equal(report.speedKibPerSecond, 0);
});
