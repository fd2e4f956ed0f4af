import assert from "node:assert/strict";
import { parseFileId } from "@kedge/schema/file-id";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";
import type { Ask } from "../../../tests/helpers/fake_door.ts";
import { Problem } from "@kedge/schema";
import {
  entryOf,
  form,
  hash,
  isEmpty,
  LARGE,
  pieces,
  put,
} from "../../../tests/helpers/door_uploads.ts";

const FORM = { "content-type": "multipart/form-data; boundary=b" };

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
