import assert from "node:assert/strict";
import { HeartbeatReply, NodeList, Problem } from "@kedge/schema";
import { answerOf, refusalOf, testTracker } from "../testing.ts";

Deno.test("uploads in one moment cost one reading of the KV", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const list = tracker.kv.list;
  let lists = 0;
  tracker.kv.list = (prefix) => {
    lists++;
    return list(prefix);
  };
  tracker.clock.nowMs += 251;
  await Promise.all(
    Array.from({ length: 50 }, () => tracker.ask("POST /v1/uploads")),
  );
  assert.equal(lists, 4); // groups, settings, nodes, reports
  tracker.clock.nowMs += 251;
  await tracker.ask("POST /v1/uploads");
  assert.equal(lists, 8);
});

Deno.test("with the KV away reads and uploads go on, heartbeats count, changes do not", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  await tracker.ask("GET /v1/groups");
  breakKv(tracker.kv);
  for (let second = 0; second < 20; second++) {
    tracker.clock.nowMs += 1000;
    const beat = await refusalOf(tracker.report(node));
    assert.equal(beat.type, "/problems/kv-unavailable");
    assert.equal((await tracker.ask("POST /v1/uploads")).status, 201);
  }
  const made = await refusalOf(
    tracker.ask("POST /v1/groups", { body: { name: "other" } }),
  );
  assert.equal(made.type, "/problems/kv-unavailable");
});

Deno.test("with the KV away a node that stops reporting becomes silent", async () => {
  using tracker = await testTracker();
  await tracker.join();
  await tracker.ask("GET /v1/groups");
  breakKv(tracker.kv);
  tracker.clock.nowMs += 4001;
  assert.equal((await tracker.ask("POST /v1/uploads")).status, 503);
  const { nodes } = await answerOf(tracker.ask("GET /v1/nodes"), NodeList);
  assert.equal(nodes[0]?.alive, false);
});

Deno.test("a KV that was never read is a refusal that says so", async () => {
  using tracker = await testTracker();
  breakKv(tracker.kv);
  const refusal = await refusalOf(tracker.ask("POST /v1/uploads"));
  assert.equal(refusal.type, "/problems/kv-unavailable");
});

Deno.test("a heartbeat is told the register of now, not of a moment ago", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  await tracker.ask("GET /v1/groups");
  const entry = await tracker.kv.get(["group", "group1"]);
  const register = { ...node.reply.register, epoch: 50 };
  await tracker.kv.commit({
    sets: [{ key: ["group", "group1"], value: register }],
  });
  assert(entry);
  const reply = await answerOf(tracker.report(node), HeartbeatReply);
  assert.equal(reply.register.epoch, 50);
});

Deno.test("what this tracker writes it sees at once", async () => {
  using tracker = await testTracker();
  for (const name of ["one", "two", "three"]) {
    await tracker.ask("POST /v1/groups", { body: { name } });
    const response = await tracker.ask(`GET /v1/groups/${name}`);
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }
});

Deno.test("a value that is not what it should be is a bug, not a guess", async () => {
  using tracker = await testTracker();
  await tracker.kv.commit({
    sets: [{ key: ["group", "bad"], value: { a: 1 } }],
  });
  const refusal = await refusalOf(tracker.ask("GET /v1/groups"));
  assert.equal(refusal.type, "/problems/internal");
});

function breakKv(kv: Awaited<ReturnType<typeof testTracker>>["kv"]): void {
  const fail = () =>
    Promise.reject(new Problem("kv-unavailable", "the KV is away"));
  Object.assign(kv, { get: fail, list: fail, commit: fail });
}

Deno.test("trackers whose clocks differ by hours agree on who is alive", async () => {
  using here = await testTracker();
  const there = await testTracker({ kv: here.kv });
  there.clock.wallMs = () => there.clock.nowMs - 5 * 3_600_000;
  const node = await there.join();
  await here.ask("GET /v1/groups");
  for (let beat = 0; beat < 6; beat++) {
    here.clock.nowMs += 1000;
    there.clock.nowMs += 1000;
    await there.report(node);
    assert.equal((await here.ask("POST /v1/uploads")).status, 201);
    assert.equal((await there.ask("POST /v1/uploads")).status, 201);
  }
  here.clock.nowMs += 4001;
  assert.equal((await here.ask("POST /v1/uploads")).status, 503);
});

Deno.test("a node that reports to another tracker now is alive for this one too", async () => {
  using here = await testTracker();
  const there = await testTracker({ kv: here.kv });
  const node = await here.join();
  await here.report(node);
  const url = "http://127.0.0.1:9999";
  for (let beat = 0; beat < 6; beat++) {
    here.clock.nowMs += 1000;
    there.clock.nowMs += 1000;
    await there.report(node, { url });
  }
  const upload = await here.ask("PUT /v1/files");
  assert(upload.headers.get("location")?.startsWith(url));
});
