/**
 * Everything that people do with curl, done with curl. 12 s
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Uploaded } from "@kedge/schema";
import { isInstalled, run } from "../helpers/child.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { type Stack, startStack } from "../helpers/stack.ts";

const ignore = !await isInstalled("curl");
if (ignore) say("SKIPPED curl: it is not installed");

Deno.test({ name: "curl", ignore }, async (t) => {
  await using scope = new Scope();
  const world = await CurlWorld.start(scope);
  const { stack } = world;
  const tracker = stack.ready.tracker;
  const photo = await world.file("photo.jpg", 300_000);

  let uploaded: Uploaded | undefined;
  await t.step("-T through the tracker, back from every node", async () => {
    const answer = await world.upload("-T", photo.path, `${tracker}/v1/files/`);
    uploaded = answer;
    assert.equal(answer.size, 300_000);
    assert.equal(answer.sha256, photo.sha256);
    assert.match(answer.id, /^group1\/M00\/..\/..\/.{27,}\.jpg$/);
    await world.expectEverywhere(answer.id, photo.sha256);
  });
  const { id } = uploaded ?? assert.fail("the first upload failed");
  const url = `${stack.ready.agents[0]?.url}/${id}`;

  await t.step("-F with one file part", async () => {
    const part = `file=@${photo.path};type=image/jpeg`;
    const answer = await world.upload("-F", part, `${tracker}/v1/files`);
    assert.equal(answer.sha256, photo.sha256);
    await world.expectEverywhere(answer.id, photo.sha256);
    const { head } = await world.get(`${tracker}/${answer.id}`, "-L");
    assert.match(head, /content-type: image\/jpeg/i);
  });

  await t.step("--data-binary with a length, chunked without", async () => {
    const put = ["-X", "PUT", "--data-binary", `@${photo.path}`];
    const type = ["-H", "content-type: application/octet-stream"];
    const there = `${tracker}/v1/files/a.bin`;
    const plain = await world.upload(...put, ...type, there);
    assert.equal(plain.sha256, photo.sha256);
    const chunked = ["-H", "transfer-encoding: chunked"];
    const streamed = await world.upload(...put, ...type, ...chunked, there);
    assert.equal(streamed.sha256, photo.sha256);
  });

  await t.step(
    "ranges: first byte, middle, tail, several, outside",
    async () => {
      const bytes = photo.bytes;
      const first = await world.get(url, "-r", "0-0");
      assert.equal(first.status, 206);
      assert.deepEqual(first.body, bytes.subarray(0, 1));
      assert.match(first.head, /content-range: bytes 0-0\/300000/i);
      const middle = await world.get(url, "-r", "1000-1999");
      assert.deepEqual(middle.body, bytes.subarray(1000, 2000));
      const tail = await world.get(url, "-r", "-5");
      assert.deepEqual(tail.body, bytes.subarray(-5));
      const open = await world.get(url, "-r", "299990-");
      assert.deepEqual(open.body, bytes.subarray(299_990));
      const several = await world.get(url, "-r", "0-3,200000-200003");
      assert.equal(several.status, 206);
      assert.match(several.head, /multipart\/byteranges/i);
      const outside = await world.get(url, "-r", "300000-");
      assert.equal(outside.status, 416);
      assert.match(outside.head, /content-range: bytes \*\/300000/i);
    },
  );

  await t.step("HEAD says what GET would", async () => {
    const head = await world.get(url, "-I");
    assert.equal(head.status, 200);
    assert.match(head.head, /content-length: 300000/i);
    assert.match(head.head, /content-type: image\/jpeg/i);
    assert.match(head.head, /x-content-type-options: nosniff/i);
    assert.match(head.head, /accept-ranges: bytes/i);
    const redirected = await world.get(`${tracker}/${id}`, "-I", "-L");
    assert.equal(redirected.status, 200);
  });

  await t.step("conditional requests", async () => {
    const { head } = await world.get(url, "-I");
    const etag = /etag: (\S+)/i.exec(head)?.[1] ?? "none";
    const modified = /last-modified: ([^\r]+)/i.exec(head)?.[1] ?? "none";
    const same = await world.get(url, "-H", `if-none-match: ${etag}`);
    assert.equal(same.status, 304);
    assert.equal(same.body.length, 0);
    const since = await world.get(url, "-H", `if-modified-since: ${modified}`);
    assert.equal(since.status, 304);
    const range = ["-r", "0-9"];
    const fits = await world.get(url, ...range, "-H", `if-range: ${etag}`);
    assert.equal(fits.status, 206);
    const other = await world.get(url, ...range, "-H", `if-range: "other"`);
    assert.equal(other.status, 200);
    assert.equal(other.body.length, 300_000);
  });

  await t.step("-C - resumes a cut download", async () => {
    const part = `${world.dir}/part.jpg`;
    await Deno.writeFile(part, photo.bytes.subarray(0, 123_456));
    const done = await run(["curl", "-sSf", "-C", "-", "-o", part, url]);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(await Deno.readFile(part), photo.bytes);
  });

  await t.step("Expect: 100-continue is answered", async () => {
    const expect = ["-H", "expect: 100-continue"];
    const wait = ["--expect100-timeout", "20"];
    const began = performance.now();
    const answer = await world.upload(
      ...[...expect, ...wait, "-T", photo.path, `${tracker}/v1/files/`],
    );
    assert.equal(answer.sha256, photo.sha256);
    assert(performance.now() - began < 19_000, "curl did not wait in vain");
  });

  await t.step("zero bytes", async () => {
    const empty = await world.file("empty.txt", 0);
    const answer = await world.upload("-T", empty.path, `${tracker}/v1/files/`);
    assert.equal(answer.size, 0);
    await world.expectEverywhere(answer.id, empty.sha256);
    const agent = stack.ready.agents[1]?.url;
    const range = await world.get(`${agent}/${answer.id}`, "-r", "0-0");
    assert.equal(range.status, 416);
  });

  await t.step("100 MiB with bounded memory", async () => {
    const large = await world.file("large.iso", 100 * 2 ** 20);
    const answer = await world.upload("-T", large.path, `${tracker}/v1/files/`);
    assert.equal(answer.sha256, large.sha256);
    await world.expectEverywhere(answer.id, large.sha256);
  });

  await t.step("names: unicode, blanks, slashes, ?download=", async () => {
    const names = ["Grüße aus 東京.png", "a b.png", "it's 100%.png"];
    for (const name of names) {
      const there = `${tracker}/v1/files/${encodeURIComponent(name)}`;
      const answer = await world.upload("-T", photo.path, there);
      assert.match(answer.id, /\.png$/);
      const info = await stack.api.info(answer.id);
      assert.equal(info.name, name);
      const download = encodeURIComponent(name);
      const got = await world.get(
        `${tracker}/${answer.id}?download=${download}`,
        "-L",
      );
      assert.match(got.head, /content-disposition: attachment/i);
      const extended = /filename\*=UTF-8''(\S+)/i.exec(got.head)?.[1];
      const plain = /filename="([^"]*)"/i.exec(got.head)?.[1];
      const saved = extended === undefined
        ? plain
        : decodeURIComponent(extended);
      assert.equal(saved, name, got.head);
    }
  });

  await t.step(
    "checksums: right ones pass, wrong ones store nothing",
    async () => {
      const md5 = createHash("md5").update(photo.bytes).digest("base64");
      const there = `${tracker}/v1/files/sum.bin`;
      const right = ["-H", `content-md5: ${md5}`];
      await world.upload(...right, "-T", photo.path, there);
      const sha = ["-H", `x-kedge-sha256: ${photo.sha256}`];
      await world.upload(...sha, "-T", photo.path, there);
      const before = await stack.api.list(stack.ready.agents[0]?.node ?? 0);
      const wrong = ["-H", `x-kedge-sha256: ${"0".repeat(64)}`];
      const refused = await world.get(there, "-L", ...wrong, "-T", photo.path);
      assert.equal(refused.status, 400);
      assert.match(refused.text, /checksum-mismatch/);
      const after = await stack.api.list(stack.ready.agents[0]?.node ?? 0);
      assert.equal(after.length, before.length);
    },
  );

  await t.step("metadata, info, delete", async () => {
    const meta = [
      "-H",
      "x-kedge-meta-author: Ada",
      "-H",
      "x-kedge-meta-w: 640",
    ];
    const answer = await world.upload(
      ...[...meta, "-T", photo.path, `${tracker}/v1/files/`],
    );
    const got = await world.get(`${tracker}/v1/files/${answer.id}/meta`, "-L");
    assert.deepEqual(JSON.parse(got.text), { author: "Ada", w: "640" });
    const gone = await world.get(
      `${tracker}/v1/files/${answer.id}`,
      ...["-L", "-X", "DELETE"],
    );
    assert.equal(gone.status, 200, gone.text);
    for (const { url } of stack.ready.agents) {
      assert.equal((await world.get(`${url}/${answer.id}`)).status, 404);
    }
  });

  await t.step("refusals are problems with a next step", async () => {
    const got = await world.get(`${tracker}/v1/nonsense`);
    assert.equal(got.status, 404);
    assert.match(got.head, /content-type: application\/problem\+json/i);
    const problem = JSON.parse(got.text) as Record<string, unknown>;
    for (const field of ["type", "title", "status", "detail", "next"]) {
      assert(field in problem, `${field} in ${got.text}`);
    }
  });
});

interface TestFile {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
}

interface CurlAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: Uint8Array;
  readonly text: string;
}

class CurlWorld {
  readonly #random = new Random(seedOfRun("curl"));

  private constructor(readonly stack: Stack, readonly dir: string) {}

  static async start(scope: Scope): Promise<CurlWorld> {
    const stack = await startStack(scope);
    return new CurlWorld(stack, await scope.tempDir());
  }

  async file(name: string, length: number): Promise<TestFile> {
    const path = `${this.dir}/${name}`;
    const bytes = this.#random.bytes(length);
    await Deno.writeFile(path, bytes);
    return { path, bytes, sha256: hash(bytes) };
  }

  async upload(...words: string[]): Promise<Uploaded> {
    const got = await this.get("", "-L", ...words);
    assert.equal(got.status, 201, got.head + got.text);
    return JSON.parse(got.text) as Uploaded;
  }

  async get(url: string, ...words: string[]): Promise<CurlAnswer> {
    const out = `${this.dir}/out`;
    const headers = `${this.dir}/head`;
    await Deno.writeFile(out, new Uint8Array());
    const { code, stderr } = await run([
      ...["curl", "-sS", "-m", "60", "-D", headers, "-o", out] as const,
      ...words,
      ...(url === "" ? [] : [url]),
    ]);
    assert.equal(code, 0, `curl ${words.join(" ")} ${url}: ${stderr}`);
    const heads = (await Deno.readTextFile(headers)).trim().split("\r\n\r\n");
    const head = heads.at(-1) ?? "";
    const body = words.includes("-I")
      ? new Uint8Array()
      : await Deno.readFile(out);
    const text = body.length < 100_000 ? new TextDecoder().decode(body) : "";
    return { status: Number(head.split(" ")[1]), head, body, text };
  }

  async expectEverywhere(id: string, sha256: string): Promise<void> {
    const { tracker, agents } = this.stack.ready;
    for (const base of [tracker, ...agents.map(({ url }) => url)]) {
      const got = await this.get(`${base}/${id}`, "-L");
      assert.equal(got.status, 200, `${base}/${id}: ${got.text}`);
      assert.equal(hash(got.body), sha256, `${base}/${id}`);
    }
  }
}

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
