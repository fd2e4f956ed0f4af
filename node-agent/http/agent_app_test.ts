import assert from "node:assert/strict";
import { FakeNode, GROUP, unknownId } from "../../tests/helpers/fake_ports.ts";
import type { FakeGroupOptions } from "../../tests/helpers/fake_ports.ts";
import { createAgentApp } from "./agent_app.ts";
import type { AgentApp } from "./agent_app.ts";

const BASE = "http://node1.test";

function door(options: FakeGroupOptions = {}): FakeNode & { app: AgentApp } {
  const fake = new FakeNode(options);
  const app = createAgentApp({
    node: fake.node,
    group: GROUP,
    url: () => BASE,
    files: fake.files,
    replicator: fake.replicator,
    clock: fake.clock,
    log: { info() {}, warn() {} },
    admin: {
      status: () => ({ node: fake.node }),
      startScrub: () => ({ running: true }),
      scrubProgress: () => ({ running: false }),
      confirm: () => ({ confirmed: true }),
    },
  });
  return Object.assign(fake, { app });
}

Deno.test("an uploaded file can be read", async () => {
  const { app, capability } = bound(door());
  const put = await app.fetch(
    new Request(`${BASE}/v1/files/hello.txt?cap=${capability}`, {
      method: "PUT",
      body: new TextEncoder().encode("hello"),
    }),
  );
  const answer = await put.json();
  assert.equal(put.status, 201);
  assert.equal(put.headers.get("location"), answer.url);
  const get = await app.fetch(new Request(answer.url));
  assert.equal(get.status, 200);
  assert.equal(await get.text(), "hello");
  assert.equal(get.headers.get("content-type"), "text/plain; charset=utf-8");
  const missing = await app.fetch(new Request(`${BASE}/${unknownId()}`));
  assert.equal(missing.status, 404);
});

function bound(fake: FakeNode & { app: AgentApp }) {
  return { ...fake, app: fake.app, capability: fake.capability({}) };
}
