import assert from "node:assert/strict";
import type { GroupRegister } from "@kedge/schema";
import { judgeRegister, RegisterRequests } from "./register_core.ts";

const OURS: GroupRegister = {
  group: "group1",
  gen: "00000000-0000-4000-8000-000000000000",
  epoch: 7,
  members: [],
  insync: [1, 2],
};
const GEN = "11111111-0000-4000-8000-000000000000";

Deno.test("judgeRegister() for every kind of register, by peer and by tracker", () => {
  const cases: [Partial<GroupRegister>, string, string][] = [
    [{}, "known", "known"],
    [{ epoch: 8 }, "news", "news"],
    [{ epoch: 6 }, "old", "restored"],
    [{ gen: GEN }, "foreign", "restored"],
    [{ gen: GEN, epoch: 9 }, "foreign", "restored"],
    // The same epoch cannot mean two sets.
    [{ insync: [1] }, "restored", "restored"],
  ];
  for (const [change, byPeer, byTracker] of cases) {
    const shown = { ...OURS, ...change };
    const name = JSON.stringify(change);
    assert.equal(judgeRegister(OURS, shown, undefined), byPeer, name);
    assert.equal(judgeRegister(OURS, shown, OURS.epoch), byTracker, name);
  }
  assert.equal(judgeRegister(undefined, OURS, 0), "news");
});

Deno.test("a tracker's answer to an old question may be old", () => {
  const shown = { ...OURS, epoch: 6 };
  assert.equal(judgeRegister(OURS, shown, 5), "old");
});

Deno.test("one request at a time, with pauses that grow while it fails", () => {
  const requests = new RegisterRequests();
  const pauses: number[] = [];
  let nowMs = 0;
  for (let i = 0; i < 7; i++) {
    assert(requests.ready(nowMs));
    const { request } = requests.begin(7, { kind: "renew", by: 1 });
    assert(!requests.ready(nowMs + 1e6), "one is under way");
    assert.equal(requests.finish(request + 1, "changed", nowMs), undefined);
    requests.finish(request, "unknown", nowMs);
    assert.equal(requests.finish(request, "changed", nowMs), undefined);
    const since = nowMs;
    while (!requests.ready(nowMs)) nowMs += 100;
    pauses.push(nowMs - since);
  }
  assert.deepEqual(pauses, [200, 400, 800, 1600, 3200, 5000, 5000]);
  requests.hurry();
  assert(requests.ready(0));
});
