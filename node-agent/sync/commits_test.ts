import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import type { ChangeLog } from "../ports.ts";
import { MemoryStore } from "../../tests/helpers/memory_store.ts";
import { stageFile } from "../../tests/helpers/replica_group.ts";
import { ClientBodies } from "../client_bodies.ts";
import { Commits } from "./commits.ts";
import { RecentRecords } from "./recent_records.ts";

/** Commits of a log that stores when it is told to. */
function setUp() {
  const bodies = new ClientBodies();
  const storing = Promise.withResolvers<void>();
  const memory = new MemoryStore(1);
  const log: ChangeLog = Object.assign(Object.create(memory), {
    head: () => 0,
    append: () => storing.promise,
  });
  const commits: Commits = new Commits({
    log,
    bodies,
    recent: new RecentRecords(0, bodies),
    lookup: () => undefined,
    input: (input) => {
      if (input.kind !== "submit") return;
      const { op } = input;
      commits.append({ kind: "append", op, sequence: 1, durable: false });
    },
    appended() {},
  });
  return { bodies, commits, memory, storing };
}

// Short bytes are copied for peers, and the log alone still reads them.
for (const sizeBytes of [5000, 200_000]) {
  Deno.test(`${sizeBytes} bytes are not given back before the log has stored them`, async () => {
    const { bodies, commits, memory, storing } = setUp();
    const bytes = bodies.take(sizeBytes);
    const letGo = bodies.hold(bytes);
    const { change } = await stageFile(memory, bytes);
    const content = { kind: "inline", bytes } as const;
    const done = commits.commit(change, content, "A");
    letGo();
    commits.close("the client is told that nobody knows");
    await assert.rejects(done, /nobody knows/);
    assert.equal(bodies.freeBytes, 0, "the log still reads them");
    storing.resolve();
    await storing.promise;
    await new Promise(setImmediate);
    assert.equal(bodies.freeBytes, bytes.buffer.byteLength);
  });
}

Deno.test("bytes that the log could not store are never given back", async () => {
  const { bodies, commits, memory, storing } = setUp();
  const bytes = bodies.take(5000);
  const letGo = bodies.hold(bytes);
  const { change } = await stageFile(memory, bytes);
  const done = commits.commit(change, { kind: "inline", bytes }, "A");
  letGo();
  storing.reject(new Error("the disk failed"));
  commits.close("the node stops");
  await assert.rejects(done);
  await new Promise(setImmediate);
  assert.equal(bodies.freeBytes, 0);
});
