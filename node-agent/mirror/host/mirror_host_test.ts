/**
 * Resources of a host: one Worker each, whoever asks, and how often.
 *
 * @module
 */

import assert from "node:assert/strict";
import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
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

async function withHost(
  worker: string,
  test: (host: MirrorHost, runDir: string) => Promise<void>,
): Promise<void> {
  const runDir = await Deno.makeTempDir({ prefix: "kedge-host-" });
  const host = new MirrorHost({
    runDir,
    version: "0",
    workerEntry: new URL(
      `data:text/javascript,${encodeURIComponent(worker)}`,
    ),
    log: { info: () => {}, warn: () => {} },
    deviceNodes: undefined,
    registers: undefined,
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
