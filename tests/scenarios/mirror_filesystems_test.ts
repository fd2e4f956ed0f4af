/**
 * File systems on a mirrored volume: fail-over in mid-write (S64), and a foreign
 * tool that makes, fills and checks one on the export.
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
import { type MirrorPair, startPair } from "../helpers/mirror_pair.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";

const MIB = 1024 * 1024;
const SCRIPT = `${
  Deno.env.get("KEDGE_TOOLS") ?? `${ROOT}../shared/tools`
}/mount.sh`;

const lack = await whyNoMirrorHosts();
if (lack !== undefined) say(`SKIPPED S64: ${lack}`);
const toolLack = lack ??
  (await exists(SCRIPT) ? undefined : `no ${SCRIPT} (set KEDGE_TOOLS)`);
if (toolLack !== undefined) say(`SKIPPED mount.sh on a mirror: ${toolLack}`);

/** What is done with each file system; the journal is replayed before `check`. */
const FILE_SYSTEMS = [
  { fs: "ext4", make: "mkfs.ext4 -q -F", check: "e2fsck -fn" },
  { fs: "xfs", make: "mkfs.xfs -q -f", check: "xfs_repair -n" },
  { fs: "btrfs", make: "mkfs.btrfs -q -f", check: "btrfs check" },
] as const;

// 40 s
Deno.test({
  name: "S64: a Primary is killed in mid-write under a file system",
  ignore: lack !== undefined,
}, async (t) => {
  await using scope = new Scope();
  const hosts = await startHosts(scope);
  const { a: first, b: second } = hosts;
  await t.step("the Secondary is killed: the file system goes on", async () => {
    await first.must("mkfs.ext4 -q -F /dev/drbd1 && mount /dev/drbd1 /mnt");
    const writing = await startWriting(first);
    await second.must(`kill -9 ${await second.daemonPid()}`);
    await untilWritten(first, 40);
    await second.must("drbdadm up data");
    await becomes(first, "Connected Primary/Secondary UpToDate/UpToDate");
    await untilWritten(first, 40);
    await first.must("touch /run/stop");
    await writing.end;
    const acknowledged = await first.must("cat /run/acknowledged");
    await first.must("umount /mnt && drbdadm secondary data");
    await second.must("drbdadm primary data && e2fsck -fn /dev/drbd1");
    await second.must("mount /dev/drbd1 /mnt");
    await expectWhole(second, acknowledged);
    await second.must("umount /mnt && drbdadm secondary data");
    await first.must("drbdadm primary data");
  });

  for (const { fs, make, check } of FILE_SYSTEMS) {
    const isThere = await isInstalled(make.split(" ")[0] ?? "");
    if (!isThere) say(`SKIPPED S64 on ${fs}: no ${make.split(" ")[0]}`);
    await t.step({
      name: fs,
      ignore: !isThere,
      async fn() {
        await first.must(`${make} /dev/drbd1 && mount /dev/drbd1 /mnt`);
        const acknowledged = await killInMidWrite(first);
        await second.must("drbdadm primary data");
        await second.must("mount /dev/drbd1 /mnt");
        await expectWhole(second, acknowledged);
        await second.must(`umount /mnt && ${check} /dev/drbd1`);

        await first.must("drbdadm up data");
        await becomes(first, "Connected Secondary/Primary UpToDate/UpToDate");
        await second.must("drbdadm secondary data");
        await first.must(`drbdadm primary data && ${check} /dev/drbd1`);
        await first.must("mount /dev/drbd1 /mnt");
        await expectWhole(first, acknowledged);
        await first.must("umount /mnt");
      },
    });
  }
});

for (const fs of ["ext4", "xfs"]) {
  Deno.test({
    name: `${fs} by mount.sh on a mirrored export, checked on both hosts`,
    ignore: toolLack !== undefined,
  }, async () => {
    await using scope = new Scope();
    const pair = await startPair(scope, {
      protocol: "C",
      diskBytes: 400 * MIB,
    });
    const manifest = `${pair.dir}/manifest`;
    const rest = ["-f", fs, "-T", "-B", "24", "-s", manifest, pair.a.uri];
    await mountTool(scope, ["test", ...rest]);
    await pair.a.demote();
    await pair.b.promote();
    await mountTool(scope, ["check", "-f", fs, pair.b.uri, manifest]);
    await pair.b.demote();
    await expectSameDisks(pair);
  });
}

/** Two hosts, in sync; the first is Primary. */
async function startHosts(scope: Scope): Promise<MirrorHosts> {
  const hosts = await startDataHosts(scope, 340 * MIB);
  await hosts.a.must("drbdadm primary --force data");
  await becomes(hosts.a, "Connected Primary/Secondary UpToDate/UpToDate");
  return hosts;
}

/**
 * Kill the daemon of a host while files are written.
 *
 * @returns `SHA-256  NAME` of the files whose fsync had succeeded.
 */
async function killInMidWrite(host: MirrorHost): Promise<string> {
  const pid = await host.daemonPid();
  const writing = await startWriting(host);
  await untilWritten(host, 40);
  await host.must(`kill -9 ${pid}`);
  await writing.end;
  const acknowledged = await host.must("cat /run/acknowledged");
  // What is mounted gives errors now; it must still be possible to let go.
  const write = await host.type("echo late >/mnt/late && sync -f /mnt");
  assert.notEqual(write.code, 0, "an acknowledgement without a mirror");
  await host.must("umount /mnt");
  return acknowledged;
}

/** Let files be written; what is returned ends with the writing. */
async function startWriting(
  host: MirrorHost,
): Promise<{ readonly end: Promise<unknown> }> {
  await host.must("rm -f /run/stop; echo -n >/run/acknowledged");
  return { end: host.type(WRITER) };
}

/** Wait for `count` files more than there are. */
async function untilWritten(host: MirrorHost, count: number): Promise<void> {
  const written = async () =>
    Number(await host.must("wc -l </run/acknowledged"));
  const before = await written();
  await eventually(
    async () => await written() >= before + count,
    { what: `${count} files`, pauseMs: 20 },
  );
}

/** Files with fsync, beside a stream without: until one fails, or `/run/stop`. */
const WRITER = `
( while [ ! -e /run/stop ] && head -c 3M /dev/urandom >/mnt/stream; do :; done
) 2>/dev/null &
for i in $(seq 5000); do
  [ ! -e /run/stop ] || break
  head -c $((RANDOM * 3 + 1)) /dev/urandom >/run/next
  cp /run/next /mnt/file$i && sync /mnt/file$i || break
  sum=$(sha256sum </run/next) && echo "\${sum%-}file$i" >>/run/acknowledged
done 2>/dev/null
touch /run/stop
wait
`;

async function expectWhole(
  host: MirrorHost,
  acknowledged: string,
): Promise<void> {
  const { code, stdout, stderr } = await host.type(
    "cd /mnt && sha256sum --check --quiet",
    acknowledged + "\n",
  );
  assert.equal(code, 0, `${host.options.name}: ${stdout}${stderr}`);
}

async function becomes(host: MirrorHost, wanted: string): Promise<void> {
  await eventually(async () => {
    const states = await host.must(
      "drbdadm cstate data; drbdadm role data; drbdadm dstate data",
    );
    if (states.replaceAll("\n", " ") === wanted) return true;
    throw new Error(`it is ${states}\n${await host.log()}`);
  }, { what: `${host.options.name} to be ${wanted}`, deadlineMs: 40_000 });
}

async function mountTool(
  scope: Scope,
  args: readonly string[],
): Promise<void> {
  const dir = await scope.tempDir();
  const mount = () =>
    run(["timeout", "120", "bash", SCRIPT, ...args], {
      env: { RUN: `${dir}/run`, DATA: `${dir}/data`, TMPDIR: dir },
    });
  let { stdout, stderr } = await mount();
  // loop over FUSE may deadlock in mkfs before a request reaches anybody.
  if (/step=mkfs/.test(stdout)) ({ stdout, stderr } = await mount());
  assert.match(stdout, /RESULT PASS/, `${stdout}${stderr}`);
}

/** Both disks, up to the metadata at their ends. */
async function expectSameDisks({ a, b }: MirrorPair): Promise<void> {
  const dataBytes = 399 * MIB;
  const { code, stdout } = await run([
    "cmp",
    "-n",
    `${dataBytes}`,
    a.disk,
    b.disk,
  ]);
  assert.equal(code, 0, stdout);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
