import assert from "node:assert/strict";
import { drawBest, drawByKey, drawOne } from "./draw.ts";
import { chiSquare, seeded } from "./testing.ts";

/** 99.9 % of fair draws stay below, by number of choices. */
const CHI_SQUARE_MAX: Record<number, number> = { 2: 10.83, 3: 13.82, 7: 22.46 };

for (const [choices, max] of Object.entries(CHI_SQUARE_MAX)) {
  Deno.test(`drawOne() is fair to ${choices} over 10,000 draws`, () => {
    const draw = seeded(2026);
    const members = Array.from({ length: Number(choices) }, (_, i) => i);
    const counts = members.map(() => 0);
    for (let request = 0; request < 10_000; request++) {
      const member = drawOne(members, draw) ?? -1;
      counts[member] = (counts[member] ?? 0) + 1;
    }
    assert(chiSquare(counts) < max, counts.join());
  });
}

Deno.test("drawOne() is fair when many stateless trackers draw once each", () => {
  const counts = [0, 0, 0];
  for (let tracker = 0; tracker < 10_000; tracker++) {
    const member = drawOne([0, 1, 2], seeded(tracker)) ?? -1;
    counts[member] = (counts[member] ?? 0) + 1;
  }
  assert(chiSquare(counts) < 13.82, counts.join());
});

Deno.test("drawOne() of nothing is nothing, and never reaches past the end", () => {
  assert.equal(drawOne([], () => 0.5), undefined);
  assert.equal(drawOne(["a", "b"], () => 0), "a");
  assert.equal(drawOne(["a", "b"], () => 1 - 2 ** -53), "b");
});

Deno.test("drawBest() draws among equals only", () => {
  const counts = new Map<string, number>();
  const draw = seeded(7);
  const score = (name: string) => name === "low" ? 1 : 2;
  for (let request = 0; request < 1000; request++) {
    const name = drawBest(["a", "low", "b"], score, draw) ?? "";
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort(), ["a", "b"]);
  assert(chiSquare([...counts.values()]) < 10.83);
});

Deno.test("drawByKey() is fair, and a key stays when others come and go", () => {
  const nameOf = (choice: number) => choice;
  const counts = [0, 0, 0];
  for (let at = 0; at < 10_000; at++) {
    const key = `key-${at}`;
    const chosen = drawByKey([0, 1, 2], { key, nameOf }) ?? -1;
    counts[chosen] = (counts[chosen] ?? 0) + 1;
    for (const choices of [[chosen], [2, 1, 0], [(chosen + 1) % 3, chosen]]) {
      assert.equal(drawByKey(choices, { key, nameOf }), chosen);
    }
  }
  assert(chiSquare(counts) < 13.82, counts.join());
  assert.equal(drawByKey([], { key: "k", nameOf }), undefined);
});

Deno.test("drawByKey() gives shares by weight", () => {
  const [nameOf, weightOf] = [(one: number) => one, (one: number) => one];
  const counts = [0, 0, 0, 0];
  for (let at = 0; at < 8000; at++) {
    const chosen = drawByKey([1, 3, 0], { key: `key-${at}`, nameOf, weightOf });
    counts[chosen ?? 0] = (counts[chosen ?? 0] ?? 0) + 1;
  }
  assert.equal(counts[0], 0);
  const scaled = [(counts[1] ?? 0) * 3, counts[3] ?? 0];
  assert(
    Math.abs((scaled[0] ?? 0) / (scaled[1] ?? 1) - 1) < 0.1,
    counts.join(),
  );
});
