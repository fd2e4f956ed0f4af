/** Disks that grow, in use and out of it: files stand for them. */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { MetaPlacement } from "@kedge/schema/disk/geometry";
import { createMetadata } from "../meta/create_metadata.ts";
import { openDevices } from "../meta/open_disk.ts";
import { AttachError, BackingDisk, type BackingPaths } from "./backing_disk.ts";
import { lastSizeOf, rememberSize } from "./disk_sizes.ts";

const MIB = 1024 * 1024;
const FREE = 0xffff_ffff;

/** Files with new metadata, in a folder that goes with the test. */
function make(
  kind: "internal" | "flexible",
  bytes: { readonly disk: number; readonly meta?: number },
) {
  const dir = Deno.makeTempDirSync();
  const disk = `${dir}/disk`;
  const metaDisk = kind === "internal" ? disk : `${dir}/meta`;
  file(disk, bytes.disk);
  if (kind === "flexible") file(metaDisk, bytes.meta ?? MIB);
  const placement: MetaPlacement = { kind };
  const devices = openDevices({
    dataPath: disk,
    metaPath: metaDisk,
    placement,
  });
  if ("problem" in devices) throw new Error(devices.problem.detail);
  equal(createMetadata(devices.source).kind, "created");
  devices.close();
  const paths: BackingPaths = {
    disk,
    metaDisk,
    placement,
    sizesDir: `${dir}/sizes`,
  };
  return {
    paths,
    [Symbol.dispose]: () => Deno.removeSync(dir, { recursive: true }),
  };
}

function file(path: string, bytes: number): void {
  Deno.createSync(path).close();
  Deno.truncateSync(path, bytes);
}

/** Open, with the activity log in use and one extent in it. */
function inUse(paths: BackingPaths, extent = 1): BackingDisk {
  const disk = BackingDisk.open(paths);
  ok(disk.resetLog(67));
  ok(disk.commitLog([{ slot: 0, extent, evicted: FREE }]));
  return disk;
}

/** Extents that are marked after the crash of whoever had the disk. */
function marked(paths: BackingPaths): number[] {
  const disk = BackingDisk.open(paths);
  const { bitmap } = disk.describe();
  disk.close(true);
  const extents = new Set<number>();
  bitmap.forEach((byte, at) => {
    if (byte !== 0) extents.add(Math.floor(at / 128));
  });
  return [...extents];
}

function codeOf(act: () => void): number {
  try {
    act();
  } catch (error) {
    if (error instanceof AttachError) return error.code;
    throw error;
  }
  return 1;
}

Deno.test("a disk grows in use: room, log and bits go on", () => {
  using made = make("internal", { disk: 16 * MIB });
  const { paths } = made;
  const disk = inUse(paths);
  const before = disk.usableBytes() ?? 0;
  equal(before, disk.describe().sizeBytes);
  Deno.truncateSync(paths.disk, 40 * MIB);
  ok((disk.usableBytes() ?? 0) > before + 23 * MIB);
  equal(disk.describe().sizeBytes, before, "nothing has moved yet");
  ok(disk.useWholeDisk());
  ok(disk.useWholeDisk(), "again, with nothing to do");
  equal(disk.describe().sizeBytes, disk.usableBytes());
  ok(disk.commitLog([{ slot: 1, extent: 7, evicted: FREE }]));
  disk.close(false);
  deepEqual(marked(paths), [1, 7]);
  equal(lastSizeOf(paths.sizesDir ?? "", paths.disk), 40 * MIB);
});

Deno.test("a disk that grew after a crash is found where it ended", () => {
  using made = make("internal", { disk: 16 * MIB });
  const { paths } = made;
  inUse(paths, 2).close(false);
  Deno.truncateSync(paths.disk, 40 * MIB);
  const { sizesDir: _, ...forgetful } = paths;
  equal(codeOf(() => BackingDisk.open(forgetful)), 119);
  deepEqual(marked(paths), [2]);
  equal(codeOf(() => BackingDisk.open(forgetful).close(true)), 1);
});

Deno.test("a disk that became smaller is refused, and found again", () => {
  using made = make("internal", { disk: 16 * MIB });
  const { paths } = made;
  inUse(paths, 2).close(false);
  Deno.copyFileSync(paths.disk, `${paths.disk}.copy`);
  Deno.truncateSync(paths.disk, 12 * MIB);
  equal(codeOf(() => BackingDisk.open(paths)), 119);
  Deno.copyFileSync(`${paths.disk}.copy`, paths.disk);
  deepEqual(marked(paths), [2]);
});

Deno.test("a disk that becomes smaller in use keeps its data", () => {
  using made = make("flexible", { disk: 16 * MIB });
  const { paths } = made;
  const disk = inUse(paths);
  ok(disk.write(12 * MIB - 4096, new Uint8Array(4096).fill(7)));
  Deno.truncateSync(paths.disk, 12 * MIB);
  equal(disk.usableBytes(), 12 * MIB);
  ok(disk.useWholeDisk());
  equal(disk.describe().sizeBytes, 16 * MIB);
  disk.close(false);
  equal(Deno.readFileSync(paths.disk).at(-1), 7);
});

Deno.test("metadata elsewhere: the volume has as much as it has room for", () => {
  using made = make("flexible", { disk: 16 * MIB, meta: 68 * 1024 });
  const { paths } = made;
  const disk = inUse(paths);
  equal(disk.usableBytes(), 16 * MIB);
  Deno.truncateSync(paths.disk, 4096 * MIB);
  const pages = (68 * 1024 - 36 * 1024) / 4096;
  equal(disk.usableBytes(), pages * 128 * MIB);
  ok(disk.useWholeDisk());
  Deno.truncateSync(paths.metaDisk, 2 * MIB);
  equal(disk.usableBytes(), 4096 * MIB);
  ok(disk.useWholeDisk());
  equal(disk.describe().sizeBytes, 4096 * MIB);
  disk.close(false);
  deepEqual(marked(paths), [1]);
});

Deno.test("a device for metadata that grew while it was not in use", () => {
  using made = make("flexible", { disk: 16 * MIB });
  const { paths } = made;
  inUse(paths, 3).close(false);
  Deno.truncateSync(paths.metaDisk, 3 * MIB);
  deepEqual(marked(paths), [3]);
});

Deno.test("sizes of disks survive, damaged ones are unknown", () => {
  const dir = Deno.makeTempDirSync();
  try {
    const paths = ["/dev/a/b", "/dev/a%2fb", `/dev/${"x".repeat(400)}`];
    paths.forEach((path, index) => rememberSize(dir, path, 512 * (index + 1)));
    deepEqual(paths.map((path) => lastSizeOf(dir, path)), [512, 1024, 1536]);
    equal(lastSizeOf(dir, "/dev/other"), undefined);
    for (const { name } of Deno.readDirSync(dir)) {
      Deno.writeTextFileSync(`${dir}/${name}`, "12");
    }
    equal(lastSizeOf(dir, "/dev/a/b"), undefined);
    rememberSize("/proc/nowhere", "/dev/a/b", 512);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
