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

Deno.test("two callers at once start one Worker", async () => {
  const runDir = await Deno.makeTempDir({ prefix: "kedge-host-" });
  const said: string[] = [];
  const host = new MirrorHost({
    runDir,
    version: "0",
    workerEntry: new URL(
      `data:text/javascript,${encodeURIComponent(WORKER)}`,
    ),
    log: { info: () => {}, warn: () => {} },
    deviceNodes: undefined,
    registers: undefined,
  });
  host.listen(({ kind }) => said.push(kind));
  try {
    const config = resolveResource(parseDrbdText(CONF), {
      host: "a",
      resourceName: "r",
    });
    const options = { exportAddress: undefined, deviceNodes: false };
    const replies = await Promise.all([
      host.create(config, options),
      host.create(config, options),
    ]);
    assert.deepEqual(replies.map(({ code }) => code), [1, 161]);
    assert.deepEqual(said, ["create"]);
  } finally {
    await host.close();
    await Deno.remove(runDir, { recursive: true });
  }
});
