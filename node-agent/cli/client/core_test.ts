import assert from "node:assert/strict";
import { planResume, rangeAnswer } from "./resume_core.ts";
import { afterFailure, type Failure, retryAfterMs } from "./retry_core.ts";

function refused(status: number, slug: string, retryAfter?: number): Failure {
  return { kind: "refused", status, slug, retryAfterMs: retryAfter };
}

Deno.test("afterFailure() decides where to try again", () => {
  const table: [number, Failure, string][] = [
    [1, { kind: "network" }, "same"],
    [2, { kind: "network" }, "other"],
    [1, refused(503, "uncertain"), "same"],
    [3, refused(503, "uncertain"), "same"],
    [1, refused(429, "too-many-requests"), "same"],
    [1, refused(403, "bad-capability"), "other"],
    [1, refused(507, "insufficient-storage"), "other"],
    [1, refused(503, "not-in-sync"), "other"],
    [1, refused(421, "wrong-node"), "other"],
    [1, refused(500, ""), "other"],
    [1, refused(400, "checksum-mismatch"), "other"],
    [1, refused(400, "invalid-request"), "give-up"],
    [1, refused(401, "unauthorized"), "give-up"],
    [1, refused(413, "too-large"), "give-up"],
    [1, refused(409, "idempotency-conflict"), "give-up"],
    [6, { kind: "network" }, "give-up"],
  ];
  for (const [attempt, failure, wanted] of table) {
    const verdict = afterFailure(attempt, 6, failure);
    const got = verdict.kind === "again" ? verdict.where : verdict.kind;
    assert.equal(got, wanted, JSON.stringify([attempt, failure]));
  }
});

Deno.test("afterFailure() waits longer each time, as the server says, never too long", () => {
  const delay = (attempt: number, failure: Failure) => {
    const verdict = afterFailure(attempt, 99, failure);
    return verdict.kind === "again" ? verdict.delayMs : undefined;
  };
  assert.equal(delay(1, { kind: "network" }), 200);
  assert.equal(delay(3, { kind: "network" }), 800);
  assert.equal(delay(40, { kind: "network" }), 5000);
  assert.equal(delay(1, refused(503, "unavailable", 2000)), 2000);
  assert.equal(delay(1, refused(503, "unavailable", 999_000)), 5000);
  assert.equal(retryAfterMs("3"), 3000);
  assert.equal(retryAfterMs("Wed, 21 Oct 2026 07:28:00 GMT"), undefined);
  assert.equal(retryAfterMs(null), undefined);
});

Deno.test("planResume() goes on only when everything fits", () => {
  const wanted = { id: "g/1", sizeBytes: 100 };
  const note = { id: "g/1", etag: '"x"', sizeBytes: 100 };
  const plan = (sizeBytes: number, changed: Partial<typeof note> = {}) =>
    planResume(wanted, { sizeBytes, note: { ...note, ...changed } }).kind;
  assert.equal(plan(40), "resume");
  assert.equal(plan(100), "complete");
  assert.equal(plan(0), "fresh");
  assert.equal(plan(101), "fresh");
  assert.equal(plan(40, { id: "g/2" }), "fresh");
  assert.equal(plan(40, { sizeBytes: 99 }), "fresh");
  assert.equal(plan(40, { etag: 'W/"x"' }), "fresh");
  assert.equal(
    planResume(wanted, { sizeBytes: 40, note: undefined }).kind,
    "fresh",
  );
  assert.deepEqual(planResume(wanted, { sizeBytes: 40, note }), {
    kind: "resume",
    from: 40,
    etag: '"x"',
  });
});

Deno.test("rangeAnswer() trusts only the range that was asked for", () => {
  assert.equal(rangeAnswer(0, 200, null), "whole");
  assert.equal(rangeAnswer(5, 200, null), "whole");
  assert.equal(rangeAnswer(5, 206, "bytes 5-9/10"), "rest");
  assert.equal(rangeAnswer(5, 206, "bytes 4-9/10"), "wrong");
  assert.equal(rangeAnswer(5, 206, null), "wrong");
});
