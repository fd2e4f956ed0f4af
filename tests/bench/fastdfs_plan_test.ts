import assert from "node:assert/strict";
import {
  leftMs,
  type Plan,
  planOf,
  rowsOf,
  timeWords,
  turnsOf,
} from "./fastdfs_plan.ts";

function plan(...args: string[]): Plan {
  const found = planOf(args);
  if (found === "help") throw new Error("this is help");
  return found;
}

Deno.test("planOf() measures everything twice", () => {
  const { mode, systems, sizesKb, connections, rounds } = plan();
  assert.equal(mode, "full");
  assert.deepEqual(systems, ["FastDFS", "Kedge A", "Kedge B"]);
  assert.deepEqual(sizesKb, [1000, 200, 50, 5]);
  assert.deepEqual(connections, [1, 8, 32, 64]);
  assert.equal(rounds, 2);
});

Deno.test("planOf() measures a part beside FastDFS and writes no page", () => {
  const part = plan("--level", "A", "--size", "5", "--conn", "8");
  assert.equal(part.mode, "part");
  assert.deepEqual(part.systems, ["FastDFS", "Kedge A"]);
  assert.deepEqual(part.sizesKb, [5]);
  assert.deepEqual(part.connections, [8]);
  assert.equal(part.killMs, 0);
  assert.equal(plan("--size", "50", "--size", "200").sizesKb.length, 2);
  assert.equal(plan("--rounds", "3").mode, "part");
  assert.equal(plan("--late").mode, "part");
  assert.equal(plan().lateMs, 0);
});

Deno.test("planOf() refuses what is not measured", () => {
  for (
    const args of [
      ["--level", "C"],
      ["--size", "6"],
      ["--conn", "many"],
      ["--rounds", "0"],
      ["--sise", "5"],
      ["5"],
    ]
  ) {
    assert.throws(() => planOf(args), TypeError, args.join(" "));
  }
  assert.equal(planOf(["--help"]), "help");
});

Deno.test("turnsOf() goes backwards every second round", () => {
  assert.deepEqual(
    turnsOf(plan()).map(({ system }) => system),
    [
      ...["FastDFS", "Kedge A", "Kedge B"],
      ...["Kedge B", "Kedge A", "FastDFS"],
    ],
  );
  assert.deepEqual(
    turnsOf(plan()).map(({ isLastRound }) => isLastRound),
    [false, false, false, true, true, true],
  );
});

Deno.test("rowsOf() uploads before it downloads", () => {
  const rows = rowsOf(plan());
  assert.equal(rows.length, 32);
  assert.deepEqual(rows[0], { what: "upload", sizeKb: 1000, connections: 1 });
  assert.deepEqual(rows[1], { what: "download", sizeKb: 1000, connections: 1 });
});

Deno.test("leftMs() takes what is done as the measure", () => {
  assert.equal(leftMs(10_000, 1, 4), 30_000);
  assert.equal(leftMs(10_000, 4, 4), 0);
  assert.equal(timeWords(leftMs(10_000, 0, 4)), "some time");
});

Deno.test("timeWords() is for people", () => {
  assert.equal(timeWords(59_400), "59 s");
  assert.equal(timeWords(200_000), "3 min 20 s");
});
