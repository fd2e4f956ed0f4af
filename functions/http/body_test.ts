import assert from "node:assert/strict";
import { Problem } from "@kedge/schema";
import { drainSmall, readJson } from "./body.ts";

function requestOf(body: BodyInit | null, headers: HeadersInit = {}): Request {
  return new Request("http://h/", { method: "POST", body, headers });
}

/** A body that begins and never ends. */
function crawling(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(new Uint8Array([123])),
  });
}

function isProblem(slug: string) {
  return (error: unknown) => error instanceof Problem && error.slug === slug;
}

Deno.test("readJson() reads a body with and without Content-Length", async () => {
  const stream = new Blob(['{"a":"\u00fc"}']).stream();
  assert.deepEqual(await readJson(requestOf(stream)), { a: "\u00fc" });
  const headers = { "content-length": "7" };
  assert.deepEqual(await readJson(requestOf('{"a":1}', headers)), { a: 1 });
});

Deno.test("readJson() takes no body for an empty object", async () => {
  assert.deepEqual(await readJson(requestOf(null)), {});
  assert.deepEqual(await readJson(requestOf("")), {});
});

Deno.test("readJson() does not wait for a body that crawls", async () => {
  await assert.rejects(
    readJson(requestOf(crawling()), 1),
    isProblem("request-timeout"),
  );
});

Deno.test("readJson() refuses a Content-Length that is no number", async () => {
  const headers = { "content-length": "many" };
  await assert.rejects(
    readJson(requestOf("{}", headers)),
    isProblem("too-large"),
  );
});

Deno.test("drainSmall() leaves bodies that are large or of unknown length", async () => {
  for (const headers of [{}, { "content-length": "70000" }]) {
    const request = requestOf("x".repeat(70_000), headers);
    await drainSmall(request);
    assert.equal(request.bodyUsed, false);
  }
  const small = requestOf("x", { "content-length": "1" });
  await drainSmall(small);
  assert.equal(small.bodyUsed, true);
});
