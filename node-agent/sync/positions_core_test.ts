import assert from "node:assert/strict";
import {
  isBehindCut,
  judgeBatch,
  peerStanding,
  runAfter,
  sendFrom,
} from "./positions_core.ts";

const LOG = [
  { incarnation: 10, lastSequence: 5 },
  { incarnation: 20, lastSequence: 3 },
];

Deno.test("peerStanding() reads positions of the present run, and of earlier ones", () => {
  const all = [at(10, 5), at(20, 2)];
  assert.deepEqual(peerStanding(LOG, all), {
    written: 2,
    lacksEarlier: false,
    knowsMore: false,
  });
  assert.deepEqual(peerStanding(LOG, [at(10, 4)]), {
    written: 0,
    lacksEarlier: true,
    knowsMore: false,
  });
});

Deno.test("peerStanding() notices numbers that we did not give out", () => {
  assert.equal(peerStanding(LOG, [at(20, 4)]).knowsMore, true);
  // An earlier run that lost its end, and a run from before we were wiped.
  const harmless = [at(10, 9), at(20, 3), at(777, 4)];
  assert.equal(peerStanding(LOG, harmless).knowsMore, false);
});

Deno.test("isBehindCut() wants the position where the log begins", () => {
  assert.equal(isBehindCut(undefined, []), false);
  assert.equal(isBehindCut(at(20, 2), [at(20, 2)]), false);
  assert.equal(isBehindCut(at(20, 2), [at(10, 5), at(20, 1)]), true);
  // A later run proves nothing about this one.
  assert.equal(isBehindCut(at(20, 2), [at(30, 9)]), true);
  assert.equal(isBehindCut(at(20, 2), []), true);
});

Deno.test("peerStanding() of a peer behind the cut lacks earlier records", () => {
  const cut = at(20, 2);
  const log = LOG.slice(1);
  assert.equal(peerStanding(log, [at(20, 1)], cut).lacksEarlier, true);
  assert.equal(peerStanding(log, [at(20, 2)], cut).lacksEarlier, false);
});

Deno.test("peerStanding() of an empty log lacks nothing", () => {
  const expected = { written: 0, lacksEarlier: false, knowsMore: false };
  assert.deepEqual(peerStanding([], []), expected);
});

Deno.test("sendFrom() goes through the runs in order", () => {
  assert.deepEqual(sendFrom(LOG, []), at(10, 0));
  assert.deepEqual(sendFrom(LOG, [at(10, 2), at(20, 1)]), at(10, 2));
  assert.deepEqual(sendFrom(LOG, [at(10, 5)]), at(20, 0));
  assert.equal(sendFrom(LOG, [at(10, 5), at(20, 3)]), undefined);
});

Deno.test("judgeBatch() for every place of a batch of three", () => {
  const verdicts = [0, 1, 2, 3, 4, 5, 6].map((held) => judgeBatch(held, 3, 3));
  assert.deepEqual(verdicts, [
    { kind: "gap" },
    { kind: "gap" },
    { kind: "apply", skip: 0 },
    { kind: "apply", skip: 1 },
    { kind: "apply", skip: 2 },
    { kind: "known" },
    { kind: "known" },
  ]);
});

function at(incarnation: number, sequence: number) {
  return { incarnation, sequence };
}

Deno.test("runAfter() goes on with the run that is not at its end, past empty ones", () => {
  const log = [...LOG, { incarnation: 25, lastSequence: 0 }, {
    incarnation: 30,
    lastSequence: 0,
  }];
  assert.equal(runAfter(log, at(10, 4), 30), 10);
  assert.equal(runAfter(log, at(10, 5), 30), 20);
  assert.equal(runAfter(log, at(20, 3), 30), 30, "it may get some");
  assert.equal(runAfter(log, at(30, 0), 30), 30);
});
