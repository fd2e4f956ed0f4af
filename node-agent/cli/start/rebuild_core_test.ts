import assert from "node:assert/strict";
import { planRebuild } from "./rebuild_core.ts";

const gen = crypto.randomUUID();

function saved(
  node: number,
  epoch: number,
  insync: number[],
  members = [1, 2],
) {
  const stores = members.map((one) => ({ node: one, store: gen }));
  const register = { group: "g", gen, epoch, members: stores, insync };
  return { node, group: "g", register };
}

Deno.test("planRebuild() takes a member of the newest set that is all here", () => {
  const both = planRebuild([saved(1, 4, [1, 2]), saved(2, 9, [2])]);
  assert.deepEqual(both, [
    { group: "g", nodes: [1, 2], removed: [], truth: 2, absent: [] },
  ]);
});

Deno.test("planRebuild() says who is absent and leaves out who was removed", () => {
  const [plan] = planRebuild([
    saved(1, 4, [1, 3], [1, 2, 3]),
    saved(2, 9, [2, 3], [2, 3]),
  ]);
  assert.deepEqual(plan, {
    group: "g",
    nodes: [2],
    removed: [1],
    truth: 2,
    absent: [3],
  });
  const unknown = { node: 1, group: "g", register: undefined };
  assert.deepEqual(planRebuild([unknown])[0]?.absent, [1]);
});
