/**
 * Real block devices: their size, who has claimed them, and volumes that share
 * a device for their metadata.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { createMetadata } from "../../node-agent/mirror/meta/create_metadata.ts";
import {
  type DiskPaths,
  openDevices,
  openDisk,
} from "../../node-agent/mirror/meta/open_disk.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { sound } from "../helpers/sound.ts";

const MIB = 1024 * 1024;
const ignore = !await canRun();

Deno.test({
  name: "a block device has its size, and one user",
  ignore,
  async fn() {
    await using scope = new Scope();
    const dataPath = await disk(scope, 20 * MIB);
    const paths: DiskPaths = { dataPath, placement: { kind: "internal" } };
    deepEqual(codeOf(openDisk(paths)), 119);
    const devices = sound(openDevices(paths));
    equal(devices.data.sizeBytes, 20 * MIB);
    equal(createMetadata(devices.source).kind, "created");
    deepEqual(codeOf(openDisk(paths)), 114);
    devices.close();
    devices.close();
    const opened = sound(openDisk(paths));
    equal(opened.meta.superblock.uuids.current, 4n);
    opened.close();
    deepEqual(codeOf(openDisk({ ...paths, dataPath: "/dev/nothing" })), 104);
  },
});

Deno.test({
  name: "a mounted device is refused, and told where",
  ignore,
  async fn() {
    await using scope = new Scope();
    const dataPath = await disk(scope, 20 * MIB);
    const mount = await scope.tempDir();
    await sh("mkfs.ext4", "-q", "-F", dataPath);
    await sh("mount", dataPath, mount);
    scope.defer(() => sh("umount", mount));
    const result = openDevices({ dataPath, placement: { kind: "internal" } });
    ok("problem" in result);
    equal(result.problem.code, 114);
    ok(result.problem.detail.includes(`mounted on ${mount}`));
  },
});

Deno.test({
  name: "volumes share a device for indexed metadata, not for flexible",
  ignore,
  async fn() {
    await using scope = new Scope();
    const metaPath = await disk(scope, 256 * MIB);
    const paths = [];
    for (const index of [1, 0]) {
      const dataPath = await disk(scope, 20 * MIB);
      const placement = { kind: "indexed" as const, index };
      paths.push({ dataPath, metaPath, placement });
    }
    const opened = paths.map((each) => sound(openDevices(each)));
    for (const [n, { source }] of opened.entries()) {
      const created = createMetadata(source, { isConfirmed: true });
      ok(created.kind === "created");
      created.meta.writeSuperblock({ deviceUuid: BigInt(n + 1) });
    }
    const flexible = {
      dataPath: await disk(scope, 20 * MIB),
      metaPath,
      placement: { kind: "flexible" as const },
    };
    equal(codeOf(openDevices(flexible)), 115);
    for (const { close } of opened) close();
    for (const [n, each] of paths.entries()) {
      const { meta, data, close } = sound(openDisk(each));
      equal(meta.superblock.deviceUuid, BigInt(n + 1));
      equal(meta.geometry.usableSectors * 512, data.sizeBytes);
      close();
    }
    sound(openDevices(flexible)).close();
  },
});

function codeOf(result: object): unknown {
  if (!("problem" in result)) return undefined;
  const { problem } = result;
  return typeof problem === "object" && problem !== null && "code" in problem
    ? problem.code
    : undefined;
}

/** A loop device. */
async function disk(scope: Scope, bytes: number): Promise<string> {
  const image = `${await scope.tempDir()}/image`;
  (await Deno.create(image)).close();
  await Deno.truncate(image, bytes);
  const device = await sh("losetup", "-f", "--show", image);
  scope.defer(() => sh("losetup", "-d", device));
  return device;
}

async function sh(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args })
    .output();
  if (success) return new TextDecoder().decode(stdout).trim();
  throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
}

async function canRun(): Promise<boolean> {
  try {
    await using scope = new Scope();
    const device = await disk(scope, MIB);
    await sh("mkfs.ext4", "-q", "-F", device);
    const mount = await scope.tempDir();
    await sh("mount", device, mount);
    await sh("umount", mount);
    return true;
  } catch (error) {
    say(`SKIPPED: block devices: ${error}`);
    return false;
  }
}
