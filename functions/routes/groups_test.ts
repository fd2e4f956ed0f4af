import assert from "node:assert/strict";
import {
  GroupRegister,
  GroupSettings,
  GroupView,
  HeartbeatReply,
  NodeView,
  type RegisterChange,
} from "@kedge/schema";
import { openDenoKv } from "../store/deno_kv.ts";
import {
  answerOf,
  refusalOf,
  type TestNode,
  type TestTracker,
  testTracker,
} from "../testing.ts";

const PATH = "/v1/groups/group1/register";

/** After this time a tracker reads the KV again. */
const VIEW_MS = 251;

Deno.test("of two trackers that change one register exactly one wins", async () => {
  const kv = await openDenoKv(":memory:");
  using one = await testTracker({ kv });
  const two = await testTracker({ kv });
  const first = await one.join();
  const second = await one.join();
  await one.grow(second);
  const { gen, epoch } = await registerOf(one, first);
  for (let round = 0; round < 20; round++) {
    const under = { gen, epoch: epoch + round };
    const answers = await Promise.all([
      change(one, first, { kind: "renew", by: 1 }, under),
      change(two, second, { kind: "renew", by: 2 }, under),
    ]);
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 409]);
    const loser = answers.find(({ status }) => status === 409);
    const refusal = await refusalOf(loser ?? Response.error());
    assert.equal(refusal.type, "/problems/stale-epoch");
    const register = GroupRegister.parse(refusal.register);
    assert.equal(register.epoch, epoch + round + 1);
  }
});

Deno.test("a change under an older epoch gets the register of now", async () => {
  using tracker = await testTracker();
  const first = await tracker.join();
  const second = await tracker.join();
  const { gen } = await registerOf(tracker, first);
  const refusal = await refusalOf(
    change(tracker, second, { kind: "grow", node: 2 }, { gen, epoch: 1 }),
  );
  assert.equal(refusal.status, 409);
  assert.equal(GroupRegister.parse(refusal.register).epoch, 3);
});

Deno.test("a change under another generation is its own refusal", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const { epoch } = await registerOf(tracker, node);
  const under = { gen: crypto.randomUUID(), epoch };
  const refusal = await refusalOf(
    change(tracker, node, { kind: "renew", by: 1 }, under),
  );
  assert.equal(refusal.type, "/problems/wrong-generation");
});

Deno.test("a rule that forbids a change is named", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const under = await registerOf(tracker, node);
  const refusal = await refusalOf(
    change(tracker, node, { kind: "grow", node: 1 }, under),
  );
  assert.equal(refusal.type, "/problems/register-refused");
  assert.equal(refusal.refusal, "already-in-sync");
});

Deno.test("a node asks only for what concerns itself", async () => {
  using tracker = await testTracker();
  const first = await tracker.join();
  const second = await tracker.join();
  const under = await registerOf(tracker, first);
  const store = second.store;
  const forbidden: RegisterChange[] = [
    { kind: "shrink", node: 1, by: 1 },
    { kind: "renew", by: 1 },
    { kind: "grow", node: 1 },
    { kind: "reset", node: 1, store },
    { kind: "add", node: 2, store },
    { kind: "remove", node: 2 },
    { kind: "force", node: 2 },
  ];
  for (const wanted of forbidden) {
    const refusal = await refusalOf(change(tracker, second, wanted, under));
    assert.equal(refusal.type, "/problems/forbidden", wanted.kind);
  }
  assert.deepEqual(await registerOf(tracker, first), under);
});

Deno.test("the only member comes back empty by an operator's word alone", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const store = crypto.randomUUID();
  const under = await registerOf(tracker, node);
  const refusal = await refusalOf(
    change(tracker, node, { kind: "reset", node: 1, store }, under),
  );
  assert.equal(refusal.refusal, "last-in-sync");
  await tracker.report(node, { store });
  tracker.clock.nowMs += VIEW_MS;
  const view = await answerOf(tracker.ask("GET /v1/nodes/1"), NodeView);
  assert.equal(view.insync, false);
  const forced = await answerOf(
    tracker.ask("POST /v1/groups/group1/force", { body: { node: 1 } }),
    GroupRegister,
  );
  assert.deepEqual(forced.members, [{ node: 1, store }]);
});

Deno.test("a member is shrunk away, comes back empty, and grows again", async () => {
  using tracker = await testTracker();
  const first = await tracker.join();
  const second = await tracker.join();
  await tracker.grow(second);
  const step = async (node: TestNode, wanted: RegisterChange) => {
    const under = await registerOf(tracker, first);
    return await answerOf(
      change(tracker, node, wanted, under),
      GroupRegister,
    );
  };
  const shrunk = await step(first, { kind: "shrink", node: 2, by: 1 });
  assert.deepEqual(shrunk.insync, [1]);
  const store = crypto.randomUUID();
  const reset = await step(second, { kind: "reset", node: 2, store });
  assert.equal(reset.members[1]?.store, store);
  const grown = await step(second, { kind: "grow", node: 2 });
  assert.deepEqual(grown.insync, [1, 2]);
});

Deno.test("an unknown outcome of a change is told as such", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const under = await registerOf(tracker, node);
  tracker.kv.commit = () => Promise.resolve("unknown");
  const refusal = await refusalOf(
    change(tracker, node, { kind: "renew", by: 1 }, under),
  );
  assert.equal(refusal.type, "/problems/kv-uncertain");
  assert.equal(refusal.outcome, "unknown");
});

Deno.test("a heartbeat with another database is kept and answered as it is", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const store = crypto.randomUUID();
  const reply = await answerOf(tracker.report(node, { store }), HeartbeatReply);
  assert.equal(reply.register.members[0]?.store, node.store);
  tracker.clock.nowMs += VIEW_MS;
  // But it gets no uploads: it is not the database that is in sync.
  const refusal = await refusalOf(tracker.ask("POST /v1/uploads"));
  assert.equal(refusal.type, "/problems/no-storage");
});

Deno.test("an operator makes a group, changes it, and forces a node", async () => {
  using tracker = await testTracker();
  const made = await answerOf(
    tracker.ask("POST /v1/groups", {
      body: { name: "group1", settings: { level: "C" } },
    }),
    GroupView,
  );
  assert.equal(made.level, "C");
  const again = await refusalOf(
    tracker.ask("POST /v1/groups", { body: { name: "group1" } }),
  );
  assert.equal(again.type, "/problems/already-exists");
  await tracker.ask("PATCH /v1/groups/group1", { body: { level: "A" } });
  const view = await answerOf(
    tracker.ask("GET /v1/groups/group1"),
    GroupView,
  );
  assert.equal(view.level, "A");
  await tracker.join();
  await tracker.join();
  const forced = await answerOf(
    tracker.ask("POST /v1/groups/group1/force", { body: { node: 2 } }),
    GroupRegister,
  );
  assert.deepEqual(forced.insync, [2]);
  assert(forced.epoch > 1000);
});

Deno.test("what a group packs is kept, shown, and told to its members", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const packed = async (body: Record<string, unknown>) => {
    const settings = await answerOf(
      tracker.ask("PATCH /v1/groups/group1", { body }),
      GroupSettings,
    );
    tracker.clock.nowMs += VIEW_MS;
    const view = await answerOf(
      tracker.ask("GET /v1/groups/group1"),
      GroupView,
    );
    const reply = await answerOf(tracker.report(node), HeartbeatReply);
    return [settings, view, reply.settings].map((one) => one.smallFileMax);
  };
  // Until somebody says something, each agent does as it is set up.
  assert.deepEqual(await packed({}), [undefined, undefined, undefined]);
  assert.deepEqual(await packed({ smallFileMax: 16384 }), Array(3).fill(16384));
  assert.deepEqual(await packed({ level: "A" }), Array(3).fill(16384));
  assert.deepEqual(await packed({ smallFileMax: 0 }), [0, 0, 0]);
  const own = await packed({ smallFileMax: null });
  assert.deepEqual(own, [undefined, undefined, undefined]);
  const refusal = await refusalOf(
    tracker.ask("PATCH /v1/groups/group1", { body: { smallFileMax: 65537 } }),
  );
  assert.equal(refusal.type, "/problems/invalid-request");
});

Deno.test("two operators who change two settings at once both have their way", async () => {
  const kv = await openDenoKv(":memory:");
  using one = await testTracker({ kv });
  const two = await testTracker({ kv });
  const node = await one.join();
  for (let round = 1; round <= 20; round++) {
    const [fileBytesMax, smallFileMax] = [round * 1000, round];
    const path = "PATCH /v1/groups/group1";
    const answers = await Promise.all([
      one.ask(path, { body: { fileBytesMax } }),
      two.ask(path, { body: { smallFileMax } }),
    ]);
    assert.deepEqual(answers.map(({ status }) => status), [200, 200]);
    const { settings } = await answerOf(one.report(node), HeartbeatReply);
    assert.deepEqual(settings, { level: "B", fileBytesMax, smallFileMax });
  }
});

Deno.test("a group or node that is not there is its own refusal", async () => {
  using tracker = await testTracker();
  const asks: [string, string, unknown?][] = [
    ["GET /v1/groups/none", "group-not-found"],
    ["PATCH /v1/groups/none", "group-not-found", {}],
    ["POST /v1/groups/none/force", "group-not-found", { node: 1 }],
    ["GET /v1/nodes/9", "node-not-found"],
    ["DELETE /v1/nodes/9", "node-not-found"],
    ["POST /v1/nodes/9/mode", "node-not-found", { mode: "active" }],
    ["POST /v1/nodes/9/scrub", "node-not-found"],
    [`DELETE /v1/tokens/${"0".repeat(64)}`, "not-found"],
  ];
  for (const [request, slug, body] of asks) {
    const refusal = await refusalOf(tracker.ask(request, { body }));
    assert.equal(refusal.type, `/problems/${slug}`, request);
  }
});

Deno.test("a drained node gets no uploads, stays in sync, and is told so", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  await tracker.ask("POST /v1/nodes/1/mode", { body: { mode: "drain" } });
  const reply = await answerOf(tracker.report(node), HeartbeatReply);
  assert.equal(reply.mode, "draining");
  const view = await answerOf(tracker.ask("GET /v1/nodes/1"), NodeView);
  assert.deepEqual([view.mode, view.insync], ["draining", true]);
  assert.equal((await tracker.ask("POST /v1/uploads")).status, 503);
  await tracker.ask("POST /v1/nodes/1/mode", { body: { mode: "active" } });
  assert.equal((await tracker.ask("POST /v1/uploads")).status, 201);
});

Deno.test("a removed node is not known any more", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const second = await tracker.join();
  assert.equal((await tracker.ask("DELETE /v1/nodes/2")).status, 200);
  assert.equal((await tracker.report(second)).status, 401);
});

Deno.test("the last good member is neither drained nor removed unless forced", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const second = await tracker.join();
  await tracker.grow(second);
  const storePaths = [
    { index: 0, totalBytes: 9, freeBytes: 0, state: "missing" as const },
  ];
  await tracker.report(second, { storePaths });
  tracker.clock.nowMs += VIEW_MS;
  const body = { mode: "drain" };
  for (const request of ["DELETE /v1/nodes/1", "POST /v1/nodes/1/mode"]) {
    const refusal = await refusalOf(tracker.ask(request, { body }));
    assert.equal(refusal.type, "/problems/still-needed", request);
    assert.match(String(refusal.detail), /M00 of node 2 is missing/);
  }
  assert.equal(
    (await tracker.ask("POST /v1/nodes/1/mode?force=1", { body })).status,
    200,
  );
  assert.equal((await tracker.ask("DELETE /v1/nodes/1?force=1")).status, 200);
});

Deno.test("a silent node gets no uploads until it reports again", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  tracker.clock.nowMs += 4001;
  assert.equal((await tracker.ask("POST /v1/uploads")).status, 503);
  const view = await answerOf(tracker.ask("GET /v1/nodes/1"), NodeView);
  assert.deepEqual([view.alive, view.silentMs], [false, 4001]);
  await tracker.report(node);
  tracker.clock.nowMs += VIEW_MS;
  assert.equal((await tracker.ask("POST /v1/uploads")).status, 201);
});

Deno.test("peers are told each other's addresses", async () => {
  using tracker = await testTracker();
  const first = await tracker.join();
  const peerAddress = { hostname: "10.9.9.9", port: 77 };
  await tracker.join({ peerAddress });
  const reply = await answerOf(tracker.report(first), HeartbeatReply);
  assert.deepEqual(reply.peers.map((p) => [p.node, p.peerAddress]), [
    [2, peerAddress],
  ]);
});

function change(
  tracker: TestTracker,
  node: TestNode,
  wanted: RegisterChange,
  { gen, epoch }: { gen: string; epoch: number },
): Promise<Response> {
  const body = { gen, epoch, change: wanted };
  return tracker.ask(`POST ${PATH}`, { body, auth: node.auth });
}

function registerOf(
  tracker: TestTracker,
  node: TestNode,
): Promise<GroupRegister> {
  return answerOf(
    tracker.ask(`GET ${PATH}`, { auth: node.auth }),
    GroupRegister,
  );
}
