import assert from "node:assert/strict";
import { z } from "zod";
import { answerOf, testTracker } from "../testing.ts";
import { openApiPath } from "./openapi.ts";

/** The parts of OpenAPI 3.1 that a reader of the document relies on. */
const Schema = z.record(z.string(), z.unknown());
const Content = z.record(z.string(), z.strictObject({ schema: Schema }));
const Operation = z.strictObject({
  operationId: z.string().regex(/^\w+$/),
  summary: z.string().min(1),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z.array(z.strictObject({
    name: z.string(),
    in: z.enum(["path", "query"]),
    required: z.boolean(),
    schema: Schema,
  })),
  requestBody: z.strictObject({ content: Content }).optional(),
  responses: z.record(
    z.string().regex(/^([1-5]\d\d|default)$/),
    z.union([
      z.strictObject({ $ref: z.string() }),
      z.strictObject({
        description: z.string(),
        content: Content.optional(),
        headers: Schema.optional(),
      }),
    ]),
  ),
});
const Document = z.strictObject({
  openapi: z.literal("3.1.0"),
  info: z.object({ title: z.string(), version: z.string() }),
  paths: z.record(
    z.string().startsWith("/"),
    z.partialRecord(
      z.enum(["get", "put", "post", "patch", "delete"]),
      Operation,
    ),
  ),
  components: z.strictObject({
    securitySchemes: z.record(z.string(), z.looseObject({ type: z.string() })),
    schemas: z.record(z.string(), Schema),
    responses: z.record(z.string(), Schema),
  }),
});

Deno.test("/openapi.json describes every route, and no other", async () => {
  using tracker = await testTracker();
  const document = await answerOf(
    tracker.ask("GET /openapi.json", { auth: null }),
    Document,
  );
  const described = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const routes = tracker.tracker.routes
    .map(({ method, path }) => `${method} ${openApiPath(path)}`);
  assert.deepEqual(described.sort(), routes.sort());
});

Deno.test("/openapi.json is sound: parameters, references, operation names", async () => {
  using tracker = await testTracker();
  const document = await answerOf(tracker.ask("GET /openapi.json"), Document);
  const names = new Set<string>();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const operation of Object.values(item)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = operation.parameters
        .filter((parameter) => parameter.in === "path")
        .map(({ name }) => name);
      assert.deepEqual(declared, inPath, path);
      assert(!names.has(operation.operationId), operation.operationId);
      names.add(operation.operationId);
      for (const scheme of operation.security.flatMap(Object.keys)) {
        assert(scheme in document.components.securitySchemes, scheme);
      }
    }
  }
  for (const [, target = ""] of refsOf(document)) {
    assert(resolve(document, target) !== undefined, target);
  }
});

Deno.test("/docs shows every route and lets nothing foreign in", async () => {
  using tracker = await testTracker();
  const response = await tracker.ask("GET /docs", { auth: null });
  const policy = response.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; style-src 'sha256-/);
  const html = await response.text();
  for (const { path } of tracker.tracker.routes) {
    assert(html.includes(openApiPath(path)), path);
  }
  assert(!/<script|src=|@import|url\(/.test(html));
  const again = await tracker.ask("GET /docs", { auth: null });
  assert.equal(await again.text(), html);
});

Deno.test("the hash in the policy of /docs is that of its style", async () => {
  using tracker = await testTracker();
  const response = await tracker.ask("GET /docs");
  const policy = response.headers.get("content-security-policy") ?? "";
  const style = /<style>([^]*)<\/style>/.exec(await response.text())?.[1];
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode(style),
  );
  assert(policy.includes(`'sha256-${new Uint8Array(digest).toBase64()}'`));
});

function refsOf(document: unknown) {
  return JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g);
}

function resolve(document: unknown, pointer: string): unknown {
  return pointer.split("/").slice(1).reduce<unknown>(
    (value, part) => (value as Record<string, unknown> | undefined)?.[part],
    document,
  );
}
