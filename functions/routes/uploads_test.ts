import assert from "node:assert/strict";
import { PlacedUpload, SigningKey } from "@kedge/schema";
import {
  type CapabilityClaims,
  verifyCapability,
} from "@kedge/schema/capability";
import { parseSigningKeys } from "../store/signing_keys.ts";
import {
  answerOf,
  heartbeatOf,
  refusalOf,
  type TestTracker,
  testTracker,
} from "../testing.ts";

const MIB = 2 ** 20;

Deno.test("a placed upload binds all that the client asked for", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const sha256 = "a".repeat(64);
  const placed = await answerOf(
    tracker.ask("POST /v1/uploads", {
      body: {
        sizeBytes: 7,
        name: "Grüße / 1.jpg",
        group: "group1",
        level: "C",
        appender: true,
        sha256,
      },
    }),
    PlacedUpload,
  );
  const url = new URL(placed.url);
  assert.equal(
    url.pathname,
    `/v1/files/${encodeURIComponent("Grüße / 1.jpg")}`,
  );
  assert.equal(url.searchParams.get("cap"), placed.capability);
  assert.equal(url.searchParams.get("appender"), "1");
  const { k: _, ...claims } = await claimsOf(tracker, placed.capability);
  const e = tracker.clock.nowMs + 600_000;
  assert.deepEqual(claims, {
    a: "upload",
    g: "group1",
    n: 1,
    p: 0,
    s: 7,
    l: "C",
    h: sha256,
    e,
  });
  assert.equal(placed.expires, new Date(e).toISOString());
});

Deno.test("an upload without a size may have what the group allows", async () => {
  using tracker = await testTracker();
  await tracker.join();
  await tracker.ask("PATCH /v1/groups/group1", { body: { fileBytesMax: MIB } });
  const redirected = await tracker.ask("POST /v1/files");
  assert.equal((await claimsOf(tracker, capOf(redirected))).s, MIB);
  const tooLarge = await refusalOf(
    tracker.ask("POST /v1/uploads", { body: { sizeBytes: MIB + 1 } }),
  );
  assert.equal(tooLarge.type, "/problems/too-large");
});

Deno.test("the announced length of a redirected upload is its limit", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const announced = await tracker.ask("PUT /v1/files/x", {
    headers: { "content-length": "4096" },
  });
  assert.equal((await claimsOf(tracker, capOf(announced))).s, 4096);
});

Deno.test("the caller's query goes along, but never a capability of its own", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const response = await tracker.ask(
    "PUT /v1/files/x?ext=tar.gz&cap=evil&%63ap=evil&level=B&cap",
  );
  const { searchParams } = new URL(response.headers.get("location") ?? "");
  assert.deepEqual([...searchParams.keys()], ["cap", "ext", "level"]);
  assert.equal((await claimsOf(tracker, capOf(response))).l, "B");
  assert.equal(response.headers.get("cache-control"), "no-store");
});

Deno.test("a name is data: one encoded segment, whatever is in it", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const names = [
    "../../etc/passwd",
    "a?b#c&cap=x",
    "%2e%2e%2f",
    "x".repeat(1024),
    "\u0000\r\nx: y",
    "\ud800 lone",
    "日".repeat(341),
  ];
  for (const name of names) {
    const placed = await answerOf(
      tracker.ask("POST /v1/uploads", { body: { name } }),
      PlacedUpload,
    );
    const url = new URL(placed.url);
    const segments = url.pathname.split("/");
    assert.equal(segments.length, 4, name);
    assert.equal(decodeURIComponent(segments[3] ?? ""), name.toWellFormed());
    assert.equal(url.host, "127.0.0.1:9001");
    assert.deepEqual([...url.searchParams.keys()], ["cap"]);
  }
});

Deno.test("a name that cannot be one is refused", async () => {
  using tracker = await testTracker();
  await tracker.join();
  for (const name of [".", "..", "日".repeat(342), "x".repeat(1025)]) {
    const refusal = await refusalOf(
      tracker.ask("POST /v1/uploads", { body: { name } }),
    );
    assert.equal(refusal.type, "/problems/invalid-request");
  }
  const long = await tracker.ask(`PUT /v1/files/${"x".repeat(1025)}`);
  assert.equal(long.status, 400);
});

Deno.test("a path is encoded the same on the way through a redirect", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const response = await tracker.ask("PUT /v1/files/a%2Fb%20%C3%BC%3F.txt");
  const { pathname } = new URL(response.headers.get("location") ?? "");
  assert.equal(pathname, "/v1/files/a%2Fb%20%C3%BC%3F.txt");
});

Deno.test("nowhere to go is told apart: nobody, no room, no such group", async () => {
  using tracker = await testTracker();
  const slug = async (body = {}) =>
    (await refusalOf(tracker.ask("POST /v1/uploads", { body }))).type;
  assert.equal(await slug(), "/problems/no-storage");
  assert.equal(await slug({ group: "none" }), "/problems/group-not-found");
  const [path] = heartbeatOf().storePaths;
  assert(path);
  await tracker.join({ storePaths: [{ ...path, freeBytes: 2 ** 30 }] });
  assert.equal(await slug(), "/problems/insufficient-storage");
});

Deno.test("after a rotation the old key signs until every agent knows the new one", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const [first] = node.reply.signingKeys;
  const signer = async () =>
    (await claimsOf(tracker, capOf(await tracker.ask("PUT /v1/files")))).k;
  await tracker.ask("POST /v1/signing-keys/rotate");
  assert.equal(await signer(), first?.id);
  const told = parseSigningKeys(await tracker.kv.get(["signing-keys"]));
  assert.equal(told.length, 2);
  assert.equal(told[1]?.id, first?.id);
  tracker.clock.nowMs += 6000;
  await tracker.report(node);
  tracker.clock.nowMs += 251; // the tracker reads the KV again
  assert.equal(await signer(), told[0]?.id);
});

Deno.test("a replaced key verifies for 30 minutes more, and ends then", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  await tracker.ask("POST /v1/signing-keys/rotate");
  const keysTold = async () => {
    const response = await tracker.report(node);
    const { signingKeys } = await response.json();
    return SigningKey.array().parse(signingKeys).length;
  };
  tracker.clock.nowMs += 30 * 60_000 - 1;
  assert.equal(await keysTold(), 2);
  tracker.clock.nowMs += 1;
  assert.equal(await keysTold(), 1);
});

Deno.test("a key that is too old is replaced by the next heartbeat, once", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  tracker.clock.nowMs += 86_400_001;
  await Promise.all([tracker.report(node), tracker.report(node)]);
  const stored = parseSigningKeys(await tracker.kv.get(["signing-keys"]));
  assert.equal(stored.length, 2);
});

function capOf(response: Response): string {
  const location = response.headers.get("location") ?? "";
  return new URL(location).searchParams.get("cap") ?? "";
}

async function claimsOf(
  tracker: TestTracker,
  capability: string,
): Promise<CapabilityClaims> {
  const keys = parseSigningKeys(await tracker.kv.get(["signing-keys"]));
  const verified = verifyCapability(capability, keys, tracker.clock.wallMs());
  assert(verified.ok, JSON.stringify(verified));
  return verified.claims;
}

Deno.test("equal Idempotency-Keys go to the same node, at every tracker", async () => {
  using tracker = await testTracker();
  await tracker.join();
  for (const _ of [2, 3]) {
    assert.equal((await tracker.grow(await tracker.join())).status, 200);
  }
  const nodes = new Set<number>();
  for (let at = 0; at < 20; at++) {
    const headers = { "idempotency-key": `key-${at}` };
    const claims = [];
    for (let retry = 0; retry < 4; retry++) {
      for (const ask of ["PUT /v1/files/x", "POST /v1/files"] as const) {
        const moved = await tracker.ask(ask, { headers });
        claims.push(await claimsOf(tracker, capOf(moved)));
      }
      const placed = await answerOf(
        tracker.ask("POST /v1/uploads", { headers, body: {} }),
        PlacedUpload,
      );
      claims.push(await claimsOf(tracker, placed.capability));
    }
    assert.equal(new Set(claims.map(({ n }) => n)).size, 1);
    nodes.add(claims[0]?.n ?? 0);
  }
  assert.equal(nodes.size, 3);
});
