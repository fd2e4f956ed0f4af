import assert from "node:assert/strict";
import { CreatedToken, JoinReply, NodeList, TokenList } from "@kedge/schema";
import {
  answerOf,
  heartbeatOf,
  refusalOf,
  type TestTracker,
  testTracker,
} from "../testing.ts";
import { openDenoKv } from "../store/deno_kv.ts";

Deno.test("of two nodes that race with one token exactly one joins", async () => {
  using tracker = await testTracker();
  const token = await tokenOf(tracker);
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => joinWith(tracker, token)),
  );
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [201, 403, 403, 403, 403, 403]);
  const list = await answerOf(tracker.ask("GET /v1/nodes"), NodeList);
  assert.equal(list.nodes.length, 1);
});

Deno.test("nodes that join at once through two trackers get different numbers", async () => {
  const kv = await openDenoKv(":memory:");
  using one = await testTracker({ kv });
  const two = await testTracker({ kv });
  const tokens = [];
  for (let count = 0; count < 6; count++) tokens.push(await tokenOf(one));
  const replies = await Promise.all(tokens.map(async (token, index) => {
    const response = await joinWith(index % 2 === 0 ? one : two, token);
    return await answerOf(response, JoinReply);
  }));
  const numbers = replies.map(({ node }) => node).sort();
  assert.deepEqual(numbers, [1, 2, 3, 4, 5, 6]);
  const epochs = new Set(replies.map(({ reply }) => reply.register.gen));
  assert.equal(epochs.size, 1);
  assert(!JSON.stringify(replies).includes("clusterSecret"));
  const last = await answerOf(one.ask("GET /v1/nodes"), NodeList);
  assert.equal(last.nodes.filter(({ insync }) => insync).length, 1);
});

Deno.test("a node whose answer was lost joins again with the same token and database", async () => {
  using tracker = await testTracker();
  const token = await tokenOf(tracker);
  const store = crypto.randomUUID();
  const lost = await answerOf(joinWith(tracker, token, store), JoinReply);
  const again = await answerOf(joinWith(tracker, token, store), JoinReply);
  assert.equal(again.node, lost.node);
  assert.equal(again.reply.register.members.length, 1);
  // Only the newest credential counts.
  const report = (credential: string) =>
    tracker.ask(`POST /v1/nodes/1/heartbeat`, {
      auth: `Kedge-Node 1:${credential}`,
      body: heartbeatOf({ store }),
    });
  assert.equal((await report(lost.credential)).status, 401);
  assert.equal((await report(again.credential)).status, 200);
  // Its first report proves that it has the credential: the token is gone.
  const refusal = await refusalOf(joinWith(tracker, token, store));
  assert.equal(refusal.type, "/problems/bad-token");
  const list = await answerOf(tracker.ask("GET /v1/tokens"), TokenList);
  assert.deepEqual(list.tokens, []);
});

Deno.test("a used token is refused to any other database", async () => {
  using tracker = await testTracker();
  const token = await tokenOf(tracker);
  await answerOf(joinWith(tracker, token), JoinReply);
  const refusal = await refusalOf(joinWith(tracker, token));
  assert.equal(refusal.type, "/problems/bad-token");
});

Deno.test("a token that is unknown, has expired, or is for another group is refused", async () => {
  using tracker = await testTracker();
  const brief = await tokenOf(tracker, { expiresS: 5 });
  const other = await tokenOf(tracker, { group: "other" });
  tracker.clock.nowMs += 5000;
  for (const token of ["kj_unknown-token-unknown", brief, other]) {
    const refusal = await refusalOf(joinWith(tracker, token));
    assert.equal(refusal.type, "/problems/bad-token", token);
  }
});

Deno.test("a group is made by join only when the token allows it", async () => {
  using tracker = await testTracker();
  const token = await tokenOf(tracker, { createGroup: false });
  const refusal = await refusalOf(joinWith(tracker, token));
  assert.equal(refusal.type, "/problems/group-not-found");
  // The token was not used up.
  await tracker.ask("POST /v1/groups", { body: { name: "group1" } });
  const reply = await answerOf(joinWith(tracker, token), JoinReply);
  assert.deepEqual(reply.reply.register.insync, [1]);
});

Deno.test("a database that is a member already is refused under a new token", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const token = await tokenOf(tracker);
  const refusal = await refusalOf(joinWith(tracker, token, node.store));
  assert.equal(refusal.type, "/problems/already-exists");
});

Deno.test("the seventeenth member of a group is refused, and its token stays good", async () => {
  using tracker = await testTracker();
  for (let member = 0; member < 16; member++) await tracker.join();
  const token = await tokenOf(tracker);
  const refusal = await refusalOf(joinWith(tracker, token));
  assert.equal(refusal.refusal, "group-full");
  await tracker.ask("DELETE /v1/nodes/9");
  assert.equal((await joinWith(tracker, token)).status, 201);
});

Deno.test("a number is never used again", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const second = await tracker.join();
  await tracker.ask(`DELETE /v1/nodes/${second.node}`);
  assert.equal((await tracker.join()).node, 3);
});

Deno.test("an unknown outcome of a join is looked up, not guessed", async () => {
  using tracker = await testTracker();
  const commit = tracker.kv.commit;
  const lose = (isApplied: boolean) => {
    tracker.kv.commit = async (change) => {
      tracker.kv.commit = commit;
      if (isApplied) await commit(change);
      return "unknown";
    };
  };
  const made = await tokenOf(tracker);
  lose(true);
  const reply = await answerOf(joinWith(tracker, made), JoinReply);
  assert.equal(reply.node, 1);
  const notMade = await tokenOf(tracker);
  lose(false);
  const refusal = await refusalOf(joinWith(tracker, notMade));
  assert.equal(refusal.type, "/problems/kv-uncertain");
  assert.equal((await joinWith(tracker, notMade)).status, 201);
});

Deno.test("a heartbeat whose URL would end up in redirects wrongly is refused", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const urls = [
    "http://u:p@h:1",
    "http://h:1/?x=1",
    "http://h:1/#f",
    "file:///x",
  ];
  for (const url of urls) {
    const refusal = await refusalOf(tracker.report(node, { url }));
    assert.equal(refusal.status, 400, url);
  }
  await tracker.report(node, { url: "http://h:1/" });
  tracker.clock.nowMs += 251; // the tracker reads the KV again
  const read = await tracker.ask("PUT /v1/files");
  assert.match(
    read.headers.get("location") ?? "",
    /^http:\/\/h:1\/v1\/files\?/,
  );
});

Deno.test("a node whose tracker lost its store gets its old number back", async () => {
  using tracker = await testTracker();
  const reply = await answerOf(joinAgain(tracker, 7), JoinReply);
  assert.equal(reply.node, 7);
  assert.equal((await answerOf(joinAgain(tracker, 3), JoinReply)).node, 3);
  // Numbers of new nodes come after all of them.
  assert.equal((await tracker.join()).node, 8);
  const refusal = await refusalOf(joinAgain(tracker, 7));
  assert.equal(refusal.type, "/problems/already-exists");
});

Deno.test("a member that lost its identity comes back with its database", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const reply = await answerOf(
    joinAgain(tracker, node.node, node.store),
    JoinReply,
  );
  assert.equal(reply.node, node.node);
  assert.deepEqual(reply.reply.register.members.length, 1);
  const report = (credential: string) =>
    tracker.ask(`POST /v1/nodes/1/heartbeat`, {
      auth: `Kedge-Node 1:${credential}`,
      body: heartbeatOf({ store: node.store }),
    });
  assert.equal((await report(reply.credential)).status, 200);
  assert.equal((await tracker.report(node)).status, 401);
});

Deno.test("a node that was removed does not come back with its database", async () => {
  using tracker = await testTracker();
  await tracker.join();
  const second = await tracker.join();
  await tracker.ask(`DELETE /v1/nodes/${second.node}?force=1`);
  const refusal = await refusalOf(
    joinAgain(tracker, second.node, second.store),
  );
  assert.equal(refusal.type, "/problems/already-exists");
  assert.match(String(refusal.detail), /was removed/);
});

async function joinAgain(
  tracker: TestTracker,
  node: number,
  store: string = crypto.randomUUID(),
): Promise<Response> {
  const token = await tokenOf(tracker);
  return await tracker.ask("POST /v1/nodes/join", {
    auth: null,
    body: { token, group: "group1", node, heartbeat: heartbeatOf({ store }) },
  });
}

async function tokenOf(
  tracker: TestTracker,
  given: Record<string, unknown> = {},
): Promise<string> {
  const body = { kind: "join", group: "group1", createGroup: true, ...given };
  const made = tracker.ask("POST /v1/tokens", { body });
  return (await answerOf(made, CreatedToken)).token;
}

function joinWith(
  tracker: TestTracker,
  token: string,
  store: string = crypto.randomUUID(),
): Promise<Response> {
  return tracker.ask("POST /v1/nodes/join", {
    auth: null,
    body: { token, group: "group1", heartbeat: heartbeatOf({ store }) },
  });
}
