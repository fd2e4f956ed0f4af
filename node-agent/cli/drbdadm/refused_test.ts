/**
 * What DRBD has and Kedge does not: known, refused, and the reason told.
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../testdata/fake_context.ts";

async function refused(line: string) {
  const { code, out, err } = await run(["drbdadm", ...line.split(" ")]);
  assert.equal(out, "", line);
  return { code, err: err.trimEnd() };
}

Deno.test("options of DRBD that are not there tell why", async () => {
  const cases: [string, RegExp][] = [
    ["secondary --force r", /^drbdadm secondary --force: .*stop what holds/],
    ["-- --force secondary r", /^drbdadm secondary --force: /],
    ["detach --diskless r", /--diskless: .*"drbdadm detach NAME"/],
    ["invalidate --reset-bitmap=no r", /--reset-bitmap: all blocks/],
    ["invalidate-remote --reset-bitmap=no r", /--reset-bitmap: all blocks/],
    ["resize --al-stripes=2 r", /--al-stripes: .*create-md --al-stripes/],
    ["resize --al-stripe-size-kB 64 r", /--al-stripe-size-kB: /],
    ["events2 --poll", /--poll: .*"--now"/],
    ["net-options --protocol=A r", /"protocol A;" there, then "drbdadm adjust/],
    ["disk-options --c-max-rate=1M r", /"kedge volume set NAME c-max-rate=1M"/],
    ["disk-options --c-max-rate 1M r", /"kedge volume set NAME c-max-rate=1M"/],
    ["peer-device-options --c-max-rate=1M r", /write "c-max-rate 1M;" there/],
    ["resource-options --set-defaults r", /take them out there/],
  ];
  for (const [line, expected] of cases) {
    const { code, err } = await refused(line);
    assert.equal(code, 1, line);
    assert.match(err, expected);
    assert.equal(err.split("\n").length, 1, err);
  }
});

Deno.test("a secret on the command line is not repeated", async () => {
  const { err } = await refused("net-options --shared-secret=hush r");
  assert.match(err, /write it there on both hosts/);
  assert.doesNotMatch(err, /hush/);
});

Deno.test("an option that nobody has is still no option", async () => {
  const { err } = await refused("net-options --no-such r");
  assert.match(err, /unrecognized option '--no-such'/);
});

Deno.test("commands of DRBD that are not there tell why", async () => {
  const names = ["new-peer", "del-peer", "new-path", "del-path", "forget-peer"];
  for (const name of names) {
    const { code, err } = await refused(`${name} r`);
    assert.equal(code, 20, name);
    assert.match(err, new RegExp(`^drbdadm ${name}: a `));
  }
});

Deno.test("a folder as the configuration is told like a missing one (20)", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { code, err } = await refused(`-c ${folder} dump`);
    assert.equal(code, 20);
    assert.match(err, /^Can not read .*: Is a directory\.\n {2}next: /);
  } finally {
    await Deno.remove(folder);
  }
});
