import assert from "node:assert/strict";
import type { HeartbeatReply } from "@kedge/schema";
import { ReplyCache } from "./reply_cache.ts";

const REPLY: HeartbeatReply = {
  register: {
    group: "group1",
    gen: "00000000-0000-4000-8000-000000000001",
    epoch: 3,
    members: [],
    insync: [],
  },
  settings: { level: "B", fileBytesMax: 1000 },
  peers: [],
  signingKeys: [{ id: "k1", secret: "s".repeat(43), createdMs: 1 }],
  mode: "active",
  nextMs: 1000,
};

Deno.test("ReplyCache gives back the last answer, to its owner only", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kedge-cache-" });
  try {
    const cache = new ReplyCache(folder);
    assert.equal(await cache.load(), undefined);
    cache.keep(REPLY);
    cache.keep({ ...REPLY, mode: "draining" });
    await cache.settled();
    assert.equal((await new ReplyCache(folder).load())?.mode, "draining");
    const { mode } = await Deno.stat(`${folder}/agent.cache`);
    assert.equal((mode ?? 0) & 0o777, 0o600);
    await Deno.writeTextFile(`${folder}/agent.cache`, "{");
    assert.equal(await new ReplyCache(folder).load(), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
