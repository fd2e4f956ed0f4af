import assert from "node:assert/strict";
import fc from "fast-check";
import { testTracker } from "../testing.ts";

const anyMethod = fc.constantFrom(
  ...["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"],
);

/** Pieces of real paths next to nonsense, so that routes are really reached. */
const anySegment = fc.oneof(
  fc.constantFrom(
    ...["v1", "files", "uploads", "groups", "nodes", "tokens", "register"],
    ...["group1", "M00", "03", "4C", "1", "join", "heartbeat", "mode", "info"],
    ...["fwALAmsCk_yAZCHIAAAADvqdFXc323.txt", "meta", "append", "scrub"],
    ...["..", ".", "%2e%2e", "%00", "%ff", "%", "a".repeat(2000)],
  ),
  fc.string({ unit: "binary", maxLength: 12 })
    .map((text) => encodeURIComponent(text.toWellFormed())),
);

const anyQuery = fc.oneof(
  fc.constant(""),
  fc.string({ maxLength: 30 }).map((text) =>
    `?${encodeURI(text.toWellFormed())}`
  ),
  fc.constantFrom(
    "?cap=x",
    "?level=D",
    "?group=%00",
    "?offset=-1",
    "?%",
    "?&&=",
  ),
);

const anyBody = fc.oneof(
  fc.constant(null),
  fc.json(),
  fc.string({ maxLength: 50 }),
  fc.constantFrom(
    '{"__proto__":{"ok":true}}',
    '{"sizeBytes":1e400}',
    '{"name":"\\ud800"}',
    "[".repeat(5000),
    '{"token":"xxxxxxxxxxxxxxxxxxxx","heartbeat":{}}',
  ),
);

const anyAuthorization = fc.constantFrom(
  ...["admin", "admin", "node", "node", "none"],
  ...[
    "Bearer",
    "Bearer \u00ff",
    "Kedge-Node 0:x",
    `Kedge-Node 1:${"x".repeat(40)}`,
  ],
  ...["Basic eDp5", `Bearer ${"x".repeat(5000)}`],
);

Deno.test("no request makes the tracker fail, and every refusal is a problem", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const known: Record<string, string | null> = { node: node.auth, none: null };
  const anyRoute = fc.tuple(
    fc.constantFrom(...tracker.tracker.routes),
    fc.array(anySegment, { minLength: 5, maxLength: 5 }),
  ).map(([{ method, path }, values]) => ({
    method,
    path: path.replace(
      /:(\w+)(\{[^/]*\})?/g,
      (_, name) => name === "store" ? "M00" : values.pop() ?? "",
    ),
  }));
  const anyPath = fc.record({
    method: anyMethod,
    path: fc.array(anySegment, { maxLength: 8 }).map((all) => all.join("/")),
  });
  const statuses = new Set<number>();
  const anyRequest = fc.record({
    target: fc.oneof(anyRoute, anyPath),
    query: anyQuery,
    body: anyBody,
    authorization: anyAuthorization,
  });
  await fc.assert(
    fc.asyncProperty(anyRequest, async (given) => {
      const { method, path } = given.target;
      const url = `http://127.0.0.1/${path.replace(/^\//, "")}${given.query}`;
      const headers = new Headers();
      const auth = given.authorization in known
        ? known[given.authorization]
        : given.authorization === "admin"
        ? "Bearer test-admin-key-0123456789-0123456789"
        : given.authorization;
      if (auth) headers.set("authorization", auth);
      const hasBody = method !== "GET" && method !== "HEAD";
      const body = hasBody ? given.body : null;
      const response = await tracker.tracker.fetch(
        new Request(url, { method, headers, body }),
      );
      assert.notEqual(response.status, 500, tracker.log.at(-1));
      statuses.add(response.status);
      const type = response.headers.get("content-type");
      if (response.status >= 400) {
        assert.equal(type, "application/problem+json");
      }
      await response.body?.cancel();
    }),
    { numRuns: 3000 },
  );
  // It does reach behind the doors.
  for (const status of [200, 307, 400, 401, 404, 405]) {
    assert(statuses.has(status), `never ${status}`);
  }
});
