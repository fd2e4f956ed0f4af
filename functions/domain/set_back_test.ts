import assert from "node:assert/strict";
import type { Heartbeat, NodeReport } from "@kedge/schema";
import { judgeRun, type RunVerdict } from "./set_back.ts";
import { heartbeatOf } from "../testing.ts";

const STORE = "00000000-0000-4000-8000-000000000001";
const OTHER_STORE = "00000000-0000-4000-8000-000000000002";
const run = (n: number) => `00000000-0000-4000-8000-00000000010${n}`;

interface Beat {
  readonly id: number;
  readonly former?: readonly number[];
  readonly store?: string;
  readonly isChecking?: boolean;
  readonly isSetBack?: true;
}

function beat({ id, former = [], store, isChecking = false }: Beat): Heartbeat {
  return {
    ...heartbeatOf(),
    store: store ?? STORE,
    run: { id: run(id), former: former.map(run), isChecking },
  };
}

function stored(given: Beat): NodeReport {
  const { isSetBack } = given;
  return {
    heardMs: 0,
    heartbeat: beat(given),
    ...(isSetBack ? { isSetBack } : {}),
  };
}

Deno.test("judgeRun(): the stored start must be one of those before", () => {
  const table: [string, Beat, Beat, RunVerdict][] = [
    ["the same start", { id: 1 }, { id: 1 }, "as-known"],
    ["the next start", { id: 1 }, { id: 2, former: [1] }, "as-known"],
    [
      "a start after some without a tracker",
      { id: 1 },
      { id: 4, former: [1, 2, 3] },
      "as-known",
    ],
    [
      "a copy from before the last start",
      { id: 2, former: [1] },
      { id: 3, former: [1] },
      "set-back",
    ],
    [
      "sticky until it was acted on",
      { id: 3, former: [1], isSetBack: true },
      { id: 4, former: [1, 3] },
      "set-back",
    ],
    [
      "sticky in the same start",
      { id: 3, former: [1], isSetBack: true },
      { id: 3, former: [1] },
      "set-back",
    ],
    [
      "it checks itself",
      { id: 3, former: [1], isSetBack: true },
      { id: 4, former: [1, 3], isChecking: true },
      "as-known",
    ],
    [
      "a request of an earlier life",
      { id: 2, former: [1] },
      { id: 1 },
      "late",
    ],
    [
      "a new, empty database",
      { id: 2, former: [1] },
      { id: 3, store: OTHER_STORE },
      "as-known",
    ],
  ];
  for (const [what, before, now, verdict] of table) {
    assert.equal(judgeRun(stored(before), beat(now)), verdict, what);
  }
  assert.equal(judgeRun(undefined, beat({ id: 1 })), "as-known");
  const { run: _, ...nameless } = beat({ id: 1 });
  assert.equal(judgeRun(stored({ id: 2 }), nameless), "as-known");
});
