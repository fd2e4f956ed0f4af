/**
 * A file system lives on a mirrored volume (protocol C) when the power goes, at
 * any moment: on the disk of either host it can be mounted, every file that was
 * fsynced is whole, and its checker finds nothing.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { Child, isInstalled } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { hasPluginDisks } from "../helpers/mirror_pair_disk.ts";
import { makePair, memoryDir, startPair } from "../helpers/mirror_pair.ts";
import { dataOf, differingBlocks } from "../helpers/mirror_pair_images.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { type Moment, RecordedPair } from "./mirror_power.ts";
import { sh, withImage } from "./power_loss.ts";

const TEST = "tests/rigs/mirror_power_filesystems";
const MIB = 1024 * 1024;
const FILES = 40;
const SAMPLE_MS = 2;
const ZEROES = Buffer.alloc(MIB);

/** What is known of a kind of file system. */
interface Kind {
  readonly name: string;
  /** Power losses of each disk. */
  readonly cuts: number;
  readonly diskBytes: number;
  readonly make: readonly [string, ...string[]];
  /** Checks an image without changing it; fails when it finds anything. */
  readonly check: readonly [string, ...string[]];
}

const KINDS: readonly Kind[] = [
  {
    name: "ext4",
    cuts: Number(Deno.env.get("KEDGE_MIRROR_CUTS") ?? 8),
    diskBytes: 64 * MIB,
    make: ["mkfs.ext4", "-q", "-E", "nodiscard"],
    check: ["e2fsck", "-f", "-n"],
  },
  {
    name: "xfs",
    cuts: Number(Deno.env.get("KEDGE_MIRROR_CUTS") ?? 4),
    diskBytes: 320 * MIB, // mkfs.xfs makes none below 300 MiB
    make: ["mkfs.xfs", "-q", "-K"],
    check: ["xfs_repair", "-n", "-f"],
  },
];

/** A file that was fsynced, and when. */
interface Durable {
  readonly name: string;
  readonly crc: number;
  readonly moment: Moment;
}

/** A device node over an export; it goes with the scope. */
async function loopOver(
  scope: Scope,
  uri: string,
  device: string,
): Promise<string> {
  await Deno.writeFile(device, new Uint8Array(0));
  Child.start(scope, { command: ["nbdfuse", device, uri] });
  await eventually(async () => (await Deno.stat(device)).size > 0, {
    what: "nbdfuse",
  });
  scope.defer(() => until("fusermount3", "-u", device));
  const loop = await sh("losetup", "-f", "--show", device);
  scope.defer(() => until("losetup", "-d", loop));
  return loop;
}

/** The system lets go of a mount a moment after its last user. */
function until(command: string, ...args: string[]): Promise<unknown> {
  return eventually(async () => (await sh(command, ...args), true), {
    what: `${command} ${args.join(" ")}`,
    deadlineMs: 10_000,
  });
}

/** Write files, fsync them, and leave others half written beside them. */
async function writeFiles(
  mount: string,
  random: Random,
  now: () => Moment,
): Promise<Durable[]> {
  const durable: Durable[] = [];
  for (let number = 0; number < FILES; number++) {
    const noise = await Deno.open(`${mount}/noise${number % 4}`, {
      write: true,
      create: true,
    });
    await noise.seek(random.between(0, 50_000), Deno.SeekMode.Start);
    await noise.write(random.bytes(random.between(1, 20_000)));
    noise.close();
    const bytes = random.bytes(random.between(1, 120_000));
    const name = `file${number}`;
    const file = await Deno.open(`${mount}/${name}`, {
      write: true,
      createNew: true,
    });
    for (let at = 0; at < bytes.length;) {
      at += await file.write(bytes.subarray(at));
    }
    await file.sync();
    file.close();
    durable.push({ name, crc: crc32(bytes), moment: now() });
  }
  return durable;
}

/** Names of the files that must be on a mounted image, and are not whole. */
async function damaged(
  mount: string,
  files: readonly Durable[],
): Promise<string[]> {
  const bad: string[] = [];
  for (const { name, crc } of files) {
    const bytes = await Deno.readFile(`${mount}/${name}`).catch(() =>
      undefined
    );
    if (bytes === undefined || crc32(bytes) !== crc) bad.push(name);
  }
  return bad;
}

for (const kind of KINDS) {
  const has = await hasPluginDisks(`${TEST} (${kind.name})`);
  const isMade = await isInstalled(kind.make[0]) &&
    await isInstalled(kind.check[0]);
  if (!isMade) say(`SKIPPED ${TEST}: ${kind.make[0]} is not installed`);

  Deno.test({
    name: `power loss under ${kind.name} on a mirrored volume`,
    ignore: !has || !isMade,
    async fn() {
      await using scope = new Scope();
      const random = new Random(seedOfRun(`power loss, ${kind.name}`));
      const dir = await memoryDir(scope);
      const disks = await RecordedPair.make(scope, dir, kind.diskBytes);
      const life = await live(kind, { disks, random });
      for (const side of ["a", "b"] as const) {
        await checkCuts(kind, { disks, random, life, side });
      }
      await bothReturn(kind, { disks, random, life });
      say(`${kind.name}: ${FILES} files, ${kind.cuts} cuts of each disk`);
    },
  });
}

/** What a life left behind. */
interface Life {
  readonly files: readonly Durable[];
  /** Size of the volume in bytes; behind it is the mirror's metadata. */
  readonly sizeBytes: number;
  /** Moments while files were written. */
  readonly moments: readonly Moment[];
}

/** The life of the file system. */
async function live(
  kind: Kind,
  { disks, random }: {
    readonly disks: RecordedPair;
    readonly random: Random;
  },
): Promise<Life> {
  await using scope = new Scope();
  const pair = await startPair(scope, {
    protocol: "C",
    disks: disks.disks,
    metadata: "equal",
  });
  const mount = `${disks.dir}/mount`;
  await Deno.mkdir(mount);
  const loop = await loopOver(scope, pair.a.uri, `${disks.dir}/device`);
  const [make, ...words] = kind.make;
  await sh(make, ...words, loop);
  await sh("mount", loop, mount);
  scope.defer(() => until("umount", mount));
  const { sizeBytes } = await pair.a.volume();
  const moments: Moment[] = [];
  const sampler = setInterval(() => moments.push(disks.moment()), SAMPLE_MS);
  const files = await writeFiles(mount, random, () => disks.moment());
  clearInterval(sampler);
  return { files, sizeBytes, moments };
}

/** Cut the power at random moments of one disk. */
async function checkCuts(
  kind: Kind,
  run: {
    readonly disks: RecordedPair;
    readonly random: Random;
    readonly life: Life;
    readonly side: "a" | "b";
  },
): Promise<void> {
  const { disks, random, side } = run;
  const { files, sizeBytes } = run.life;
  const [first, last] = [files[0], files.at(-1)];
  ok(first !== undefined && last !== undefined);
  const moments = Array.from(
    { length: kind.cuts },
    () => random.between(first.moment[side], last.moment[side]),
  )
    .sort((one, other) => one - other)
    .map((at) => ({ a: at, b: at }));
  const image = `${disks.dir}/cut`;
  const mount = `${disks.dir}/mount`;
  let cut = 0;
  for await (const bytes of disks.after(side, moments, random)) {
    const at = moments[cut++]?.[side] ?? 0;
    await writeSparse(image, bytes.subarray(0, sizeBytes));
    const must = files.filter(({ moment }) => moment[side] <= at);
    await withImage(image, mount, async () => {
      deepEqual(await damaged(mount, must), [], `disk ${side} at ${at}`);
    });
    const [check, ...words] = kind.check;
    await sh(check, ...words, image);
  }
  equal(cut, kind.cuts);
}

/**
 * Both hosts lose power at one moment, and both return: when they have agreed
 * their disks are equal, and the file system is whole.
 */
async function bothReturn(
  kind: Kind,
  { disks, random, life }: {
    readonly disks: RecordedPair;
    readonly random: Random;
    readonly life: Life;
  },
): Promise<void> {
  await using scope = new Scope();
  const { sizeBytes } = life;
  const moment = random.pick(life.moments);
  const files = life.files.filter(({ moment: { a, b } }) =>
    a <= moment.a && b <= moment.b
  );
  const lost = { a: `${disks.dir}/lost-a`, b: `${disks.dir}/lost-b` };
  for (const side of ["a", "b"] as const) {
    for await (const bytes of disks.after(side, [moment], random)) {
      await writeSparse(lost[side], bytes);
    }
  }
  const { a, b } = await makePair(scope, {
    protocol: "C",
    disks: lost,
    metadata: "kept",
  });
  await Promise.all([a.up(), b.up()]);
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await Promise.all([a.kill(), b.kill()]);
  const [left, right] = await Promise.all([
    dataOf(lost.a, sizeBytes),
    dataOf(lost.b, sizeBytes),
  ]);
  deepEqual(differingBlocks(left, right).slice(0, 5), []);
  const [image, mount] = [`${disks.dir}/cut`, `${disks.dir}/mount`];
  await writeSparse(image, left);
  await withImage(image, mount, async () => {
    deepEqual(await damaged(mount, files), [], "after both returned");
  });
  const [check, ...words] = kind.check;
  await sh(check, ...words, image);
}

/** Write a file, with holes where it holds zeroes. */
async function writeSparse(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.create(path);
  await file.truncate(bytes.length);
  for (let at = 0; at < bytes.length; at += MIB) {
    const piece = bytes.subarray(at, at + MIB);
    if (ZEROES.equals(piece)) continue;
    await file.seek(at, Deno.SeekMode.Start);
    for (let done = 0; done < piece.length;) {
      done += await file.write(piece.subarray(done));
    }
  }
}
