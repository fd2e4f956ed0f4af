/**
 * `/dev/drbdN` of a real daemon: other users of the export, a killed daemon,
 * one that is stopped while a file system is mounted.
 *
 * @module
 */

import assert from "node:assert/strict";
import { isInstalled } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import {
  type MirrorHost,
  MirrorHosts,
  whyNoMirrorHosts,
} from "../helpers/mirror_hosts.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const lack = await whyNoMirrorHosts() ??
  (await isInstalled("nbdsh") ? undefined : "nbdsh is not installed");
if (lack !== undefined) say(`SKIPPED device nodes of a daemon: ${lack}`);

const CONF = `
resource data {
  device /dev/drbd1;
  disk /dev/data/mysql;
  meta-disk internal;
  on first { address 192.168.8.61:7789; }
  on second { address 192.168.8.62:7789; }
}
`;

// 15 s
Deno.test({
  name: "the device node of a daemon",
  ignore: lack !== undefined,
}, async (t) => {
  await using scope = new Scope();
  const host = await startPrimary(scope);

  await t.step("a demotion that is refused leaves the node", async () => {
    const client = host.type(HOLD_EXPORT);
    await eventually(
      async () => (await host.type("test -e /run/held")).code === 0,
      { what: "a client of the export" },
    );
    const refused = await host.type("drbdadm secondary data");
    assert.equal(refused.code, 11, refused.stderr);
    assert.match(refused.stderr, /\(-12\) Device is held open by someone/);
    assert.equal(await host.must("drbdadm role data"), "Primary/Unknown");
    await host.must("blockdev --getsize64 /dev/drbd1");
    await host.must("rm /run/held");
    await client;
    await host.must("drbdadm secondary data && ! test -e /dev/drbd1");
    await host.must("drbdadm primary data && test -b /dev/drbd1");
  });

  await t.step(
    "what is missing is said, and asking again mends it",
    async () => {
      await host.must("drbdadm secondary data && mv /dev/fuse /dev/fuse.away");
      const { code, stderr } = await host.type("drbdadm primary data");
      assert.equal(code, 0, "it is Primary, only without a node");
      assert.match(stderr, /drbd1 could not be made: \/dev\/fuse is missing/);
      assert.match(stderr, /The export is at nbd\+unix:/);
      await host.must("mv /dev/fuse.away /dev/fuse && drbdadm primary data");
      await host.must("test -b /dev/drbd1");
      // By mistake, or by a tool that cleans /dev.
      await host.must("rm /dev/drbd1 && drbdadm primary data");
      await host.must("blockdev --getsize64 /dev/drbd1");
    },
  );

  await t.step("a daemon that was killed is replaced", async () => {
    await host.must("mkfs.ext4 -q -F /dev/drbd1 && mount /dev/drbd1 /mnt");
    await host.must("echo kept >/mnt/file && sync -f /mnt");
    await host.must(`kill -9 ${await host.daemonPid()}`);
    const late = await host.type("echo late >/mnt/late && sync -f /mnt");
    assert.notEqual(late.code, 0, "nothing is acknowledged any more");

    await host.must("drbdadm up data && ! test -e /dev/drbd1");
    assert.match(await host.log(), /removing the device node of a daemon/);
    await host.must("mkdir -p /run/again && drbdadm primary data");
    // The dead mount is still there: it does not hold the new node.
    await host.must("drbdadm secondary data && drbdadm primary data");
    await host.must("umount /mnt && mount /dev/drbd1 /run/again");
    assert.equal(await host.must("cat /run/again/file"), "kept");
  });

  await t.step("a daemon that ends in order leaves nothing", async () => {
    const file = await host.must("ls -d /run/kedge/nodes/*/disk");
    await host.must("losetup --list | grep " + file);
    const refused = await host.type("kedge mirror stop");
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /\/dev\/drbd1 is mounted on \/run\/again/);
    // A signal does not ask: what is mounted gives errors from now on.
    await host.must(`kill ${await host.daemonPid()}`);
    await eventually(
      async () => (await host.type("kedge mirror status")).code !== 0,
      { what: "the end of the daemon" },
    );
    await host.must("! test -e /dev/drbd1 && ! pidof nbdfuse");
    await host.must("umount /run/again");
    await host.must("! losetup --list | grep " + file);
  });
});

/** Nobody but nbdsh holds the export, until a file is removed. */
const HOLD_EXPORT = `
PATH=/usr/bin:$PATH nbdsh \
  -c 'import os, time' \
  -c 'h.connect_uri("nbd+unix:///data?socket=/run/kedge/data.nbd")' \
  -c 'open("/run/held", "w").close()' \
  -c 'while os.path.exists("/run/held"): time.sleep(0.05)' \
  -c 'h.shutdown()'
`;

async function startPrimary(scope: Scope): Promise<MirrorHost> {
  const host = (name: string, address: string) => ({
    name,
    address,
    diskBytes: 64 * 1024 * 1024,
    files: { "/etc/drbd.conf": CONF },
  });
  const { a } = await MirrorHosts.start(scope, [
    host("first", "192.168.8.61/24"),
    host("second", "192.168.8.62/24"),
  ]);
  await a.must("drbdadm create-md data && drbdadm up data");
  await a.must("drbdadm primary --force data");
  return a;
}
