import assert from "node:assert/strict";
import { refusalOf, testTracker } from "../testing.ts";
import { whyNotLocal } from "./local_access.ts";

const OPEN = { KEDGE_ACCESS: "open" };

interface Case {
  readonly url?: string;
  readonly remote?: string;
  readonly headers?: Record<string, string>;
}

const LET_IN: readonly Case[] = [
  {},
  { remote: "127.9.9.9" },
  { remote: "::1" },
  { remote: "::ffff:127.0.0.1" },
  { url: "http://localhost:8080/x" },
  { url: "http://[::1]:8080/x" },
  { url: "https://127.0.0.1/x", headers: { origin: "https://127.0.0.1" } },
  { headers: { host: "127.0.0.1:8080" } },
  { headers: { origin: "http://127.0.0.1:8080" } },
  { headers: { "sec-fetch-site": "same-origin" } },
  { headers: { "sec-fetch-site": "none" } },
];

const REFUSED: readonly Case[] = [
  { remote: "10.0.0.1" },
  { remote: "::2" },
  { remote: "127.0.0.1.evil.example" },
  { url: "http://evil.example/x" },
  { url: "http://127.0.0.1.evil.example/x" },
  { url: "http://localhost.evil.example/x" },
  { url: "http://0.0.0.0:8080/x" },
  { headers: { host: "evil.example" } },
  { headers: { host: "evil.example:8080" } },
  { headers: { origin: "http://evil.example" } },
  { headers: { origin: "null" } },
  { headers: { origin: "http://127.0.0.1:9999" } },
  { headers: { origin: "https://127.0.0.1:8080" } },
  { headers: { "sec-fetch-site": "cross-site" } },
  { headers: { "sec-fetch-site": "same-site" } },
  { headers: { "sec-fetch-site": "new-value" } },
  { headers: { "x-forwarded-for": "127.0.0.1" } },
  { headers: { "forwarded": "for=127.0.0.1" } },
  { headers: { "via": "1.1 proxy" } },
];

for (const call of LET_IN) {
  Deno.test(`open access lets in ${JSON.stringify(call)}`, () => {
    assert.equal(whyNotLocal(callOf(call)), undefined);
  });
}

for (const call of REFUSED) {
  Deno.test(`open access refuses ${JSON.stringify(call)}`, () => {
    assert.match(whyNotLocal(callOf(call)) ?? "", /^Open access/);
  });
}

Deno.test("open access refuses when the other end is not known", () => {
  const url = "http://127.0.0.1:8080/x";
  assert(whyNotLocal({ remote: undefined, url, headers: new Headers() }));
});

Deno.test("a local caller needs no key, and a wrong key is still refused", async () => {
  using tracker = await testTracker({ env: OPEN });
  const local = { auth: null, remote: "127.0.0.1" };
  const fine = await tracker.ask("GET /v1/tokens", local);
  assert.equal(fine.status, 200);
  const auth = "Bearer not-a-key";
  const wrong = await tracker.ask("GET /v1/tokens", { ...local, auth });
  assert.equal(wrong.status, 401);
});

Deno.test("a page of another site gets a refusal that says why", async () => {
  using tracker = await testTracker({ env: OPEN });
  const refusal = await refusalOf(tracker.ask("POST /v1/tokens", {
    auth: null,
    remote: "127.0.0.1",
    headers: { "sec-fetch-site": "cross-site" },
    body: { kind: "join" },
  }));
  assert.equal(refusal.status, 401);
  assert.match(String(refusal.detail), /another site/);
});

Deno.test("without open access a local caller needs a key", async () => {
  using tracker = await testTracker();
  const response = await tracker.ask("GET /v1/groups", {
    auth: null,
    remote: "127.0.0.1",
  });
  assert.equal(response.status, 401);
  assert.equal(response.headers.get("www-authenticate"), "Bearer");
});

function callOf({ url, remote = "127.0.0.1", headers = {} }: Case) {
  return {
    url: url ?? "http://127.0.0.1:8080/x",
    remote,
    headers: new Headers(headers),
  };
}
