import assert from "node:assert/strict";
import { ApiRole, CreatedToken } from "@kedge/schema";
import { z } from "zod";
import { ADMIN_KEY, answerOf, refusalOf, testTracker } from "../testing.ts";
import { createRouter } from "./router.ts";
import { type Policy, type Route, route } from "./route.ts";

/** Who calls, in the order of the columns below. */
const CALLERS = [
  "nobody",
  "client",
  "operator",
  "admin",
  "node",
  "mirror",
] as const;

/** Which callers a policy lets in. */
const LETS_IN: Record<Policy, readonly (typeof CALLERS[number])[]> = {
  public: CALLERS,
  client: ["client", "operator", "admin"],
  operator: ["operator", "admin"],
  node: ["node"],
  mirror: ["node", "mirror"],
};

Deno.test("every route lets in exactly the callers of its policy", async (t) => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const auth = {
    nobody: null,
    client: await keyOf(tracker, "client"),
    operator: await keyOf(tracker, "operator"),
    admin: `Bearer ${ADMIN_KEY}`,
    node: node.auth,
    mirror: (await tracker.joinMirror()).auth,
  };
  for (const row of tracker.tracker.routes) {
    await t.step(`${row.method} ${row.path} (${row.policy})`, async () => {
      for (const caller of CALLERS) {
        // An invalid body: whoever is let in is refused for it, if for anything.
        const response = await tracker.ask(`${row.method} ${pathOf(row)}`, {
          auth: auth[caller],
          ...(row.body === undefined ? {} : { body: "not an object" }),
        });
        const isLetIn = response.status !== 401 && response.status !== 403;
        await response.body?.cancel();
        const wanted = LETS_IN[row.policy].includes(caller);
        assert.equal(isLetIn, wanted, `${caller}: ${response.status}`);
      }
    });
  }
});

Deno.test("no route reads the body of a caller that it does not know", async () => {
  using tracker = await testTracker();
  for (const { method, path, policy } of tracker.tracker.routes) {
    if (policy === "public" || method === "GET") continue;
    let wasRead = false;
    const body = new ReadableStream({
      pull() {
        wasRead = true;
      },
    }, { highWaterMark: 0 });
    const request = new Request(`http://127.0.0.1${pathOf({ method, path })}`, {
      method,
      body,
    });
    const response = await tracker.tracker.fetch(request);
    assert.equal(response.status, 401, `${method} ${path}`);
    assert(!wasRead, `${method} ${path}`);
  }
});

Deno.test("a key with one letter changed is refused", async () => {
  using tracker = await testTracker();
  const key = await keyOf(tracker, "client");
  const wrong = key.slice(0, -1) + (key.endsWith("A") ? "B" : "A");
  const auths = [
    wrong,
    `${key}x`,
    key.replace("Bearer", "Basic"),
    "Bearer",
    "",
  ];
  for (const auth of auths) {
    const refusal = await refusalOf(tracker.ask("GET /v1/groups", { auth }));
    assert.equal(refusal.status, 401, auth);
  }
});

Deno.test("a key ends when it expires and when it is deleted", async () => {
  using tracker = await testTracker();
  const make = (expiresS?: number) =>
    answerOf(
      tracker.ask("POST /v1/tokens", {
        body: { kind: "api", name: "app", expiresS },
      }),
      CreatedToken,
    );
  const ask = async (token: string) => {
    const auth = `Bearer ${token}`;
    return (await tracker.ask("GET /v1/groups", { auth })).status;
  };
  const [brief, deleted] = [await make(10), await make()];
  assert.deepEqual([await ask(brief.token), await ask(deleted.token)], [
    200,
    200,
  ]);
  tracker.clock.nowMs += 10_000;
  await tracker.ask(`DELETE /v1/tokens/${deleted.hash}`);
  assert.deepEqual([await ask(brief.token), await ask(deleted.token)], [
    401,
    401,
  ]);
});

Deno.test("a node speaks only for itself and for its own group", async () => {
  using tracker = await testTracker();
  const [one, two, other] = [
    await tracker.join(),
    await tracker.join(),
    await tracker.join({}, "other"),
  ];
  const auth = one.auth;
  const body = { gen: one.reply.register.gen, epoch: 1 };
  const refusals = [
    tracker.report({ ...two, auth }),
    tracker.report({ ...two, auth: auth.replace("1:", "2:") }),
    tracker.ask("GET /v1/groups/other/register", { auth }),
    tracker.ask("POST /v1/groups/other/register", {
      auth,
      body: { ...body, change: { kind: "renew", by: other.node } },
    }),
  ];
  for (const refusal of refusals) {
    assert([401, 403].includes(Number((await refusalOf(refusal)).status)));
  }
});

Deno.test("a row without a policy stops the start", () => {
  const row = route({
    method: "GET",
    path: "/x",
    policy: undefined as unknown as Policy,
    summary: "forgotten",
    answer: { status: 200, description: "" },
    handle: () => new Response(),
  });
  const identities = {
    isOpen: false,
    isNode: () => Promise.resolve(false),
    isMirrorNode: () => Promise.resolve(false),
    roleOf: () => Promise.resolve(undefined),
  };
  assert.throws(() => createRouter([row], { identities }), /no policy/);
  const fine = { ...row, policy: "public" as const };
  assert.throws(() => createRouter([fine, fine], { identities }), /twice/);
});

async function keyOf(
  tracker: Awaited<ReturnType<typeof testTracker>>,
  role: ApiRole,
): Promise<string> {
  const body = { kind: "api", name: role, role };
  const made = tracker.ask("POST /v1/tokens", { body });
  return `Bearer ${(await answerOf(made, CreatedToken)).token}`;
}

/** A path that fits the row; what it names need not exist. */
function pathOf({ method, path }: Pick<Route, "method" | "path">): string {
  const parts: Record<string, string> = {
    group: "group1",
    store: "M00",
    high: "03",
    low: "4C",
    index: "0",
    node: method === "DELETE" ? "99" : "1", // node 1 is still needed
    hash: "0".repeat(64),
    resource: "mysql",
    volume: "0",
    name: path.startsWith("/v1/files/:name")
      ? "photo.jpg"
      : "fwALAmsCk_yAZCHIAAAADvqdFXc323.txt",
  };
  return path.replace(
    /:(\w+)(\{[^/]*\})?/g,
    (_, name) => z.string().parse(parts[name]),
  );
}
