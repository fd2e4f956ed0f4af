/**
 * A Worker of a mirror dies of a bug: the daemon starts it again, its disk and
 * its connection come back, and nothing that was answered is lost.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import { RESOURCE, startPair } from "../helpers/mirror_pair.ts";
import { openExport } from "../helpers/mirror_pair_client.ts";
import { eventually } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

const BLOCK_BYTES = 4096;

// 2 s
Deno.test("a Primary whose Worker dies is back as a Secondary, with every answered write", async () => {
  await using scope = new Scope();
  const dir = await Deno.makeTempDir({ prefix: "kedge-dies-" });
  scope.defer(() => Deno.remove(dir, { recursive: true }));
  const dies = `${dir}/die`;
  const { a, b } = await startPair(scope, {
    protocol: "C",
    metadata: "equal",
    disk: "resync-rate 1G;",
    env: { a: { KEDGE_TEST_DIES: dies }, b: {} },
  });
  using client = await openExport(a.exportSocket, RESOURCE);
  let [answered, isCut] = [0, false];
  const writing = (async () => {
    for (let value = 1;; value++) {
      const data = new Uint8Array(BLOCK_BYTES).fill(value & 0xff);
      const offset = value % 64 * BLOCK_BYTES;
      const error = await client.errorOf({ type: 1, offset, data })
        .catch(() => -1);
      if (error !== 0) return;
      answered = value;
    }
  })().finally(() => isCut = true);
  await eventually(() => answered > 100, { what: "some writes" });
  await Deno.writeTextFile(dies, "now");
  await writing;
  equal(isCut, true, "its clients are cut off");
  await a.until("a new start", ({ state }) => state.role === "Secondary");
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  match(a.log, /a bug in the Worker.*started again in 1 s/);
  await eventually(() => /drbdadm primary mirror/.test(a.log), {
    what: "what to do next",
  });

  await a.promote();
  using again = await openExport(a.exportSocket, RESOURCE);
  for (let value = answered; value > Math.max(0, answered - 64); value--) {
    const found = await again.read(value % 64 * BLOCK_BYTES, BLOCK_BYTES);
    // The one that was not answered may have been made.
    const newer = value + 64;
    const allowed = newer === answered + 1 ? [value, newer] : [value];
    equal(allowed.map((each) => each & 0xff).includes(found[0] ?? -1), true);
  }
});
