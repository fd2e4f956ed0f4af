import assert from "node:assert/strict";
import { encodeFileName } from "@kedge/schema/file-id";
import { verifyCapability } from "@kedge/schema/capability";
import { refusalOf, testTracker } from "../testing.ts";

/** A file of node 2, old enough to be everywhere. */
const NAME = encodeFileName({
  origin: 2,
  createdS: 1_700_000_000,
  sizeBytes: 5,
  crc32: 7,
  appender: false,
  random: 1,
  digits: 1,
  extension: "txt",
});
const ID = `group1/M00/02/44/${NAME}`;

const CHANGES = [
  ["DELETE", "", "delete"],
  ["PUT", "/meta", "set-meta"],
  ["PATCH", "/meta", "set-meta"],
  ["POST", "/append", "append"],
  ["PUT", "/content", "modify"],
  ["POST", "/truncate", "truncate"],
  ["POST", "/derived", "derive"],
] as const;

Deno.test("each change is redirected to the owner with its own capability", async () => {
  using tracker = await cluster();
  for (const [method, suffix, action] of CHANGES) {
    const path = `/v1/files/${ID}${suffix}`;
    const response = await tracker.ask(`${method} ${path}?offset=3&x=%20`);
    assert.equal(response.status, 307, path);
    const url = new URL(response.headers.get("location") ?? "");
    assert.equal(url.origin, "http://10.0.0.2:9000");
    assert.equal(url.pathname, path);
    assert.match(url.search, /^\?cap=[^&]+&offset=3&x=%20$/);
    const verified = verifyCapability(
      url.searchParams.get("cap") ?? "",
      tracker.keys,
      tracker.clock.wallMs(),
    );
    assert(verified.ok);
    const { a, g, n, f } = verified.claims;
    assert.deepEqual({ a, g, n, f }, {
      a: action,
      g: "group1",
      n: 2,
      f: ID,
    });
  }
});

Deno.test("reads are redirected without a capability and without a key", async () => {
  using tracker = await cluster();
  const paths = [`/${ID}`, `/v1/files/${ID}/info`, `/v1/files/${ID}/meta`];
  for (const path of paths) {
    for (const method of ["GET", "HEAD"]) {
      const response = await tracker.ask(
        `${method} ${path}?download=a%20b&cap=x`,
        { auth: null },
      );
      assert.equal(response.status, 307);
      const location = response.headers.get("location") ?? "";
      assert.match(location, /^http:\/\/10\.0\.0\.[12]:9000\//);
      assert(location.endsWith(`${path}?download=a%20b`), location);
    }
  }
});

Deno.test("what is not a file ID is refused, whatever it looks like", async () => {
  using tracker = await cluster();
  const names = [
    NAME.slice(1),
    `${NAME}%2F..%2F..%2Fetc`,
    NAME.replace(".txt", ".t%00t"),
    "x".repeat(34),
    `${NAME}${"x".repeat(60)}`,
    "%0d%0aLocation:%20http:%2F%2Fevil.example",
  ];
  for (const name of names) {
    const refusal = await refusalOf(
      tracker.ask(`GET /group1/M00/02/44/${name}`, { auth: null }),
    );
    assert.equal(refusal.type, "/problems/invalid-file-id", name);
  }
});

Deno.test("a file of a group that is not there is not found", async () => {
  using tracker = await cluster();
  const read = await refusalOf(tracker.ask(`GET /none/M00/02/44/${NAME}`));
  assert.equal(read.type, "/problems/group-not-found");
  const change = await refusalOf(
    tracker.ask(`DELETE /v1/files/none/M00/02/44/${NAME}`),
  );
  assert.equal(change.type, "/problems/group-not-found");
});

Deno.test("a change without a live owner says who is missing", async () => {
  using tracker = await cluster();
  tracker.clock.nowMs += 4001;
  await tracker.report(tracker.nodes[0]);
  tracker.clock.nowMs += 251;
  const path = `/v1/files/${ID}/append`;
  const response = await tracker.ask(`POST ${path}`);
  assert.equal(response.headers.get("retry-after"), "1");
  const refusal = await refusalOf(response);
  assert.equal(refusal.type, "/problems/unavailable");
  assert.match(String(refusal.detail), /Node 2/);
});

Deno.test("an operator's request to a node carries a capability for that node", async () => {
  using tracker = await cluster();
  const rows = [
    ["POST /v1/nodes/2/scrub", "/v1/node/scrub"],
    ["GET /v1/nodes/2/scrub", "/v1/node/scrub"],
    ["GET /v1/nodes/2/files", "/v1/files"],
    ["POST /v1/nodes/2/migration", "/v1/node/migration"],
    ["GET /v1/nodes/2/migration", "/v1/node/migration"],
    ["DELETE /v1/nodes/2/migration", "/v1/node/migration"],
    ["POST /v1/nodes/2/confirm", "/v1/node/confirm"],
    ["POST /v1/nodes/2/paths/7/open", "/v1/node/paths/7/open"],
  ] as const;
  for (const [request, path] of rows) {
    const response = await tracker.ask(`${request}?limit=5`);
    const url = new URL(response.headers.get("location") ?? "");
    assert.equal(url.origin + url.pathname, `http://10.0.0.2:9000${path}`);
    assert.equal(url.searchParams.get("limit"), "5");
    const cap = url.searchParams.get("cap") ?? "";
    const nowMs = tracker.clock.wallMs();
    const verified = verifyCapability(cap, tracker.keys, nowMs);
    assert(verified.ok);
    assert.deepEqual([verified.claims.a, verified.claims.n], ["operate", 2]);
  }
});

/** Two nodes in sync. */
async function cluster() {
  const tracker = await testTracker();
  const one = await tracker.join({ url: "http://10.0.0.1:9000" });
  const two = await tracker.join({ url: "http://10.0.0.2:9000" });
  await tracker.grow(two);
  return {
    ...tracker,
    nodes: [one, two] as const,
    keys: one.reply.signingKeys,
    report: (node: typeof one) =>
      tracker.report(node, { url: `http://10.0.0.${node.node}:9000` }),
    [Symbol.dispose]: () => tracker[Symbol.dispose](),
  };
}
