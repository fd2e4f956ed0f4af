import assert from "node:assert/strict";
import { CapabilityAction } from "@kedge/schema/capability";
import { signCapability } from "@kedge/schema/capability";
import type { CapabilityClaims } from "@kedge/schema/capability";
import { FakeDoor, slugOf } from "../../tests/helpers/fake_door.ts";
import { unknownId } from "../../tests/helpers/fake_ports.ts";
import { RouteTable } from "./routes.ts";
import type { GuardedRoute, Route } from "./routes.ts";

/** A body that the routes of imports and exports take. */
const EXPORT = '{"kind":"export","to":"/nowhere","bytesPerS":0}';
const QUERY = "offset=0&size=0&prefix=_s&ext=png";

function guardedRoutes(door: FakeDoor): GuardedRoute[] {
  return door.app.routes.filter((route): route is GuardedRoute =>
    route.policy.kind === "capability"
  );
}

async function ready() {
  const door = new FakeDoor();
  const { id } = await door.upload("hello", "/v1/files/a.txt?appender=1");
  const state = () => JSON.stringify([...door.files.stored.values()]);
  return { door, id, state };
}

function pathOf(route: Route, id: string): string {
  const path = route.pattern.replace("ID", id).replace("NAME", "a.txt")
    .replace("/N/", "/3/");
  return path + (path.includes("?") ? "&" : "?") + QUERY;
}

/** A capability that fits the route. */
function fitting(route: GuardedRoute, id: string): Partial<CapabilityClaims> {
  const a = route.policy.action;
  return route.pattern.includes("ID") ? { a, f: id } : { a };
}

Deno.test("the table is the agent's column of docs/protocols.md", async () => {
  const { door } = await ready();
  const rows = door.app.routes.map(({ method, pattern, policy }) =>
    `${method} ${pattern} ${
      policy.kind === "public" ? "public" : policy.action
    }`
  );
  assert.deepEqual(rows.sort(), [
    "DELETE /v1/files/ID delete",
    "DELETE /v1/node/migration operate",
    "GET /health public",
    "GET /v1/files operate",
    "GET /v1/files/ID/info public",
    "GET /v1/files/ID/meta public",
    "GET /v1/node public",
    "GET /v1/node/migration operate",
    "GET /v1/node/scrub operate",
    "PATCH /v1/files/ID/meta set-meta",
    "POST /v1/files upload",
    "POST /v1/files/ID/append append",
    "POST /v1/files/ID/derived derive",
    "POST /v1/files/ID/regenerate modify",
    "POST /v1/files/ID/truncate truncate",
    "POST /v1/files/NAME upload",
    "POST /v1/node/confirm operate",
    "POST /v1/node/migration operate",
    "POST /v1/node/paths/N/open operate",
    "POST /v1/node/scrub operate",
    "PUT /v1/files upload",
    "PUT /v1/files/ID/content modify",
    "PUT /v1/files/ID/meta set-meta",
    "PUT /v1/files/NAME upload",
  ]);
});

Deno.test("a fitting capability opens every route", async () => {
  const { door } = await ready();
  for (const route of guardedRoutes(door)) {
    const { door, id } = await ready();
    const given = route.pattern.endsWith("/migration") ? EXPORT : "{}";
    const ask = { method: route.method, cap: fitting(route, id), body: given };
    const bodiless = route.method === "GET" ? { ...ask, body: "" } : ask;
    const { body, ...rest } = bodiless;
    const response = await door.ask(
      pathOf(route, id),
      body === "" ? rest : bodiless,
    );
    const text = await response.text();
    assert(response.ok, `${route.method} ${route.pattern}: ${text}`);
  }
});

Deno.test("a capability in the query is as good as one in the header", async () => {
  const { door, id } = await ready();
  for (const route of guardedRoutes(door)) {
    const cap = door.capability(fitting(route, id));
    const path = `${pathOf(route, id)}&cap=${cap}`;
    const body = route.method === "GET" ? {} : { body: "{}" };
    const response = await door.ask(path, { method: route.method, ...body });
    assert(![401, 403].includes(response.status), route.pattern);
  }
});

Deno.test("every other capability is refused everywhere", async () => {
  const { door, id, state } = await ready();
  const before = state();
  for (const route of guardedRoutes(door)) {
    const good = fitting(route, id);
    const now = door.clock.wallMs();
    const otherAction = CapabilityAction.options.filter((a) => a !== good.a);
    const bad: [string, Partial<CapabilityClaims>][] = [
      ...otherAction.map((
        a,
      ): [string, Partial<CapabilityClaims>] => ["wrong-action", {
        ...good,
        a,
      }]),
      ["wrong-group", { ...good, g: "group2" }],
      ["wrong-file", { ...good, f: unknownId() }],
      ["expired", { ...good, e: now }],
      ["lives-too-long", { ...good, e: now + 3_600_000 }],
    ];
    if (good.f !== undefined) {
      bad.push(["wrong-file", { a: good.a ?? "upload" }]);
    }
    for (const [reason, cap] of bad) {
      const body = route.method === "GET" ? {} : { body: "{}" };
      const response = await door.ask(pathOf(route, id), {
        method: route.method,
        cap,
        ...body,
      });
      assert.equal(response.status, 403, `${route.method} ${route.pattern}`);
      assert.equal((await response.json()).reason, reason);
    }
    const node = { ...good, n: 9 };
    const body = route.method === "GET" ? {} : { body: "{}" };
    const other = await door.ask(pathOf(route, id), {
      method: route.method,
      cap: node,
      ...body,
    });
    assert.equal(await slugOf(other), "wrong-node", route.pattern);
  }
  assert.equal(state(), before, "nothing was changed");
});

Deno.test("no capability, a broken one and one of another key are refused", async () => {
  const { door, id, state } = await ready();
  const before = state();
  const foreign = { id: "k1", secret: "B".repeat(43), createdMs: 0 };
  const unknown = { ...foreign, id: "k9" };
  for (const route of guardedRoutes(door)) {
    const e = door.clock.wallMs() + 60_000;
    const claims = {
      a: "upload" as const,
      g: "group1",
      e,
      ...fitting(route, id),
    };
    const good = door.capability(claims);
    const flipped = good.slice(0, -2) + (good.endsWith("AA") ? "BB" : "AA");
    const swapped = door.capability({ ...claims, s: 1 }).split(".")[0] + "." +
      good.split(".")[1];
    const texts = {
      "malformed": "x",
      "bad-signature": flipped,
      " bad-signature": swapped,
      "  bad-signature": signCapability(claims, foreign),
      "unknown-key": signCapability(claims, unknown),
      " malformed": `${good}.x`,
      "  malformed": "a".repeat(5000),
      "   malformed": "",
    };
    const method = route.method;
    for (const [reason, text] of Object.entries(texts)) {
      for (const path of [`&cap=${text}`, ""]) {
        const headers: Record<string, string> = path === ""
          ? { authorization: `Kedge ${text}` }
          : {};
        if (text === "" && path === "") continue; // headers are trimmed: no scheme
        const response = await door.ask(pathOf(route, id) + path, {
          method,
          headers,
        });
        assert.equal(response.status, 403);
        const problem = await response.json();
        assert.equal(
          problem.reason,
          reason.trim(),
          `${method} ${route.pattern}`,
        );
      }
    }
    for (
      const headers of [{}, { authorization: "Bearer x" }, {
        authorization: "Basic eDp5",
      }]
    ) {
      const response = await door.ask(pathOf(route, id), { method, headers });
      assert.equal(response.status, 401, route.pattern);
      assert.equal(response.headers.get("www-authenticate"), "Kedge");
    }
  }
  assert.equal(state(), before, "nothing was changed");
});

Deno.test("no answer repeats a capability", async () => {
  const { door, id } = await ready();
  const cap = door.capability({ a: "delete", g: "group2", f: id });
  const response = await door.ask(`/v1/files/${id}?cap=${cap}`, {
    method: "DELETE",
  });
  assert.equal(response.status, 403);
  assert(!(await response.text()).includes(cap));
});

Deno.test("a route without a policy does not start", () => {
  const rows: unknown[] = [
    { method: "GET", pattern: "/x", handle: () => new Response() },
    { method: "GET", pattern: "/x", policy: {}, handle: () => new Response() },
    {
      method: "GET",
      pattern: "/x",
      policy: { kind: "capability" },
      handle: () => new Response(),
    },
    {
      method: "GET",
      pattern: "/x",
      policy: { kind: "capability", action: "everything" },
      handle: () => new Response(),
    },
  ];
  for (const row of rows) {
    assert.throws(() => new RouteTable([row as Route]), /has no policy/);
  }
  const good: Route = {
    method: "GET",
    pattern: "/x",
    policy: { kind: "public" },
    handle: () => new Response(),
  };
  new RouteTable([good]);
  assert.throws(() => new RouteTable([good, good]), /Two routes/);
});

Deno.test("methods that do not exist are 405 with those that do", async () => {
  const { door, id } = await ready();
  const seen = new Map<string, string[]>();
  for (const { method, pattern } of door.app.routes) {
    seen.set(pattern, [...seen.get(pattern) ?? [], method]);
  }
  for (const [pattern, methods] of seen) {
    const path = pattern.replace("ID", id).replace("NAME", "a.txt")
      .replace("/N/", "/3/");
    const response = await door.ask(path, { method: "PURGE" });
    assert.equal(response.status, 405, pattern);
    const allowed = response.headers.get("allow")?.split(", ") ?? [];
    for (const method of methods) assert(allowed.includes(method), pattern);
    assert.equal(await slugOf(response), "method-not-allowed");
    const options = await door.ask(path, { method: "OPTIONS" });
    assert.equal(options.status, 204);
  }
});

Deno.test("paths that do not exist are 404", async () => {
  const { door, id } = await ready();
  const paths = [
    "/",
    "/x",
    "/v1",
    "/v1/",
    "/v1/files/a/b",
    `/v1/files/${id}/x`,
    "/health/",
    "/v1/nodes",
  ];
  for (const path of paths) {
    assert.equal(await slugOf(await door.ask(path)), "not-found", path);
  }
});

Deno.test("operators list files, see and start scrubs, confirm", async () => {
  const { door } = await ready();
  for (let at = 0; at < 5; at++) await door.upload(`${at}`);
  const cap = { a: "operate" } as const;
  const all: string[] = [];
  let after = "";
  for (let page = 0; page < 5; page++) {
    const response = await door.ask(`/v1/files?limit=2${after}`, { cap });
    const { files, next } = await response.json();
    assert(files.length <= 2);
    all.push(...files.map(({ id }: { id: string }) => id));
    if (next === null) break;
    after = `&after=${next}`;
  }
  assert.equal(all.length, 6);
  assert.deepEqual(all, all.toSorted());
  const empty = await door.ask("/v1/files?since=2030-01-01", { cap });
  assert.deepEqual(await empty.json(), { files: [], next: null });
  for (
    const query of [
      "limit=0",
      "limit=1001",
      "limit=x",
      "prefix=%00",
      "since=soon",
      `after=${"a".repeat(161)}`,
    ]
  ) {
    const response = await door.ask(`/v1/files?${query}`, { cap });
    assert.equal(await slugOf(response), "invalid-request", query);
  }
  const scrub = await door.ask("/v1/node/scrub", { method: "POST", cap });
  assert.equal(scrub.status, 202);
  assert.deepEqual(await scrub.json(), { running: true });
  const progress = await door.ask("/v1/node/scrub", { cap });
  assert.deepEqual(await progress.json(), { running: false });
  const confirm = await door.ask("/v1/node/confirm", { method: "POST", cap });
  assert.deepEqual(await confirm.json(), { confirmed: true });
  const opened = await door.ask("/v1/node/paths/12/open", {
    method: "POST",
    cap,
  });
  assert.deepEqual(await opened.json(), { index: 12, refillFiles: 0 });
  const node = await door.ask("/v1/node");
  assert.deepEqual(await node.json(), { node: 1, group: "group1" });
  assert.deepEqual(await (await door.ask("/health")).json(), { ok: true });
  assert.equal(door.app.load(), 0);
});
