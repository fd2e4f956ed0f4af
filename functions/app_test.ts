import assert from "node:assert/strict";
import { HeartbeatReply, PlacedUpload } from "@kedge/schema";
import { verifyCapability } from "@kedge/schema/capability";
import { answerOf, testTracker } from "./testing.ts";

const FILE = "group1/M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt";

Deno.test("a node joins, reports, and gets uploads and reads", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  assert.equal(node.node, 1);
  assert.deepEqual(node.reply.register.insync, [1]);
  const reply = await answerOf(tracker.report(node), HeartbeatReply);
  assert.equal(reply.nextMs, 1000);

  const placed = await answerOf(
    tracker.ask("POST /v1/uploads", { body: { sizeBytes: 5 } }),
    PlacedUpload,
  );
  assert.equal(placed.node, 1);
  const verified = verifyCapability(
    placed.capability,
    node.reply.signingKeys,
    tracker.clock.wallMs(),
  );
  assert(verified.ok);
  assert.equal(verified.claims.s, 5);
  assert.equal(verified.claims.n, 1);

  const upload = await tracker.ask("PUT /v1/files/a%20b.txt?level=C");
  assert.equal(upload.status, 307);
  assert.match(
    upload.headers.get("location") ?? "",
    /^http:\/\/127.0.0.1:9001\/v1\/files\/a%20b.txt\?cap=[\w-]+\.[\w-]+&level=C$/,
  );

  const read = await tracker.ask(`GET /${FILE}?download=x`, { auth: null });
  assert.equal(read.status, 307);
  assert.equal(
    read.headers.get("location"),
    `http://127.0.0.1:9001/${FILE}?download=x`,
  );
});

Deno.test("a node whose database was set back is told until it checks itself", async () => {
  using tracker = await testTracker();
  const node = await tracker.join();
  const runs = [1, 2, 3, 4].map(() => crypto.randomUUID());
  const isSetBack = async (
    start: number,
    former: number[],
    isChecking = false,
  ) => {
    const run = {
      id: runs[start] ?? "",
      former: former.map((one) => runs[one] ?? ""),
      isChecking,
    };
    const reply = await answerOf(tracker.report(node, { run }), HeartbeatReply);
    return reply.isSetBack ?? false;
  };
  assert.equal(await isSetBack(0, []), false);
  assert.equal(await isSetBack(1, [0]), false);
  assert.equal(await isSetBack(2, [0]), true);
  assert.equal(await isSetBack(2, [0]), true);
  assert.equal(await isSetBack(3, [0, 2]), true);
  assert.equal(await isSetBack(3, [0, 2], true), false);
  assert.equal(await isSetBack(3, [0, 2]), false);
});
