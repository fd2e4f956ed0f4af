/**
 * The DRBD tutorial, typed: its two hosts, its configuration, its commands in
 * its order, and what a user of DRBD 8.4 expects to read.
 *
 * What differs on purpose is in `docs/mirror.md`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { type MirrorHost, whyNoMirrorHosts } from "../helpers/mirror_hosts.ts";
import {
  DATA_KIB,
  NOTES,
  startTutorial,
} from "../helpers/mirror_hosts_tutorial.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const lack = await whyNoMirrorHosts();
if (lack !== undefined) say(`SKIPPED the DRBD tutorial: ${lack}`);

// 60 s
Deno.test(
  { name: "the DRBD tutorial", ignore: lack !== undefined },
  async (t) => {
    let dirs: string[] = [];
    {
      await using scope = new Scope();
      const hosts = await startTutorial(scope);
      const { a: node1, b: node2 } = hosts;
      let isGood = true;
      /** Each goes on where the last one ended. */
      const chapter = async (name: string, fn: () => Promise<void>) => {
        isGood = await t.step({ name, fn, ignore: !isGood }) && isGood;
      };
      dirs = [node1.image, node2.image];

      await chapter("drbdadm create-md mysql, on both", async () => {
        for (const node of [node1, node2]) {
          const { code, stdout, stderr } = await node.type(
            "drbdadm create-md mysql",
          );
          const text = `${stdout}${stderr}`;
          assert.equal(code, 0, text);
          assert.match(text, /^initializing activity log$/m);
          assert.match(text, /^initializing bitmap \(16 KB\) to all zero$/m);
          assert.match(text, /^Writing meta data\.\.\.$/m);
          assert.match(
            text,
            /^New drbd meta data block successfully created\.$/m,
          );
          assert.match(
            stderr,
            /^\/etc\/drbd\.d\/mysql\.res:12: .*put '#' in front of it: drbd1/m,
            "the line with prose is quoted",
          );
        }
        const again = await node1.type("drbdadm create-md mysql");
        assert.equal(again.code, 1);
        assert.match(again.stderr, /stdin not a TTY, not waiting for confirm/);
        assert.match(again.stdout, /^Operation cancelled\.$/m);
      });

      await chapter("drbdadm up mysql, on the first host alone", async () => {
        await node1.must("modprobe drbd && drbdadm up mysql");
        assert.match(
          await procDrbd(node1),
          /^ 1: cs:WFConnection ro:Secondary\/Unknown ds:Inconsistent\/DUnknown C r-----$/m,
        );
        await shows(
          node1,
          "WFConnection Secondary/Unknown Inconsistent/DUnknown",
        );
        const { code, stderr } = await node1.type("drbdadm primary mysql");
        assert.equal(code, 17, stderr);
        assert.match(
          stderr,
          /^mysql: State change failed: \(-2\) Need access to UpToDate data$/m,
        );
      });

      await chapter("drbdadm -- --force primary mysql", async () => {
        await node1.must("drbdadm -- --force primary mysql");
        await shows(node1, "WFConnection Primary/Unknown UpToDate/DUnknown");
        await node1.must("test -b /dev/drbd1");
        const bytes = await node1.must("blockdev --getsize64 /dev/drbd1");
        assert.equal(Number(bytes), DATA_KIB * 1024);
      });

      await chapter("the second host comes up and is synced", async () => {
        await node2.must("drbdadm up mysql");
        const target = await eventually(async () => {
          const text = await procDrbd(node2);
          return /sync'ed: +[1-9]/.test(text) ? text : undefined;
        }, { what: "progress" });
        assert.match(
          target,
          /^ 1: cs:SyncTarget ro:Secondary\/Primary ds:Inconsistent\/UpToDate C r-----$/m,
        );
        assert.match(
          target,
          /^\t\[=*>\.*\] sync'ed: +[\d.]+% \(\d+\/409548\)K$/m,
        );
        assert.match(
          target,
          /^\tfinish: \d+:\d\d:\d\d speed: [\d,]+ \([\d,]+\) want: [\d,]+ K\/sec$/m,
        );
        const source = await node1.must("drbd-overview");
        assert.match(
          source,
          /^ +1:mysql\/0 +SyncSource Primary\/Secondary UpToDate\/Inconsistent C r-----/m,
        );
        assert.match(source, /^\t\[=*>\.*\] sync'ed: +[\d.]+%/m);
        await becomes(node1, "Connected Primary/Secondary UpToDate/UpToDate");
        await becomes(node2, "Connected Secondary/Primary UpToDate/UpToDate");
        const done = await procDrbd(node2);
        const [, received = ""] = /nr:(\d+)/.exec(done) ?? [];
        assert(Number(received) >= DATA_KIB, done);
        assert.match(done, /oos:0$/m);
        assert.match(
          await node1.must("drbd-overview"),
          /^ +1:mysql\/0 +Connected Primary\/Secondary UpToDate\/UpToDate C r-----/m,
        );
      });

      await chapter("mkfs.xfs /dev/drbd1; mount /dev/drbd1 /mnt", async () => {
        for (const mkfs of ["mkfs.xfs", "mkfs.ext4"]) {
          const { code } = await node2.type(`${mkfs} /dev/drbd1`);
          assert.notEqual(code, 0, "not on the Secondary");
        }
        await node1.must("mkfs.xfs /dev/drbd1");
        await node1.must("mount /dev/drbd1 /mnt");
        assert.match(
          await node1.must("mount | grep drbd1"),
          /^\/dev\/drbd1 on \/mnt type xfs /,
        );
        await node1.must("echo content > /mnt/test");
        assert.match(
          await node1.must("drbd-overview"),
          /UpToDate\/UpToDate C r----- \/mnt xfs \d+M \d+M \d+M \d+%$/m,
        );
      });

      await chapter("switch over: the file is on the other host", async () => {
        const refused = await node1.type("drbdadm secondary mysql");
        assert.equal(refused.code, 11);
        assert.match(
          refused.stderr,
          /^mysql: State change failed: \(-12\) Device is held open by someone$/m,
        );
        assert.match(refused.stderr, /\/dev\/drbd1 is mounted on \/mnt/);
        assert.equal(await node1.must("cat /mnt/test"), "content");
        const open = await node1.type(
          "umount /mnt && drbdadm secondary mysql </dev/drbd1",
        );
        assert.equal(open.code, 11, open.stderr);
        await node1.must("drbdadm secondary mysql");
        await node1.must("! test -e /dev/drbd1");
        await shows(node1, "Connected Secondary/Secondary UpToDate/UpToDate");
        await node2.must("drbdadm primary mysql");
        await node2.must("mount /dev/drbd1 /mnt");
        assert.equal(await node2.must("cat /mnt/test"), "content");
        const second = await node1.type("drbdadm primary mysql");
        assert.equal(second.code, 11);
        assert.match(second.stderr, /\(-1\) Multiple primaries not allowed/);
      });

      await chapter("the network is cut, and both write", async () => {
        await hosts.cut();
        await node2.must("echo survivor > /mnt/two && sync -f /mnt");
        await becomes(
          node1,
          "WFConnection Secondary/Unknown UpToDate/DUnknown",
        );
        await node1.must("drbdadm primary mysql");
        // Only because the host that has it mounted, too, is the same kernel.
        await node1.must("mount -o nouuid /dev/drbd1 /mnt");
        await node1.must("echo victim > /mnt/one && umount /mnt");
        await shows(node1, "WFConnection Primary/Unknown UpToDate/DUnknown");
        await shows(node2, "WFConnection Primary/Unknown UpToDate/DUnknown");
      });

      await chapter("the network is back: split brain", async () => {
        await hosts.mend();
        for (const node of [node1, node2]) {
          await becomes(node, "StandAlone Primary/Unknown UpToDate/DUnknown");
          assert.match(
            await procDrbd(node),
            /^ 1: cs:StandAlone ro:Primary\/Unknown ds:UpToDate\/DUnknown {3}r-----$/m,
          );
          await inOrder(node, [
            /helper command: .*drbdadm initial-split-brain minor-1$/,
            /Split-Brain detected but unresolved, dropping connection!/,
            /conn\( WFReportParams -> Disconnecting \)/,
            /conn\( Disconnecting -> StandAlone \)/,
          ]);
          await inOrder(node, [
            /helper command: .*drbdadm split-brain minor-1$/,
            /helper command: .*drbdadm split-brain minor-1 exit code 0/,
          ]);
          const note = await node.must(`cat ${NOTES}/split-brain`);
          assert.match(note, /^DRBD_RESOURCE=mysql$/m);
          assert.match(note, /^DRBD_MINOR=1$/m);
          assert.match(note, /^DRBD_PEER=ha-node[12]$/m);
        }
        assert.equal(await node2.must("cat /mnt/two"), "survivor");
      });

      await chapter(
        "repair: the first host's changes are discarded",
        async () => {
          const { code, stderr } = await node1.type("drbdadm disconnect mysql");
          assert.equal(code, 10);
          const text = stderr.split("\n").filter((line) =>
            !/^\/etc\//.test(line)
          );
          assert.deepEqual(text, [
            "mysql: Failure: (162) Invalid configuration request",
            "additional info from kernel:",
            "unknown connection",
            "Command 'drbdsetup disconnect ipv4:192.168.8.51:7789 " +
            "ipv4:192.168.8.52:7789' terminated with exit code 10",
            "",
          ]);
          await node1.must("drbdadm secondary mysql");
          await node1.must("drbdadm connect --discard-my-data mysql");
          await shows(
            node1,
            "WFConnection Secondary/Unknown UpToDate/DUnknown",
          );
          await node2.must("drbdadm connect mysql");
          await becomes(node1, "Connected Secondary/Primary UpToDate/UpToDate");
          await becomes(node2, "Connected Primary/Secondary UpToDate/UpToDate");
          assert.match(await procDrbd(node2), /oos:0$/m);
          await node2.must("umount /mnt && drbdadm secondary mysql");
          await node1.must("drbdadm primary mysql && xfs_repair -n /dev/drbd1");
          await node1.must("mount /dev/drbd1 /mnt");
          assert.equal(await node1.must("ls /mnt"), "test\ntwo");
          assert.equal(await node1.must("cat /mnt/two"), "survivor");
          await node1.must("umount /mnt");
        },
      );

      await chapter("mkfs.ext4 /dev/drbd1, and once around", async () => {
        await node1.must("mkfs.ext4 -q -F /dev/drbd1 && mount /dev/drbd1 /mnt");
        await node1.must("echo ext4 > /mnt/test && umount /mnt");
        await node1.must("drbdadm secondary mysql");
        await node2.must("drbdadm primary mysql && mount /dev/drbd1 /mnt");
        assert.equal(await node2.must("cat /mnt/test"), "ext4");
        await node2.must("umount /mnt && e2fsck -fn /dev/drbd1");
        await node2.must("drbdadm secondary mysql");
      });

      await chapter("drbdadm down mysql: both disks are the same", async () => {
        await node1.must("drbdadm down mysql");
        await node2.must("drbdadm down all");
        assert.match(await node1.must("kedge proc-drbd"), /^version: 8\.4/);
        assert.equal(await node1.must("drbdadm cstate mysql"), "Unconfigured");
        const { code, stdout } = await run([
          ...["cmp", "-n", `${DATA_KIB * 1024}`] as const,
          ...[node1.image, node2.image],
        ]);
        assert.equal(code, 0, stdout);
      });
    }
    await t.step("nothing is left behind", async () => {
      const loops = (await run(["losetup", "--list"])).stdout;
      const mounts = await Deno.readTextFile("/proc/self/mountinfo");
      for (const image of dirs) {
        const dir = image.slice(0, image.lastIndexOf("/"));
        assert(!loops.includes(dir), loops);
        assert(!mounts.includes(dir), mounts);
      }
    });
  },
);

async function procDrbd(node: MirrorHost): Promise<string> {
  return await node.must("kedge proc-drbd");
}

/** Connection, roles and disks, as the three commands tell them. */
async function statesOf(node: MirrorHost): Promise<string> {
  const commands = ["cstate", "role", "dstate"]
    .map((command) => `drbdadm ${command} mysql`).join(" && ");
  return (await node.must(commands)).replaceAll("\n", " ");
}

async function shows(node: MirrorHost, states: string): Promise<void> {
  assert.equal(await statesOf(node), states, node.options.name);
}

async function becomes(node: MirrorHost, states: string): Promise<void> {
  await eventually(async () => {
    const now = await statesOf(node);
    if (now === states) return true;
    throw new Error(`it is ${now}\n${await node.log()}`);
  }, {
    what: `${node.options.name} to be ${states}`,
    deadlineMs: 60_000,
    pauseMs: 300,
  });
}

/** Expect lines in the daemon's log, one after the other. */
async function inOrder(
  node: MirrorHost,
  patterns: readonly RegExp[],
): Promise<void> {
  await eventually(async () => {
    const lines = (await node.log()).split("\n");
    let from = 0;
    for (const pattern of patterns) {
      const found = lines.findIndex((line, i) =>
        i >= from && pattern.test(line)
      );
      if (found < 0) throw new Error(`no ${pattern} in\n${lines.join("\n")}`);
      from = found + 1;
    }
    return true;
  }, { what: `lines in the log of ${node.options.name}`, deadlineMs: 5_000 });
}
