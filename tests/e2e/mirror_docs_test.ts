/**
 * The quick start and the split brain of `docs/mirror.md`, copied and pasted.
 *
 * @module
 */

import assert from "node:assert/strict";
import { eventually } from "../helpers/eventually.ts";
import {
  type MirrorHost,
  MirrorHosts,
  whyNoMirrorHosts,
} from "../helpers/mirror_hosts.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";

const lack = await whyNoMirrorHosts();
if (lack !== undefined) say(`SKIPPED docs/mirror.md: ${lack}`);

/** What a test machine has already, or must not do. */
const NOT_HERE = /^(apt-get|export PATH)/;

// 45 s
Deno.test({
  name: "docs/mirror.md does what it says",
  ignore: lack !== undefined,
}, async () => {
  const [onBoth = "", onOne = ""] = await blocksOf("Two hosts");
  const [onVictim = "", onSurvivor = ""] = await blocksOf("Split brain");
  const atBoot = await inlineOf(/At boot: `([^`]+)`/);
  await using scope = new Scope();
  const hosts = await startHosts(scope);
  const { a, b } = hosts;

  for (const host of [a, b]) await host.must(onBoth);
  await a.must(onOne);
  await a.must("echo content >/mnt/file");
  await becomes(a, "Connected Primary/Secondary UpToDate/UpToDate");
  await a.must(await inlineOf(/Switch over: `([^`]+)`/));
  await b.must(await inlineOf(/Switch over: .*?here,\s`([^`]+)`/s));
  assert.equal(await b.must("cat /mnt/file"), "content");

  await a.must("kedge mirror stop");
  await a.must(atBoot);
  await becomes(a, "Connected Secondary/Primary UpToDate/UpToDate");

  await hosts.cut();
  await becomes(a, "WFConnection Secondary/Unknown UpToDate/DUnknown");
  await a.must("drbdadm primary data && mount -o nouuid /dev/drbd1 /mnt");
  await a.must("echo lost >/mnt/lost");
  await b.must("echo kept >/mnt/kept && sync -f /mnt");
  await hosts.mend();
  await becomes(a, "StandAlone Primary/Unknown UpToDate/DUnknown");
  await becomes(b, "StandAlone Primary/Unknown UpToDate/DUnknown");
  for (const host of [a, b]) {
    const advice = await host.must("kedge volume resolve data");
    assert.match(advice, /--discard-my-data/);
  }
  await a.must(onVictim);
  await b.must(onSurvivor);
  await becomes(b, "Connected Primary/Secondary UpToDate/UpToDate");
  assert.equal(await b.must("ls /mnt"), "file\nkept");
  assert.match(await a.must("kedge volume undo data list"), /\bwhole\b/);
});

async function startHosts(scope: Scope): Promise<MirrorHosts> {
  const host = (name: string, address: string) => ({
    name,
    address,
    diskBytes: 340 * 1024 * 1024,
    diskPath: "/dev/vg0/data",
    files: {},
  });
  return await MirrorHosts.start(scope, [
    host("node-a", "10.0.0.1/24"),
    host("node-b", "10.0.0.2/24"),
  ]);
}

/** The shell blocks of a section. */
async function blocksOf(title: string): Promise<string[]> {
  const text = await Deno.readTextFile(`${ROOT}docs/mirror.md`);
  const section = text.split(/^## /m).find((part) => part.startsWith(title));
  assert(section !== undefined, `no section ${title}`);
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) =>
    block.split("\n").filter((line) => !NOT_HERE.test(line)).join("\n")
  );
}

/** A command in the text. */
async function inlineOf(pattern: RegExp): Promise<string> {
  const text = await Deno.readTextFile(`${ROOT}docs/mirror.md`);
  const [, command] = pattern.exec(text) ?? [];
  assert(command !== undefined, `nothing like ${pattern}`);
  return command.replaceAll("\n", " ");
}

async function becomes(host: MirrorHost, wanted: string): Promise<void> {
  await eventually(async () => {
    const states = await host.must(
      "drbdadm cstate data; drbdadm role data; drbdadm dstate data",
    );
    if (states.replaceAll("\n", " ") === wanted) return true;
    throw new Error(`it is ${states}\n${await host.log()}`);
  }, { what: `${host.options.name} to be ${wanted}`, deadlineMs: 60_000 });
}
