import assert from "node:assert/strict";
import {
  killTarget,
  medianRows,
  ratio,
  targetsOf,
  twins,
} from "./fastdfs_found.ts";
import type { Figures } from "./load.ts";
import { median, type Row } from "./report.ts";

function row(
  what: string,
  concurrency: number,
  figures: Partial<Figures>,
): Row {
  return {
    ...{ what, concurrency, size: "5 kB", level: "" },
    figures: {
      ...{ operations: 100, failures: 0, firstFailure: undefined },
      ...{ perS: 1000, mbPerS: 5, p50Ms: 1, p99Ms: 2 },
      ...{ cpuUsPerOperation: 100, trackerUsPerOperation: 0 },
      ...{ laterUsPerOperation: 0, isSettled: true, ...figures },
    },
  };
}

Deno.test("median() lies between the middle two of an even number", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("medianRows() gives each operation once, with its median", () => {
  const rows = [
    row("upload", 1, { cpuUsPerOperation: 100, laterUsPerOperation: 10 }),
    row("upload", 8, { perS: 500 }),
    row("upload", 8, { perS: 700 }),
    row("upload", 1, { cpuUsPerOperation: 300, laterUsPerOperation: 30 }),
    row("upload", 1, { cpuUsPerOperation: 120, laterUsPerOperation: 12 }),
  ];
  const [one, eight, ...more] = medianRows(rows);
  assert.deepEqual(more, []);
  assert.equal(one?.figures.cpuUsPerOperation, 120);
  assert.equal(one?.figures.laterUsPerOperation, 12);
  assert.equal(eight?.figures.perS, 600);
});

Deno.test("medianRows() begins with the smallest files", () => {
  const small = row("upload", 8, {});
  const large = { ...small, size: "1000 kB" };
  const sizes = medianRows([large, { ...small, size: "50 kB" }, small])
    .map(({ size }) => size);
  assert.deepEqual(sizes, ["5 kB", "50 kB", "1000 kB"]);
});

Deno.test("medianRows() hides no failure and no row that was not over", () => {
  const [only] = medianRows([
    row("upload", 1, {}),
    row("upload", 1, { failures: 2, firstFailure: "22", isSettled: false }),
  ]);
  assert.equal(only?.figures.failures, 2);
  assert.equal(only?.figures.firstFailure, "22");
  assert.equal(only?.figures.isSettled, false);
  assert.equal(only?.figures.operations, 200);
});

Deno.test("twins() are the same operation, size and connections", () => {
  const one = row("upload", 1, {});
  const others = [
    { ...one, size: "50 kB" },
    row("upload", 8, {}),
    row("download", 1, {}),
    row("upload", 1, { perS: 1 }),
  ];
  assert.deepEqual(twins(one, others), [others[3]]);
});

Deno.test("targetsOf() judges by the worst row", () => {
  const theirs = [1, 8, 64].map((n) => row("upload", n, {}));
  const ours = [
    row("upload", 1, { cpuUsPerOperation: 149, perS: 100 }),
    row("upload", 8, { cpuUsPerOperation: 120, perS: 900 }),
    row("upload", 64, { cpuUsPerOperation: 110, perS: 790 }),
  ];
  const [uploadCpu, downloadCpu, uploadSpeed] = targetsOf(
    ...["Kedge A", ours, theirs] as const,
  );
  assert.equal(uploadCpu?.measured, "1.49 ×, 1.20 ×");
  assert.equal(uploadCpu?.isMet, true);
  // One connection is not judged by speed.
  assert.equal(uploadSpeed?.measured, "0.79 ×, 0.84 ×");
  assert.equal(uploadSpeed?.isMet, false);
  assert.equal(downloadCpu?.isMet, undefined);
});

Deno.test("targetsOf() without FastDFS judges nothing", () => {
  const ours = [row("upload", 8, {})];
  for (const target of targetsOf("Kedge A", ours, [])) {
    assert.equal(target.isMet, undefined);
  }
});

Deno.test("killTarget() is missed by one lost file", () => {
  const kill = { acknowledged: 1000, refused: 7, lost: 0 };
  assert.equal(killTarget("Kedge A", kill).isMet, true);
  assert.equal(killTarget("Kedge A", { ...kill, lost: 1 }).isMet, false);
});

Deno.test("ratio() has two digits behind the point", () => {
  assert.equal(ratio(1.499), "1.50 ×");
  assert.equal(ratio(NaN), "–");
});
