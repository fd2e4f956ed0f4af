/**
 * A volume grows on two hosts with real disks, under a file system: online, with
 * a disk that grew while its host was down, and DRBD's own tool reads what is
 * left.
 *
 * @module
 */

import assert from "node:assert/strict";
import { isInstalled, run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { startDataHosts } from "../helpers/mirror_data_hosts.ts";
import {
  type MirrorHost,
  MirrorHosts,
  whyNoMirrorHosts,
} from "../helpers/mirror_hosts.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;
const OLD_BYTES = 320 * MIB;
const NEW_BYTES = 400 * MIB;
const LAST_BYTES = 440 * MIB;
/** Metadata of such disks: superblock, log, one page of bitmap per 128 MiB. */
const META_BYTES = 4096 + 32 * 1024 + 4 * 4096;

async function whyNot(): Promise<string | undefined> {
  const lack = await whyNoMirrorHosts();
  if (lack !== undefined) return lack;
  for (const program of ["xfs_growfs", "cmp", "blockdev"]) {
    if (!await isInstalled(program)) return `${program} is not installed`;
  }
  return undefined;
}

const lack = await whyNot();
if (lack !== undefined) say(`SKIPPED resize: ${lack}`);
const hasDrbdmeta = await isInstalled("drbdmeta");
if (!hasDrbdmeta) say("SKIPPED drbdmeta after a resize: not installed");

// 12 s
Deno.test({
  name: "a volume grows under xfs, online and after a time without its disk",
  ignore: lack !== undefined,
}, async (t) => {
  await using scope = new Scope();
  const hosts = await startHosts(scope);
  const { a: first, b: second } = hosts;

  await t.step("disks that have not grown: nothing changes", async () => {
    const { code, stderr } = await first.type("drbdadm resize data");
    assert.equal(code, 0);
    assert.match(stderr, /keeps its \d+ bytes: no disk has room for more/);
    const shrinks = await first.type("drbdadm resize --size 100M data");
    assert.equal(shrinks.code, 10);
    assert.match(shrinks.stderr, /\(170\) Implicit device shrinking not all/);
  });

  await t.step("online, with a file system mounted", async () => {
    await first.must("mkfs.xfs -q -f /dev/drbd1 && mount /dev/drbd1 /mnt");
    await first.must("seq 1 1000000 >/mnt/old && sync");
    for (const host of [first, second]) await enlarge(host, NEW_BYTES);
    const busy = first.must(
      "dd if=/dev/urandom of=/mnt/busy bs=64k count=400 oflag=direct " +
        "status=none",
    );
    const { code, stderr } = await first.type("drbdadm resize data");
    assert.equal(code, 0, stderr);
    await busy;
    assert.match(stderr, /mounted on \/mnt.*keeps its old size until then/);
    await first.must("seq 1 500000 >/mnt/meanwhile && umount /mnt");
    const text = await first.must("kedge volume resize data --json");
    const { volumes: [volume] } = JSON.parse(text);
    assert.equal(volume.sizeBytes, await deviceSize(first));
    assert.ok(volume.sizeBytes > NEW_BYTES - 2 * META_BYTES);
    await growFileSystem(first, "new");
  });

  await t.step("one disk grew while its host was down", async () => {
    await second.must("drbdadm down data");
    await enlarge(second, LAST_BYTES);
    await second.must("drbdadm up data");
    await becomes(second, "Connected Secondary/Primary UpToDate/UpToDate");
    const before = await deviceSize(first);
    const { stderr } = await second.type("drbdadm resize data");
    assert.match(stderr, /one disk has room for \d+, the other one for no mo/);
    await enlarge(first, LAST_BYTES);
    await first.must("umount /mnt");
    await second.must("drbdadm resize data");
    await eventually(async () => await deviceSize(first) > before, {
      what: "the device node of the Primary to grow",
    });
    await growFileSystem(first, "last");
  });

  await t.step("both hosts have it all", async () => {
    await becomes(first, "Connected Primary/Secondary UpToDate/UpToDate");
    const sums = "cd /mnt && sha256sum *";
    const written = await first.must(sums);
    await first.must("umount /mnt && drbdadm secondary data");
    await second.must("drbdadm primary data && mount /dev/drbd1 /mnt");
    assert.equal(await second.must(sums), written);
    await second.must("umount /mnt && xfs_repair -n /dev/drbd1");
    const size = await deviceSize(second);
    assert.ok(size > LAST_BYTES - 2 * META_BYTES);
    for (const host of [first, second]) await host.must("drbdadm down data");
    const same = ["cmp", "-n", `${size}`, first.image, second.image] as const;
    const { code, stdout } = await run(same);
    assert.equal(code, 0, stdout);
    if (!hasDrbdmeta) return;
    for (const host of [first, second]) {
      const dump = await host.must(
        "mkdir -p /run/lock && drbdmeta 1 v08 /dev/data/mysql internal dump-md",
      );
      assert.match(dump, new RegExp(`la-size-sect ${size / 512};`));
    }
  });
});

async function startHosts(scope: Scope): Promise<MirrorHosts> {
  const hosts = await startDataHosts(scope, OLD_BYTES);
  const { a } = hosts;
  await becomes(a, "Connected Secondary/Secondary Inconsistent/Inconsistent");
  // Both are empty: nothing to copy.
  await a.must("drbdadm -- --clear-bitmap new-current-uuid data");
  await a.must("drbdadm primary data");
  await becomes(a, "Connected Primary/Secondary UpToDate/UpToDate");
  return hosts;
}

/** As `lvextend` does, for a file under a loop device. */
async function enlarge(host: MirrorHost, sizeBytes: number): Promise<void> {
  await Deno.truncate(host.image, sizeBytes);
  await host.must("losetup -c $(readlink /dev/data/mysql)");
}

async function growFileSystem(host: MirrorHost, file: string): Promise<void> {
  await host.must("mount /dev/drbd1 /mnt");
  const told = await host.must("xfs_growfs /mnt");
  assert.match(told, /data blocks changed from \d+ to \d+/);
  // Into the new room first or not: all of both disks is compared at the end.
  await host.must(
    `dd if=/dev/urandom of=/mnt/${file} bs=1M count=16 status=none && sync`,
  );
}

async function deviceSize(host: MirrorHost): Promise<number> {
  const { code, stdout } = await host.type("blockdev --getsize64 /dev/drbd1");
  return code === 0 ? Number(stdout) : 0;
}

async function becomes(host: MirrorHost, wanted: string): Promise<void> {
  await eventually(async () => {
    const { stdout } = await host.type(
      "echo $(drbdadm cstate data) $(drbdadm role data) $(drbdadm dstate data)",
    );
    return stdout.trim() === wanted;
  }, {
    what: `${host.options.name} to be ${wanted}`,
    deadlineMs: 60_000,
    pauseMs: 100,
  });
}
