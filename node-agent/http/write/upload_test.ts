import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { parseFileId } from "@kedge/schema/file-id";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";
import type { Ask } from "../../../tests/helpers/fake_door.ts";
import { Problem } from "@kedge/schema";

const hash = (name: string, text: string, form: "hex" | "base64" = "hex") =>
  createHash(name).update(text).digest(form);
const LARGE = new Uint8Array(200_000).map((_, at) => at % 253);

function put(door: FakeDoor, path: string, ask: Ask): Promise<Response> {
  return door.ask(path, { method: "PUT", cap: {}, ...ask });
}

function isEmpty(door: FakeDoor): void {
  assert.equal(door.files.stored.size, 0);
  assert.equal(door.files.staging.size, 0);
}

function entryOf(door: FakeDoor, id: string) {
  const entry = door.files.lookup(id);
  assert(entry);
  return entry;
}

/** A body in pieces; the last may fail. */
function pieces(...list: (string | Uint8Array | Error)[]) {
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = list.shift();
      if (next === undefined) controller.close();
      else if (next instanceof Error) controller.error(next);
      else if (typeof next === "string") {
        controller.enqueue(new TextEncoder().encode(next));
      } else controller.enqueue(next);
    },
  });
}

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

Deno.test("nothing is read from a body that is refused", async () => {
  const door = new FakeDoor();
  let pulls = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulls++;
      controller.enqueue(new Uint8Array(1000));
    },
  }, { highWaterMark: 0 });
  const refused: Ask[] = [
    { cap: undefined },
    { cap: { g: "group2" } },
    { cap: { n: 2 } },
    { cap: { s: 10 }, headers: { "content-length": "1000000" } },
    { headers: { "content-type": "multipart/mixed; boundary=a" } },
    { headers: { "content-encoding": "gzip" } },
    { headers: { "content-length": "abc" } },
  ];
  for (const ask of refused) {
    const response = await put(door, "/v1/files", { ...ask, body });
    assert(response.status >= 400, JSON.stringify(ask));
  }
  door.replicator.writable = { ok: false, why: "draining" };
  assert.equal((await put(door, "/v1/files", { body })).status, 503);
  assert.equal(pulls, 0);
  isEmpty(door);
});

Deno.test("a client that goes away in the middle leaves nothing", async () => {
  const door = new FakeDoor();
  const gone = () => pieces(LARGE, new Error("connection reset"));
  const form = { "content-type": "multipart/form-data; boundary=b" };
  const part = '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n';
  const asks: Ask[] = [
    { body: gone() },
    { body: gone(), headers: { "content-length": "1000000" } },
    {
      body: pieces("x", new Error("reset")),
      headers: { "content-length": "9" },
    },
    { body: pieces(part, LARGE, new Error("reset")), headers: form },
  ];
  for (const ask of asks) {
    const response = await put(door, "/v1/files", ask);
    assert.equal(await slugOf(response), "incomplete-body");
    isEmpty(door);
  }
  assert(door.replicator.relays.every((relay) => relay.end === "aborted"));
});

Deno.test("a body that the closing server takes away is not the client's fault", async () => {
  const door = new FakeDoor();
  const taken = () => pieces(LARGE, new Deno.errors.BadResource("closed"));
  const headers = { "content-length": "1000000" };
  for (const ask of [{ body: taken() }, { body: taken(), headers }]) {
    const response = await put(door, "/v1/files", ask);
    assert.equal(response.status, 503);
    assert.equal(await slugOf(response), "unavailable");
    isEmpty(door);
  }
});

Deno.test("a body of another length than announced is refused", async () => {
  const door = new FakeDoor();
  for (const length of ["4", "6"]) {
    const headers = { "content-length": length };
    const response = await put(door, "/v1/files", {
      headers,
      body: pieces("12345"),
    });
    assert.equal(await slugOf(response), "incomplete-body");
  }
  isEmpty(door);
});

Deno.test("a body that crawls is ended", async () => {
  const limits = { bodyWindowMs: 1000, bodyBytesPerSecondMin: 100 };
  for (const headers of [{}, { "content-length": "50" }]) {
    const door = new FakeDoor({ limits });
    const slow = new ReadableStream<Uint8Array>({
      start() {},
      pull: () => new Promise(() => {}),
    });
    const stuck = put(door, "/v1/files", { headers, body: slow });
    await new Promise((resolve) => setTimeout(resolve));

    door.clock.nowMs += 1501;
    const response = await stuck;
    assert.equal(response.status, 408);
    assert.equal(await slugOf(response), "request-timeout");
    isEmpty(door);
  }
});

Deno.test("a slow disk is not a slow client", async () => {
  const limits = { bodyWindowMs: 1000, bodyBytesPerSecondMin: 100 };
  const door = new FakeDoor({ limits });
  const { stage } = door.files;
  door.files.stage = async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 600));
    return await stage.call(door.files, request);
  };
  const upload = put(door, "/v1/files", { body: pieces("a", "b") });
  await new Promise((resolve) => setTimeout(resolve));
  door.clock.nowMs += 60_000;
  assert.equal((await upload).status, 201);
});

Deno.test("more bodies than allowed at once are refused", async () => {
  const door = new FakeDoor({ limits: { bodiesMax: 1 } });
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await promise;
      controller.close();
    },
  });
  const first = put(door, "/v1/files", { body: waiting });
  const second = await put(door, "/v1/files", { body: "x" });
  assert.equal(second.status, 429);
  assert.equal(second.headers.get("retry-after"), "1");
  resolve();
  assert.equal((await first).status, 201);
  assert.equal((await put(door, "/v1/files", { body: "x" })).status, 201);
});

Deno.test("a refusal of the group says so and leaves nothing", async () => {
  const slugs = [
    "not-in-sync",
    "insufficient-storage",
    "read-only",
    "uncertain",
  ] as const;
  for (const slug of slugs) {
    const door = new FakeDoor();
    door.replicator.commitFailure = new Problem(slug, "because");
    const response = await put(door, "/v1/files", { body: pieces(LARGE) });
    assert.equal(await slugOf(response), slug);
    // Only where nothing can refer to them are the bytes thrown away at once.
    const isSure = slug === "not-in-sync" || slug === "insufficient-storage";
    assert.equal(door.files.staging.size, isSure ? 0 : 1, slug);
  }
  const door = new FakeDoor();
  door.files.stageFailure = new Problem("insufficient-storage", "full");
  const response = await put(door, "/v1/files", { body: "x" });
  assert.equal(response.status, 507);
  isEmpty(door);
});

Deno.test("the same Idempotency-Key gives the same file", async () => {
  const door = new FakeDoor();
  const headers = { "idempotency-key": "k-1" };
  const first = await door.upload("x", "/v1/files/a.txt", { headers });
  const again = await door.upload("x", "/v1/files/a.txt", { headers });
  assert.deepEqual(again, first);
  const level = await door.upload("x", "/v1/files?level=A", { headers });
  assert.deepEqual(level, { ...first, level: "A", holders: [1] });
  assert.equal(door.files.fileCount(), 1);
  const other = await put(door, "/v1/files", { headers, body: "y" });
  assert.equal(await slugOf(other), "idempotency-conflict");
  const cap = { a: "delete", f: first.id } as const;
  await door.ask(`/v1/files/${first.id}`, { method: "DELETE", cap });
  const late = await put(door, "/v1/files", { headers, body: "x" });
  assert.equal(await slugOf(late), "idempotency-conflict");
  assert.equal(door.files.fileCount(), 0);
});

Deno.test("a retry after an uncertain answer tells what is sure now", async () => {
  const door = new FakeDoor();
  const headers = { "idempotency-key": "k-1" };
  const first = await door.upload("x", "/v1/files", {
    headers,
    cap: { l: "A" },
  });
  door.replicator.commitFailure = new Problem("uncertain", "peer is silent");
  const retry = await put(door, "/v1/files", { headers, body: "x" });
  assert.equal(await slugOf(retry), "uncertain");
  door.replicator.commitFailure = undefined;
  const sure = await door.upload("x", "/v1/files", { headers });
  assert.deepEqual(sure, { ...first, level: "B", holders: [1, 2] });
});

Deno.test("uploads under one key wait for the first", async () => {
  const door = new FakeDoor();
  const { promise, resolve } = Promise.withResolvers<void>();
  door.replicator.gate = promise;
  const { stage } = door.files;
  let stages = 0;
  door.files.stage = async (request) => {
    const staged = await stage.call(door.files, request);
    stages++;
    return staged;
  };
  const headers = { "idempotency-key": "k-1" };
  const both = [0, 1].map(() => door.upload("x", "/v1/files", { headers }));
  await eventually(() => stages === 2, { what: "both bodies to be here" });
  resolve();
  const [first, second] = await Promise.all(both);
  assert.equal(first?.id, second?.id);
  assert.equal(door.files.fileCount(), 1);
});

function form(parts: Record<string, string>, file = "hello", end = "--") {
  const fields = Object.entries(parts).map(([name, value]) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  );
  return `${fields.join("")}--b\r\nContent-Disposition: form-data; ` +
    `name="file"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\n` +
    `${file}\r\n--b${end}\r\n`;
}
const FORM = { "content-type": "multipart/form-data; boundary=b" };

Deno.test("a form has one file and a few small fields", async () => {
  const door = new FakeDoor();
  const body = form({
    name: "é.gif",
    level: "C",
    sha256: hash("sha256", "hello"),
  });
  for (const method of ["POST", "PUT"]) {
    const response = await door.ask("/v1/files", {
      method,
      cap: {},
      headers: FORM,
      body,
    });
    assert.equal(response.status, 201);
    const { id, level } = await response.json();
    assert.equal(level, "C");
    const entry = entryOf(door, id);
    assert.equal(entry.name, "é.gif");
    assert.equal(entry.type, "image/png");
    assert.equal(parseFileId(id)?.extension, "gif");
    assert.equal(await (await door.ask(`/${id}`)).text(), "hello");
  }
});

Deno.test("fields may come after the file, and nothing is buffered", async () => {
  const door = new FakeDoor();
  const head =
    '--b\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n';
  const tail =
    '\r\n--b\r\nContent-Disposition: form-data; name="ext"\r\n\r\ndat\r\n--b--';
  const body = pieces(head, LARGE.slice(0, 70_000), LARGE.slice(70_000), tail);
  const response = await put(door, "/v1/files", { headers: FORM, body });
  assert.equal(response.status, 201);
  const { id, size } = await response.json();
  assert.equal(size, LARGE.length);
  assert.match(id, /\.dat$/);
});

Deno.test("a form that is not whole or not sound leaves nothing", async () => {
  const cases: [string | ReadableStream<Uint8Array>, string, Partial<Ask>?][] =
    [
      [form({}, "hello", ""), "incomplete-body"],
      [form({}).slice(0, -8), "incomplete-body"],
      ["", "incomplete-body"],
      ["--b--", "invalid-request"],
      [form({ level: "X" }), "invalid-request"],
      [form({ sha256: hash("sha256", "other") }), "checksum-mismatch"],
      [form({ note: "x".repeat(5000) }), "invalid-request"],
      [form({}).replace("--b--", form({})), "unsupported-media-type"],
      [form({}), "too-large", { cap: { s: 4 } }],
      [form({}), "checksum-mismatch", {
        headers: { ...FORM, "content-md5": hash("md5", "hello", "base64") },
      }],
    ];
  for (const [body, slug, more] of cases) {
    const door = new FakeDoor();
    const response = await put(door, "/v1/files", {
      headers: FORM,
      body,
      ...more,
    });
    assert.equal(await slugOf(response), slug, String(body).slice(0, 80));
    isEmpty(door);
  }
});

Deno.test("a checksum in the headers of a form is about the whole body", async () => {
  const body = form({});
  const headers = { ...FORM, "content-md5": hash("md5", body, "base64") };
  const response = await put(new FakeDoor(), "/v1/files", { headers, body });
  assert.equal(response.status, 201);
});
