import assert from "node:assert/strict";
import type { ResourceSpec } from "../worker_messages.ts";
import { ResourceProcess } from "./resource_process.ts";

/** A Worker that answers one question about its state, and then is stuck. */
const STUCK = `
  let asked = 0;
  self.onmessage = ({ data }) => {
    if (data.type === "start") self.postMessage({ type: "ready" });
    if (data.type === "status" && asked++ === 0) {
      self.postMessage({ type: "status", id: data.id, status: [{ volume: 7 }] });
    }
    if (data.type === "stop") self.postMessage({ type: "stopped", id: data.id });
  };
`;

const SPEC: ResourceSpec = {
  resource: "r0",
  node: "a",
  peerNode: "b",
  local: { hostname: "127.0.0.1", port: 0 },
  remote: { hostname: "127.0.0.1", port: 1 },
  secret: undefined,
  secretAlgorithm: undefined,
  connectIntMs: 10_000,
  pingIntMs: 10_000,
  pingTimeoutMs: 500,
  volumes: [],
  listen: [],
};

Deno.test("a Worker that is stuck does not make a question for its state wait", async () => {
  const entry = new URL(`data:text/javascript,${encodeURIComponent(STUCK)}`);
  const process = new ResourceProcess(SPEC, () => {}, entry);
  try {
    await process.started;
    assert.equal((await process.status())[0]?.volume, 7);
    assert.equal((await process.status())[0]?.volume, 7); // the last answer
  } finally {
    await process.stop();
  }
});

Deno.test("nobody waits for the answer of a Worker that was ended", async () => {
  const entry = new URL(`data:text/javascript,${encodeURIComponent(STUCK)}`);
  const process = new ResourceProcess(SPEC, () => {}, entry);
  await process.started;
  const promoted = process.command({ kind: "primary", force: false }, 0);
  await process.stop();
  const { code, why } = await promoted;
  assert.equal(code, 20);
  assert.match(why ?? "", /taken down/);
  assert.equal((await process.command({ kind: "secondary" }, 0)).code, 20);
});

/** Needs a moment for every answer. */
const SLOW = `
  self.onmessage = ({ data: { type, id } }) => {
    if (type === "start") self.postMessage({ type: "ready" });
    const status = [{ volume: 7 }];
    if (type === "status") {
      setTimeout(() => self.postMessage({ type: "status", id, status }), 50);
    }
    if (type === "stop") self.postMessage({ type: "stopped", id });
  };
`;

Deno.test("who must not have an old answer waits longer for a new one", async () => {
  const entry = new URL(`data:text/javascript,${encodeURIComponent(SLOW)}`);
  const process = new ResourceProcess(SPEC, () => {}, entry);
  try {
    await process.started;
    assert.deepEqual(await process.status(1), []);
    assert.equal((await process.status(30_000))[0]?.volume, 7);
  } finally {
    await process.stop();
  }
});
