/**
 * `local-io-error`: the handler runs under `on-io-error call-local-io-error`
 * only, and before the disk is let go. The tutorial configures one that halts
 * the host, beside `on-io-error detach`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { primaryPair, type TestNode } from "./volume_fixture.ts";
import type { VolumeConfig } from "./volume_types.ts";

function failWrite(node: TestNode): void {
  node.failsWrites = true;
  node.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
}

/** The handlers that a Primary calls, with the state of its disk then. */
function afterAnError(config: Partial<VolumeConfig>, fail = failWrite) {
  const pair = primaryPair({
    handlers: new Set(["local-io-error"]),
    ...config,
  });
  const { a } = pair;
  const seen: string[] = [];
  a.core.effects.runHelper = (name) => {
    seen.push(`${name} ${a.core.state.disk}`);
  };
  fail(a);
  pair.run(5);
  return { seen, disk: a.core.state.disk };
}

Deno.test("detach does not call the local-io-error handler", () => {
  const { seen, disk } = afterAnError({ onIoError: "detach" });
  assert.deepEqual(seen, []);
  assert.equal(disk, "Diskless");
});

Deno.test("pass_on does not call the local-io-error handler", () => {
  const { seen, disk } = afterAnError({ onIoError: "pass_on" });
  assert.deepEqual(seen, []);
  assert.equal(disk, "Inconsistent");
});

Deno.test("pass_on does not call it either when the disk must go", () => {
  const fail = ({ core }: TestNode) => core.disk.failed("bitmap");
  const { seen, disk } = afterAnError({ onIoError: "pass_on" }, fail);
  assert.deepEqual(seen, []);
  assert.equal(disk, "Diskless");
});

Deno.test("call-local-io-error calls it once, before the disk is let go", () => {
  const { seen, disk } = afterAnError({ onIoError: "call-local-io-error" });
  assert.deepEqual(seen, ["local-io-error UpToDate"]);
  assert.equal(disk, "Diskless");
});

Deno.test("call-local-io-error without a handler detaches", () => {
  const { seen, disk } = afterAnError({
    onIoError: "call-local-io-error",
    handlers: new Set(),
  });
  assert.deepEqual(seen, []);
  assert.equal(disk, "Diskless");
});
