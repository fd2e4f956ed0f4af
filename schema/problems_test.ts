import assert from "node:assert/strict";
import { Problem, problemResponse, PROBLEMS } from "./problems.ts";

Deno.test("problemResponse() is a problem document with the next step", async () => {
  const response = problemResponse(
    new Problem("stale-epoch", "Epoch 3 is over", { epoch: 4 }),
  );
  assert.equal(response.status, 409);
  assert.equal(
    response.headers.get("content-type"),
    "application/problem+json",
  );
  assert.deepEqual(await response.json(), {
    type: "/problems/stale-epoch",
    title: PROBLEMS["stale-epoch"].title,
    status: 409,
    detail: "Epoch 3 is over",
    next: PROBLEMS["stale-epoch"].next,
    epoch: 4,
  });
});

Deno.test("problemResponse() says when to come back", () => {
  const response = problemResponse(new Problem("unavailable", "x"));
  assert.equal(response.headers.get("retry-after"), "1");
});

Deno.test("PROBLEMS name a status, a title and a next step each", () => {
  for (const [slug, row] of Object.entries(PROBLEMS)) {
    assert.match(slug, /^[a-z0-9-]+$/);
    assert(row.status >= 400 && row.status < 600, slug);
    assert(row.title.length > 0 && row.next.length > 0, slug);
  }
});
