// Requests that no well-behaved client sends, over real sockets (S67, S69).
import assert from "node:assert/strict";
import { serve } from "../adapters/http_server.ts";
import { eventually } from "../../tests/helpers/eventually.ts";
import { FakeDoor } from "../../tests/helpers/fake_door.ts";
import type { HttpLimits } from "./deps.ts";

interface Sockets extends AsyncDisposable {
  readonly door: FakeDoor;
  readonly open: () => Promise<Deno.Conn>;
  /** Send, then read until the server closes or has answered. */
  readonly exchange: (text: string) => Promise<string>;
}

async function sockets(limits: Partial<HttpLimits> = {}): Promise<Sockets> {
  const door = new FakeDoor({ limits });
  const server = await serve(door.app.fetch, {
    hostname: "127.0.0.1",
    port: 0,
  });
  const to = { hostname: "127.0.0.1", port: server.port };
  const open = () => Deno.connect(to);
  return {
    door,
    open,
    async exchange(text) {
      using conn = await open();
      await send(conn, text);
      return await readAll(conn);
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

async function send(conn: Deno.Conn, text: string): Promise<void> {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
  } catch {
    // The server has had enough.
  }
}

/**
 * One answer, or what came of it before the server closed. The server may keep
 * a connection whose request body did not end, so its end is not waited for.
 */
async function readAll(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(65_536);
  let text = "";
  try {
    while (!isWhole(text)) {
      const count = await conn.read(buffer);
      if (count === null) return text;
      text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
    }
  } catch {
    // A reset is an end too.
  }
  return text;
}

function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
  return end > 0 && length !== undefined &&
    text.length >= end + 4 + Number(length);
}

const put = (cap: string, headers: string, body = "") =>
  `PUT /v1/files/a.txt?cap=${cap} HTTP/1.1\r\nhost: x\r\n${headers}` +
  `connection: close\r\n\r\n${body}`;

async function isWell({ door, exchange }: Sockets): Promise<void> {
  await eventually(() => door.app.load() === 0, {
    what: "no request under way",
  });
  assert.equal(door.files.staging.size, 0);
  assert.equal(door.files.stored.size, 0);
  const health = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
  assert.match(await exchange(health), /^HTTP\/1\.1 200 /);
}

Deno.test("headers beyond every measure are refused", async () => {
  await using all = await sockets();
  const cap = all.door.capability({});
  const line = `x: ${"a".repeat(1024 * 1024)}\r\n`;
  assert.match(await all.exchange(put(cap, line)), /^(HTTP\/1\.1 4\d\d |$)/);
  const many = "x: y\r\n".repeat(10_000);
  assert.match(await all.exchange(put(cap, many)), /^(HTTP\/1\.1 4\d\d |$)/);
  await isWell(all);
});

Deno.test("bodies that are not framed as announced leave nothing", async () => {
  await using all = await sockets();
  const cap = all.door.capability({});
  const chunked = "transfer-encoding: chunked\r\n";
  const bad = [
    put(cap, chunked, "ZZ\r\nabc\r\n0\r\n\r\n"),
    put(cap, chunked, "3\r\nabcd\r\n0\r\n\r\n"),
    put(cap, chunked, "ffffffffffffffffff\r\nabc"),
    put(cap, chunked + "content-length: 3\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    put(cap, "content-length: 3\r\ncontent-length: 4\r\n", "abcd"),
    put(cap, "content-length: -1\r\n", "abc"),
    put(cap, "content-length: abc\r\n", "abc"),
    put(cap, "transfer-encoding: gzip\r\n", "abc"),
  ];
  for (const request of bad) {
    const answer = await all.exchange(request);
    const head = request.slice(request.indexOf("host: x"));
    assert.match(answer, /^(HTTP\/1\.1 4\d\d |$)/, head);
  }
  await isWell(all);
});

Deno.test("a client that announces 10 GB and closes leaves nothing", async () => {
  await using all = await sockets();
  const cap = all.door.capability({});
  for (const length of ["10000000000", "10"]) {
    const conn = await all.open();
    await send(conn, put(cap, `content-length: ${length}\r\n`, "abc"));
    await eventually(() => all.door.app.load() === 1, { what: "the upload" });
    conn.close();
    await isWell(all);
  }
});

Deno.test("a body that crawls is answered 408", async () => {
  const limits = { bodyWindowMs: 1000, bodyBytesPerSecondMin: 1000 };
  await using all = await sockets(limits);
  const cap = all.door.capability({});
  for (
    const headers of [
      "content-length: 1000\r\n",
      "transfer-encoding: chunked\r\n",
    ]
  ) {
    using conn = await all.open();
    await send(conn, put(cap, headers, "1\r\na\r\n"));
    await eventually(() => all.door.app.load() === 1, { what: "the upload" });
    all.door.clock.nowMs += 2001;
    const answer = await readAll(conn);
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /request-timeout/);
    await isWell(all);
  }
});

Deno.test("a large body that is refused gets its answer", async () => {
  await using all = await sockets();
  const cap = all.door.capability({ s: 10 });
  const large = "content-length: 1000000\r\n";
  const answer = await all.exchange(put(cap, large, "x".repeat(200_000)));
  assert.match(answer, /^HTTP\/1\.1 413 /);
  const none = await all.exchange(put("", large, "x".repeat(200_000)));
  assert.match(none, /^HTTP\/1\.1 403 /);
  await isWell(all);
});

Deno.test("paths are taken as they were sent", async () => {
  await using all = await sockets();
  const { door } = all;
  const { id } = await door.upload("secret");
  door.files.lookups.length = 0;
  const paths = [
    `/x/../${id}`,
    `/${id.replace("/M00/", "/%4d00/")}`,
    `/%2e%2e/${id}`,
    `//${id}`,
    `/./${id}`,
    `/${id}/..`,
    `/group1/M00/../../../../etc/passwd`,
    `/group1/M00/00/00/%c0%ae%c0%ae%c0%af`,
    `/\xc0\xae\xc0\xae/etc/passwd`,
  ];
  for (const path of paths) {
    const request =
      `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;
    assert.match(await all.exchange(request), /^(HTTP\/1\.1 40[04] |$)/, path);
  }
  assert.deepEqual(door.files.lookups, []);
});

Deno.test("a copy that turns out wrong in the middle never looks whole", async () => {
  await using all = await sockets();
  const { door } = all;
  const large = new Uint8Array(1_000_000).fill(65);
  const { id } = await door.upload(large);
  door.files.breakAfterBytes = 500_000;
  for (
    const range of ["", "range: bytes=10-\r\n", "range: bytes=0-1,100-\r\n"]
  ) {
    const request = `GET /${id} HTTP/1.1\r\nhost: x\r\n${range}\r\n`;
    const answer = await all.exchange(request);
    const head = answer.slice(0, answer.indexOf("\r\n\r\n"));
    const announced = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    const received = answer.length - head.length - 4;
    assert(
      announced > 0 && received < announced,
      `${received} of ${announced}`,
    );
  }
});
