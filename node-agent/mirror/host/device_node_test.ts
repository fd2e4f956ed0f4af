/** Where a device is mounted, and which package is missing. */

import assert from "node:assert/strict";
import { say } from "../../../tests/helpers/say.ts";
import { mountIn } from "./device_node_holders.ts";
import { HostDeviceNodes } from "./device_node.ts";
import {
  findProgram,
  isThere,
  lastWords,
  programPath,
  runProgram,
  runProgramFor,
} from "./device_node_tools.ts";

const MOUNTS = `
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
61 22 7:3 / /mnt/my\\040data rw,relatime shared:9 master:2 - xfs /dev/drbd1 rw
62 22 0:51 / /srv rw,relatime - btrfs /dev/drbd2 rw
`;

Deno.test("a mount is found by number; by name only where numbers lie", () => {
  const at = (number: string, ...names: string[]) =>
    mountIn(MOUNTS, { number, names });
  assert.equal(at("7:3", "/dev/loop3"), "/mnt/my data");
  assert.equal(at("7:5", "/dev/loop5", "/dev/drbd2"), "/srv");
  assert.equal(at("7:4", "/dev/loop4", "/dev/drbd1"), undefined, "an old one");
  assert.equal(at("", "/dev/loop9"), undefined);
});

Deno.test("a missing program is named with its package", () => {
  assert.equal(findProgram("no-such-program"), undefined);
  assert.throws(
    () => programPath("no-such-program"),
    /not installed: install the package no-such-program/,
  );
  assert.match(programPath("sh"), /\/sh$/);
});

Deno.test("what a program complained about is not its farewell", () => {
  const said = "Error: Couldn't resolve the nbd netlink family\n\nExiting.\n";
  assert.match(lastWords(said), /netlink family$/);
  assert.equal(lastWords("one\ntwo"), "two");
  assert.equal(lastWords(""), "");
});

Deno.test("a program that does not end is not waited for", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-program-" });
  try {
    const script = `trap "" TERM; sleep 1; touch ${dir}/ended`;
    const { ok, complaint } = await runProgramFor(50, "sh", ["-c", script]);
    assert.equal(ok, false);
    assert.match(complaint, /no end after 50 ms/);
    assert.equal(isThere(`${dir}/ended`), false);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const canLoop = Deno.uid() === 0 && isThere("/dev/loop-control") &&
  findProgram("losetup") !== undefined;
if (!canLoop) {
  say("no loop devices here: left-over ones are not tried");
}

Deno.test({
  name: "a loop device that is on no record yet is removed as well",
  ignore: !canLoop,
  fn: async () => {
    const runDir = await Deno.makeTempDir({ prefix: "kedge-nodes-" });
    const folder = `${runDir}/nodes/1-x`;
    try {
      await Deno.mkdir(folder, { recursive: true });
      await Deno.writeTextFile(`${folder}/disk`, "x".repeat(4096));
      const made = await runProgram(
        "losetup",
        "-f",
        "--show",
        `${folder}/disk`,
      );
      assert.ok(made.ok, made.complaint);
      const log = { info: () => {}, warn: () => {} };
      await new HostDeviceNodes({ runDir, log }).cleanUp();
      const { stdout } = await runProgram("losetup", made.stdout);
      assert.equal(stdout.includes(runDir), false, stdout);
    } finally {
      await Deno.remove(runDir, { recursive: true });
    }
  },
});
