import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";
import { httpDate } from "./conditions.ts";
import { LARGE, stored, TEXT } from "../../../tests/helpers/stored_file.ts";

Deno.test("GET sends the content with everything a cache needs", async () => {
  const { door, id, path } = await stored();
  const response = await door.ask(path);
  const sha256 = createHash("sha256").update(TEXT).digest("hex");
  assert.equal(response.status, 200);
  assert.equal(await response.text(), TEXT);
  const entry = door.files.lookup(id);
  assert.deepEqual(Object.fromEntries(response.headers), {
    "accept-ranges": "bytes",
    "access-control-allow-origin": "*",
    "access-control-expose-headers":
      "ETag, Content-Range, Accept-Ranges, Content-Disposition",
    "cache-control": "public, max-age=31536000, immutable",
    "content-length": "20",
    "content-security-policy": response.headers.get("content-security-policy"),
    "content-type": "text/plain; charset=utf-8",
    "etag": `"${sha256}"`,
    "last-modified": httpDate(entry?.createdS ?? 0),
    "x-content-type-options": "nosniff",
  });
  const policy = response.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^sandbox; default-src 'none'/);
});

Deno.test("HEAD sends the headers of GET and no content", async () => {
  const { door, path } = await stored();
  const head = await door.ask(path, { method: "HEAD" });
  const get = await door.ask(path);
  assert.equal(await head.text(), "");
  assert.deepEqual([...head.headers], [...get.headers]);
  await get.body?.cancel();
});

Deno.test("a file of zero bytes can be read", async () => {
  const { door, path } = await stored("empty.txt", "");
  const response = await door.ask(path);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-length"), "0");
  assert.equal(await response.text(), "");
  const range = await door.ask(path, { headers: { range: "bytes=0-0" } });
  assert.equal(range.status, 416);
});

Deno.test("a range is one part of the content", async () => {
  const { door, path } = await stored();
  const cases = { "0-0": "0", "5-9": "56789", "-3": "hij", "18-": "ij" };
  for (const [range, text] of Object.entries(cases)) {
    const headers = { range: `bytes=${range}` };
    const response = await door.ask(path, { headers });
    assert.equal(response.status, 206, range);
    assert.equal(await response.text(), text);
    const from = TEXT.indexOf(text);
    assert.equal(
      response.headers.get("content-range"),
      `bytes ${from}-${from + text.length - 1}/20`,
    );
    assert.equal(response.headers.get("content-length"), String(text.length));
  }
});

Deno.test("a range outside the file is 416 with its size", async () => {
  const { door, path } = await stored();
  const response = await door.ask(path, { headers: { range: "bytes=20-" } });
  assert.equal(response.status, 416);
  assert.equal(response.headers.get("content-range"), "bytes */20");
  assert.equal(await slugOf(response), "range-not-satisfiable");
});

Deno.test("several ranges are parts of one body of known length", async () => {
  const { door, path } = await stored("big.bin", LARGE);
  const headers = { range: "bytes=0-9,100000-299999,1000-1004" };
  const response = await door.ask(path, { headers });
  assert.equal(response.status, 206);
  const type = response.headers.get("content-type") ?? "";
  const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(type)?.[1];
  assert(boundary);
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.equal(String(bytes.length), response.headers.get("content-length"));
  const text = new TextDecoder("latin1").decode(bytes);
  const latin1 = new TextDecoder("latin1").decode(LARGE);
  const part = (from: number, to: number) =>
    `\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\n` +
    `content-range: bytes ${from}-${to}/300000\r\n\r\n` +
    latin1.slice(from, to + 1);
  assert.equal(
    text,
    part(0, 9) + part(100000, 299999) + part(1000, 1004) +
      `\r\n--${boundary}--\r\n`,
  );
});

Deno.test("If-Range lets the range count only for this content", async () => {
  const { door, path } = await stored();
  const etag = (await door.ask(path, { method: "HEAD" })).headers.get("etag");
  const ask = async (ifRange: string) => {
    const headers = { range: "bytes=0-0", "if-range": ifRange };
    const response = await door.ask(path, { headers });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await ask(etag ?? ""), 206);
  assert.equal(await ask('"other"'), 200);
});

Deno.test("conditions are answered without content", async () => {
  const { door, path } = await stored();
  const { headers } = await door.ask(path, { method: "HEAD" });
  const etag = headers.get("etag") ?? "";
  const same = await door.ask(path, { headers: { "if-none-match": etag } });
  assert.equal(same.status, 304);
  assert.equal(same.headers.get("etag"), etag);
  assert.equal(same.headers.get("content-length"), null);
  assert.equal(same.body, null);
  const since = headers.get("last-modified") ?? "";
  const old = await door.ask(path, { headers: { "if-modified-since": since } });
  assert.equal(old.status, 304);
  const other = await door.ask(path, { headers: { "if-match": '"x"' } });
  assert.equal(await slugOf(other), "precondition-failed");
});

Deno.test("an appender has a tag per version and no date", async () => {
  const door = new FakeDoor();
  const { id } = await door.upload("one", "/v1/files/log.txt?appender=1");
  const first = await door.ask(`/${id}`);
  assert.equal(first.headers.get("cache-control"), "no-cache");
  assert.equal(first.headers.get("last-modified"), null);
  assert.match(first.headers.get("etag") ?? "", /^"3-1-[0-9a-f]{8}"$/);
  const cap = { a: "append", f: id } as const;
  await door.ask(`/v1/files/${id}/append`, {
    method: "POST",
    cap,
    body: "two",
  });
  const second = await door.ask(`/${id}`);
  assert.notEqual(second.headers.get("etag"), first.headers.get("etag"));
  assert.equal(await second.text(), "onetwo");
});

Deno.test("?download names the file that is saved", async () => {
  const { door, path } = await stored();
  const saved = async (query: string) =>
    (await door.ask(path + query, { method: "HEAD" })).headers
      .get("content-disposition");
  assert.equal(await saved(""), null);
  assert.equal(await saved("?download=b.txt"), 'attachment; filename="b.txt"');
  assert.equal(await saved("?download="), 'attachment; filename="a.txt"');
  assert.equal(await saved("?cap=x&download"), 'attachment; filename="a.txt"');
  assert.equal(
    await saved("?download=%E6%96%87.txt"),
    "attachment; filename=\"_.txt\"; filename*=UTF-8''%E6%96%87.txt",
  );
  assert.equal(
    await saved("?download=a%0D%0ASet-Cookie:%20x"),
    'attachment; filename="a__Set-Cookie: x"',
  );
});

Deno.test("what could run code is saved, not shown", async () => {
  const door = new FakeDoor();
  const kinds = ["a.html", "a.svg", "a.xml", "a.js", "a.pdf", "a.xhtml"];
  for (const name of kinds) {
    const { id } = await door.upload("<script>", `/v1/files/${name}`);
    const response = await door.ask(`/${id}`, { method: "HEAD" });
    const disposition = response.headers.get("content-disposition");
    assert.equal(disposition, `attachment; filename="${name}"`, name);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  }
  const type = { "content-type": "text/html" };
  const { id } = await door.upload("<b>", "/v1/files/a.txt", { headers: type });
  const response = await door.ask(`/${id}`, { method: "HEAD" });
  assert.match(
    response.headers.get("content-disposition") ?? "",
    /^attachment/,
  );
});

Deno.test("paths that leave the store are refused before it is asked", async () => {
  const { door, id } = await stored();
  door.files.lookups.length = 0;
  const [group = "", ...rest] = id.split("/");
  const name = rest.join("/");
  const hostile = [
    `/${group}/../${name}`,
    `/${group}/M00/../../etc/passwd`,
    `/${group}/M00/%2e%2e/%2e%2e/etc/passwd`,
    `/${group}/M00/00/00/..%2f..%2fetc%2fpasswd`,
    `/${group}/M00/00/00/%c0%ae%c0%ae/x`,
    `/${id}%00.jpg`,
    `/${id}\0`,
    `//${id}`,
    `/${group}//${name}`,
    `//etc/passwd`,
    `/${group}/M00/00/00/\\..\\x`,
    `/${group}/M00/00/00/short`,
    `/${id.toLowerCase()}`,
    `/${id}/`,
    `/${id}/../x`,
    `/v1/files/../${id}`,
  ];
  for (const path of hostile) {
    const response = await door.ask(path);
    assert.equal(response.status, 400, path);
    assert.equal(await slugOf(response), "invalid-file-id", path);
  }
  for (
    const path of [`/v1/files/${id}%00/info`, `/v1/files/a/b/c/d/..%2fx/info`]
  ) {
    assert.equal((await door.ask(path)).status, 400, path);
  }
  assert.deepEqual(door.files.lookups, []);
});

Deno.test("an ID whose digits do not decode is 400", async () => {
  const door = new FakeDoor();
  const path = `/group1/M00/00/00/${".".repeat(34)}`;
  assert.equal(await slugOf(await door.ask(path)), "invalid-file-id");
  assert.deepEqual(door.replicator.fetched, []);
});

Deno.test("a file can only be read at its path", async () => {
  const { door, path } = await stored();
  for (const method of ["PUT", "POST", "DELETE", "PATCH"]) {
    const response = await door.ask(path, { method });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
  }
  const options = await door.ask(path, { method: "OPTIONS" });
  assert.equal(options.status, 204);
  assert.equal(options.headers.get("access-control-allow-origin"), "*");
});

Deno.test("a failure of Kedge itself says a number and no more", async () => {
  const { door, path } = await stored();
  door.files.lookup = () => {
    throw new Error("secret detail");
  };
  const response = await door.ask(path);
  assert.equal(response.status, 500);
  const body = await response.json();
  assert(!JSON.stringify(body).includes("secret"));
  assert.match(door.warnings.join(), new RegExp(`${body.instance}.*secret`));
});
