/**
 * Resources of a host: one Worker each, whoever asks, and how often.
 *
 * @module
 */

import assert from "node:assert/strict";
import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
import { eventually } from "../../../tests/helpers/eventually.ts";
import type { DeviceNodes } from "./device_node_keeper.ts";
import { MirrorHost } from "./mirror_host.ts";

/** Says that it runs, and what it is asked for. */
const WORKER = `
onmessage = ({ data: { type, id } }) => {
  if (type === "start") postMessage({ type: "ready" });
  if (type === "status") postMessage({ type: "status", id, status: [] });
  if (type === "stop") postMessage({ type: "stopped", id });
};`;

const CONF = `
resource r {
  device /dev/drbd1; disk /nowhere/disk; meta-disk internal;
  on a { address 127.0.0.1:7789; }
  on b { address 127.0.0.2:7789; }
}`;

/** Has a socket; needs a moment to end. */
const SLOW_WORKER = `
onmessage = ({ data: { type, id, spec } }) => {
  if (type === "start") {
    Deno.writeTextFileSync(spec.listen[0].path, "");
    postMessage({ type: "ready" });
  }
  if (type === "stop") setTimeout(() => postMessage({ type: "stopped", id }), 50);
};`;

const options = { exportAddress: undefined, deviceNodes: false };
const config = resolveResource(parseDrbdText(CONF), {
  host: "a",
  resourceName: "r",
});

/** Is promoted whenever it is told to. */
const PRIMARY_WORKER = `
const volume = { volume: 0, state: { role: "Primary" }, openCount: 0 };
onmessage = ({ data: { type, id } }) => {
  if (type === "start") postMessage({ type: "ready" });
  if (type === "command") postMessage({ type: "answer", id, result: { code: 1 } });
  if (type === "status") postMessage({ type: "status", id, status: [volume] });
  if (type === "stop") postMessage({ type: "stopped", id });
};`;

async function withHost(
  worker: string,
  test: (host: MirrorHost, runDir: string) => Promise<void>,
  deviceNodes?: DeviceNodes,
): Promise<void> {
  const runDir = await Deno.makeTempDir({ prefix: "kedge-host-" });
  const host = new MirrorHost({
    runDir,
    version: "0",
    workerEntry: new URL(
      `data:text/javascript,${encodeURIComponent(worker)}`,
    ),
    log: { info: () => {}, warn: () => {} },
    deviceNodes,
    registers: undefined,
    revivalPausesMs: [0],
  });
  try {
    await test(host, runDir);
  } finally {
    await host.close();
    await Deno.remove(runDir, { recursive: true });
  }
}

Deno.test("two callers at once start one Worker", async () => {
  await withHost(WORKER, async (host) => {
    const said: string[] = [];
    host.listen(({ kind }) => said.push(kind));
    const replies = await Promise.all([
      host.create(config, options),
      host.create(config, options),
    ]);
    assert.deepEqual(replies.map(({ code }) => code), [1, 161]);
    assert.deepEqual(said, ["create"]);
  });
});

Deno.test("what starts while its predecessor ends keeps its socket", async () => {
  await withHost(SLOW_WORKER, async (host, runDir) => {
    await host.create(config, options);
    const replies = await Promise.all([
      host.remove("r"),
      host.create(config, options),
    ]);
    assert.deepEqual(replies.map(({ code }) => code), [1, 1]);
    assert.ok((await Deno.stat(`${runDir}/r.nbd`)).isFile);
  });
});

Deno.test("a node that is made while its volume is taken down goes again", async () => {
  const isMaking = Promise.withResolvers<void>();
  const made = Promise.withResolvers<string>();
  const nodes = new Set<number>();
  const deviceNodes: DeviceNodes = {
    async appear({ minor }) {
      isMaking.resolve();
      const path = await made.promise;
      nodes.add(minor);
      return path;
    },
    heldBy: () => Promise.resolve(undefined),
    vanish: ({ minor }) => Promise.resolve(void nodes.delete(minor)),
    abandon: ({ minor }) => Promise.resolve(void nodes.delete(minor)),
    pathOf: ({ minor }) => nodes.has(minor) ? "/dev/drbd1" : undefined,
    sizeOf: () => undefined,
  };
  await withHost(PRIMARY_WORKER, async (host) => {
    await host.create(config, { ...options, deviceNodes: true });
    const command = { kind: "primary", force: false } as const;
    const promoted = host.command("r", { command });
    await isMaking.promise;
    assert.equal((await host.remove("r")).code, 1);
    made.resolve("/dev/drbd1");
    await promoted;
    assert.equal(nodes.size, 0);
  }, deviceNodes);
});

/** Dies of its first command. */
const DYING_WORKER = `
onmessage = ({ data: { type, id } }) => {
  if (type === "start") postMessage({ type: "ready" });
  if (type === "command") throw new Error("a bug");
  if (type === "status") postMessage({ type: "status", id, status: [] });
  if (type === "stop") postMessage({ type: "stopped", id });
};`;

Deno.test("a resource whose Worker dies runs again, until it dies too often", async () => {
  await withHost(DYING_WORKER, async (host) => {
    const said: string[] = [];
    host.listen(({ kind }) => said.push(kind));
    await host.create(config, options);
    const kill = () => host.command("r", { command: { kind: "secondary" } });
    const resources = async () => (await host.status()).resources.length;
    assert.match((await kill()).why ?? "", /a bug/);
    await eventually(() => said.length === 3, { what: "another start" });
    assert.deepEqual(said, ["create", "destroy", "create"]);
    assert.equal(await resources(), 1);
    await kill();
    await eventually(async () => (await host.status()).fallen?.length === 1, {
      what: "the end of it",
    });
    assert.equal(await resources(), 0);
    const refused = await kill();
    assert.equal(refused.code, 158);
    assert.match(refused.why ?? "", /died \(.*a bug.*"drbdadm up r"/);
    assert.equal((await host.create(config, options)).code, 1);
    assert.deepEqual((await host.status()).fallen, []);
  });
});
