import assert from "node:assert/strict";
import { parseFileId } from "@kedge/schema/file-id";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";
import type { Ask } from "../../../tests/helpers/fake_door.ts";
import {
  entryOf,
  hash,
  isEmpty,
  LARGE,
  pieces,
  put,
} from "../../../tests/helpers/door_uploads.ts";

Deno.test("an upload answers what was done", async () => {
  const door = new FakeDoor();
  const response = await put(door, "/v1/files/a.txt", { body: "hello" });
  assert.equal(response.status, 201);
  const body = await response.json();
  assert.deepEqual(body, {
    id: body.id,
    url: `http://node1.test/${body.id}`,
    size: 5,
    sha256: hash("sha256", "hello"),
    level: "B",
    holders: [1, 2],
  });
  assert.equal(response.headers.get("location"), body.url);
  assert(!response.headers.has("access-control-allow-origin"));
  const parsed = parseFileId(body.id);
  assert.equal(parsed?.extension, "txt");
  assert.equal(parsed?.origin, 1);
  const entry = entryOf(door, body.id);
  assert.equal(entry.name, "a.txt");
  assert.equal(entry.version, 1);
  assert.equal(entry.epoch, 3);
  assert.equal(entry.createdS, parsed?.createdS);
});

Deno.test("an upload from a page of another site may be read there", async () => {
  const headers = { origin: "https://app.test" };
  const door = new FakeDoor();
  const response = await put(door, "/v1/files", { body: "hello", headers });
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.equal(
    response.headers.get("access-control-expose-headers"),
    "Location",
  );
});

Deno.test("a body without a length is streamed, with a relay to the peers", async () => {
  const door = new FakeDoor();
  const body = pieces(LARGE.slice(0, 1000), LARGE.slice(1000));
  const response = await put(door, "/v1/files", { body });
  assert.equal(response.status, 201);
  const { id, size } = await response.json();
  assert.equal(size, LARGE.length);
  const get = await door.ask(`/${id}`);
  assert.deepEqual(new Uint8Array(await get.arrayBuffer()), LARGE);
  assert.deepEqual(door.replicator.relays, [{
    bytes: 200_000,
    end: "finished",
  }]);
  assert.equal(door.files.staging.size, 0);
});

Deno.test("the path and the query give name, extension and level", async () => {
  const door = new FakeDoor();
  const at = async (path: string, headers: Record<string, string> = {}) =>
    entryOf(door, (await door.upload("x", path, { headers })).id);
  assert.equal((await at("/v1/files/b.tar.gz")).id.slice(-7), ".tar.gz");
  assert.equal((await at("/v1/files/a.jpeg?ext=png")).id.slice(-4), ".png");
  assert.equal((await at("/v1/files?name=c.txt")).name, "c.txt");
  assert.equal(
    (await at("/v1/files/%E6%96%87%20e%CC%81.txt")).name,
    "文 é.txt",
  );
  assert.equal((await at("/v1/files/..%2F..%2Fetc%2Fpasswd")).name, "passwd");
  assert.equal((await at("/v1/files/C:%5Cx%5Cy.txt")).name, "y.txt");
  assert.equal((await at("/v1/files")).name, null);
  await at("/v1/files?level=a");
  await at("/v1/files", { "x-kedge-level": "C" });
  assert.deepEqual(door.replicator.committed.slice(-2).map((c) => c.level), [
    "A",
    "C",
  ]);
});

Deno.test("the stored type is what the client meant", async () => {
  const door = new FakeDoor();
  const typed = async (type: string) => {
    const headers = { "content-type": type };
    return entryOf(door, (await door.upload("x", "/v1/files", { headers })).id)
      .type;
  };
  assert.equal(await typed("Image/PNG"), "image/png");
  assert.equal(await typed("application/x-www-form-urlencoded"), null);
});

Deno.test("metadata comes in headers, in UTF-8", async () => {
  const door = new FakeDoor();
  const headers = {
    "x-kedge-meta-width": "100",
    "x-kedge-meta-title": String.fromCharCode(0xc3, 0xa9),
  };
  const { id } = await door.upload("x", "/v1/files", { headers });
  const meta = await door.ask(`/v1/files/${id}/meta`);
  assert.deepEqual(await meta.json(), { title: "é", width: "100" });
});

Deno.test("what a client says wrongly is named, and nothing is stored", async () => {
  const cases: [string, Record<string, string>, string][] = [
    ["/v1/files/%ff", {}, "name"],
    ["/v1/files/a%00b", {}, "name"],
    ["/v1/files/a%0Ab", {}, "name"],
    ["/v1/files/%E2%80%AEgpj.exe", {}, "name"],
    [`/v1/files/${"a".repeat(1025)}`, {}, "name"],
    ["/v1/files?ext=toolong", {}, "ext"],
    ["/v1/files?ext=..%2F", {}, "ext"],
    ["/v1/files?level=D", {}, "level"],
    ["/v1/files?appender=maybe", {}, "appender"],
    ["/v1/files", { "content-type": "nonsense" }, "content-type"],
    ["/v1/files", { "x-kedge-sha256": "abc" }, "sha256"],
    ["/v1/files", { "content-md5": "abc" }, "content-md5"],
    ["/v1/files", { "digest": "sha-256=!!" }, "digest"],
    ["/v1/files", { "content-digest": "sha-256=abc" }, "content-digest"],
    ["/v1/files", { "idempotency-key": "a b" }, "idempotency-key"],
    ["/v1/files", { "idempotency-key": "a".repeat(256) }, "idempotency-key"],
    ["/v1/files", { "x-kedge-meta-a": "b".repeat(257) }, "meta"],
    ["/v1/files", { [`x-kedge-meta-${"a".repeat(65)}`]: "b" }, "meta"],
    ["/v1/files", { "x-kedge-meta-a": "\xff" }, "meta"],
  ];
  for (const [path, headers, field] of cases) {
    const door = new FakeDoor();
    const response = await put(door, path, { headers, body: "x" });
    assert.equal(response.status, 400, path + JSON.stringify(headers));
    const problem = await response.json();
    assert.match(
      JSON.stringify(problem),
      new RegExp(`"${field}"|${field} `),
      path,
    );
    isEmpty(door);
  }
});

Deno.test("announced checksums are checked before anything is stored", async () => {
  const text = "hello";
  const sha256 = hash("sha256", text, "base64");
  const good: Record<string, string>[] = [
    { "content-md5": hash("md5", text, "base64") },
    { "digest": `SHA-256=${sha256}` },
    { "digest": `md5=${hash("md5", text, "base64")},unixsum=30637` },
    { "content-digest": `sha-256=:${sha256}:` },
    { "repr-digest": `sha-512=:${hash("sha512", text, "base64")}:` },
    { "x-kedge-sha256": hash("sha256", text).toUpperCase() },
    { "digest": "adler32=03da0195" },
  ];
  for (const headers of good) {
    for (const body of [text, pieces("he", "llo")]) {
      const response = await put(new FakeDoor(), "/v1/files", {
        headers,
        body,
      });
      assert.equal(response.status, 201, JSON.stringify(headers));
    }
  }
  for (const headers of good.slice(0, 6)) {
    for (const body of ["hellO", pieces("hel", "lO"), pieces(LARGE)]) {
      const door = new FakeDoor();
      const response = await put(door, "/v1/files", { headers, body });
      assert.equal(response.status, 400, JSON.stringify(headers));
      assert.equal(await slugOf(response), "checksum-mismatch");
      isEmpty(door);
    }
  }
});

Deno.test("the capability limits size, level and content", async () => {
  const door = new FakeDoor();
  const reason = async (ask: Ask) => {
    const response = await put(door, "/v1/files", ask);
    const { type, reason } = await response.json();
    return `${response.status} ${reason ?? type}`;
  };
  const small = { cap: { s: 4 } };
  assert.equal(
    await reason({ ...small, body: "12345" }),
    "413 /problems/too-large",
  );
  assert.equal(
    await reason({ ...small, body: pieces("12", "345") }),
    "413 /problems/too-large",
  );
  assert.equal(
    (await put(door, "/v1/files", { ...small, body: "1234" })).status,
    201,
  );
  door.replicator.groupSettings = { level: "B", fileBytesMax: 3 };
  assert.equal(
    await reason({ ...small, body: "1234" }),
    "413 /problems/too-large",
  );
  door.replicator.groupSettings = { level: "B", fileBytesMax: 100 };
  const level = { cap: { l: "C" as const }, headers: { "x-kedge-level": "A" } };
  assert.equal(await reason({ ...level, body: "x" }), "403 wrong-level");
  const { level: reached } = await door.upload("x", "/v1/files", {
    cap: { l: "C" },
  });
  assert.equal(reached, "C");
  const h = hash("sha256", "right");
  assert.equal(
    await reason({ cap: { h }, body: "wrong" }),
    "400 /problems/checksum-mismatch",
  );
  const other = { "x-kedge-sha256": hash("sha256", "x") };
  assert.equal(
    await reason({ cap: { h }, headers: other, body: "x" }),
    "403 wrong-hash",
  );
  assert.equal(
    (await put(door, "/v1/files", { cap: { h }, body: "right" })).status,
    201,
  );
  const { id } = await door.upload("x", "/v1/files", { cap: { p: 7 } });
  assert.match(id, /^group1\/M07\//);
});
