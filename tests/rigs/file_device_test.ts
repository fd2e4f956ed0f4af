/**
 * The mirror's disk under faults of the system: short writes, and errors that
 * must not be tried again.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { Scope } from "../helpers/scope.ts";
import { type Fault, FaultShim, readCount } from "./fault_shim.ts";
import { skipsWithoutShim } from "./store_runs.ts";

const ignore = skipsWithoutShim("tests/rigs/file_device");

/** Run the child; what it said, and how many calls were made of that kind. */
async function underFault(fault: Pick<Fault, "mode" | "at" | "calls">) {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const disk = `${dir}/the-disk`;
  (await Deno.create(disk)).close();
  await Deno.truncate(disk, 65_536);
  const shim = await FaultShim.compile(dir);
  const counter = `${dir}/counter`;
  const child = new URL("./file_device_child.ts", import.meta.url).pathname;
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", child, disk],
    env: scope.environment(
      shim.environment({ ...fault, path: "/the-disk" }, counter),
    ),
  }).output();
  equal(output.code, 0, new TextDecoder().decode(output.stderr));
  return {
    said: new TextDecoder().decode(output.stdout).trim().split("\n"),
    calls: readCount(counter),
    bytes: await Deno.readFile(disk),
  };
}

Deno.test({
  name: "short writes are finished",
  ignore,
  async fn() {
    const { said, calls, bytes } = await underFault({
      mode: "short",
      at: 0,
      calls: ["write"],
    });
    deepEqual(new Set(said.map((line) => line.split(" ")[1])), new Set(["ok"]));
    equal(bytes.subarray(0, 12_288).every((byte) => byte === 0x5a), true);
    equal(bytes.subarray(16_384, 24_576).every((b) => b === 0x5a), true);
    equal(calls > 4, true);
  },
});

Deno.test({
  name: "after a failed flush nothing is written or flushed any more",
  ignore,
  async fn() {
    const { said, calls } = await underFault({
      mode: "error",
      at: 1,
      calls: ["sync"],
    });
    deepEqual(said.slice(0, 4), [
      "write ok",
      "flush EIO",
      "write EIO",
      "flush EIO",
    ]);
    equal(said[6], "read ok");
    equal(calls, 1);
  },
});

Deno.test({
  name: "a failed durable write is the handle's last",
  ignore,
  async fn() {
    const { said, calls } = await underFault({
      mode: "error",
      at: 3,
      calls: ["write"],
    });
    deepEqual(said.slice(0, 6), [
      "write ok",
      "flush ok",
      "write ok",
      "flush ok",
      "durable EIO",
      "durable EIO",
    ]);
    equal(calls, 3);
  },
});
