import assert from "node:assert/strict";
import type { MirrorEvent } from "@kedge/schema/mirror/control-api";
import { EventStreams } from "./event_streams.ts";

/** A host that nothing happens on but what the test says. */
class Host {
  readonly listeners = new Set<(event: MirrorEvent) => void>();
  isBroken = false;

  listen(listener: (event: MirrorEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  status() {
    return this.isBroken
      ? Promise.reject(new Error("no status"))
      : Promise.resolve({ resources: [] });
  }

  tell(): void {
    const event: MirrorEvent = {
      atMs: 0,
      resource: "r".repeat(1000),
      volume: 0,
      kind: "destroy",
    };
    for (const listener of this.listeners) listener(event);
  }
}

Deno.test("a reader that reads nothing does not fill the memory", async () => {
  const host = new Host();
  const reader = new EventStreams(host).open().getReader();
  await reader.read(); // ready
  for (let told = 0; told < 2_000 && host.listeners.size > 0; told++) {
    host.tell();
  }
  assert.equal(host.listeners.size, 0);
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  }, /not read/);
});

Deno.test("a reader that leaves, or gets no status, is heard of no more", async () => {
  const host = new Host();
  const streams = new EventStreams(host);
  await streams.open().cancel();
  assert.equal(host.listeners.size, 0);
  host.isBroken = true;
  await assert.rejects(streams.open().getReader().read(), /no status/);
  assert.equal(host.listeners.size, 0);
});
