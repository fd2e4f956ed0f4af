/** Where a device is mounted, and which package is missing. */

import assert from "node:assert/strict";
import { mountIn } from "./device_node_holders.ts";
import { findProgram, lastWords, programPath } from "./device_node_tools.ts";

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
