import assert from "node:assert/strict";
import { JSON_BODY_BYTES_MAX } from "@kedge/schema";
import { refusalOf, testTracker } from "../testing.ts";

Deno.test("an unknown path is a 404 problem with a request id", async () => {
  using tracker = await testTracker();
  for (const path of ["/", "/nope", "/v1", "/v1/files/a/b", "/group1/M00/x"]) {
    const refusal = await refusalOf(tracker.ask(`GET ${path}`));
    assert.equal(refusal.type, "/problems/not-found", path);
    assert.match(String(refusal.instance), /^\/requests\/[0-9a-f-]{36}$/);
    assert(refusal.next);
  }
});

Deno.test("a wrong method is a 405 problem that names the right ones", async () => {
  using tracker = await testTracker();
  const response = await tracker.ask("DELETE /v1/groups");
  assert.equal(response.headers.get("allow"), "GET, HEAD, POST");
  const refusal = await refusalOf(response);
  assert.equal(refusal.status, 405);
});

Deno.test("HEAD is answered like GET, without a body", async () => {
  using tracker = await testTracker();
  const response = await tracker.ask("HEAD /health");
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "");
});

Deno.test("a body that is not JSON, or of the wrong shape, names what is wrong", async () => {
  using tracker = await testTracker();
  const text = await refusalOf(
    tracker.tracker.fetch(
      new Request("http://127.0.0.1/v1/nodes/join", {
        method: "POST",
        body: "{",
      }),
    ),
  );
  assert.equal(text.status, 400);
  assert.match(String(text.detail), /not JSON/);
  const shape = await refusalOf(tracker.ask("POST /v1/uploads", {
    body: { sizeBytes: -1, level: "D" },
  }));
  const issues = shape.issues as { path: string }[];
  assert.deepEqual(issues.map(({ path }) => path), ["sizeBytes", "level"]);
});

Deno.test("a body over the limit is refused, announced or not", async () => {
  using tracker = await testTracker();
  const big = new Uint8Array(JSON_BODY_BYTES_MAX + 1).fill(32);
  const bodies: [BodyInit, Record<string, string>][] = [
    [big, { "content-length": `${big.length}` }],
    [new Blob([big]).stream(), {}],
  ];
  for (const [body, headers] of bodies) {
    const request = new Request("http://127.0.0.1/v1/nodes/join", {
      method: "POST",
      headers,
      body,
    });
    const refusal = await refusalOf(tracker.tracker.fetch(request));
    assert.equal(refusal.type, "/problems/too-large");
  }
});

Deno.test("a bug is a bare 500 and goes to the log with its request id", async () => {
  using tracker = await testTracker();
  await tracker.join();
  tracker.kv.list = () => Promise.reject(new RangeError("secret thing"));
  tracker.kv.get = () => Promise.reject(new RangeError("secret thing"));
  const refusal = await refusalOf(tracker.ask("GET /v1/tokens"));
  assert.equal(refusal.type, "/problems/internal");
  assert(!JSON.stringify(refusal).includes("secret thing"));
  const line = JSON.parse(tracker.log.at(-1) ?? "{}");
  assert.equal(line.instance, refusal.instance);
  assert.match(line.bug, /secret thing/);
});

Deno.test("the log has one line per request and never a query or a key", async () => {
  using tracker = await testTracker({ env: { KEDGE_REQUEST_LOG: "all" } });
  await tracker.ask("GET /v1/groups?cap=secret");
  await tracker.ask("PUT /v1/files/x?cap=secret");
  const lines = tracker.log.map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ path, status }) => [path, status]), [
    ["/v1/groups", 200],
    ["/v1/files/x", 503],
  ]);
  assert(!tracker.log.join().includes("secret"));
  assert(!tracker.log.join().includes("Bearer"));
});
