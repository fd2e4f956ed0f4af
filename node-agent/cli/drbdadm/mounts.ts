/** Which file systems stand on the devices of volumes. */

import { statfsSync } from "node:fs";
import type { VolumeStatus } from "@kedge/schema/mirror/control-api";
import type { MountUse, UseOf } from "./overview_text.ts";

/** A line of `/proc/mounts`. */
export interface Mount {
  readonly source: string;
  readonly mountPoint: string;
  readonly type: string;
}

/** Looks once at what is mounted now. */
export function mountedUses(): UseOf {
  const mounts = parseMounts(readOr("/proc/self/mounts"));
  return (volume) => {
    const names = namesOf(volume);
    const mount = mounts.find(({ source }) =>
      names.includes(source) || names.includes(realPath(source))
    );
    return mount === undefined ? undefined : sizesOf(mount);
  };
}

/** The lines of `/proc/mounts`; spaces in it are written `\040`. */
export function parseMounts(text: string): Mount[] {
  const plain = (word: string) =>
    word.replaceAll(
      /\\(\d{3})/g,
      (_, code) => String.fromCharCode(parseInt(code, 8)),
    );
  return text.split("\n").flatMap((line) => {
    const [source, mountPoint, type] = line.split(" ");
    if (source === undefined || mountPoint === undefined) return [];
    return [{
      source: plain(source),
      mountPoint: plain(mountPoint),
      type: type ?? "",
    }];
  });
}

function namesOf({ device, deviceNode }: VolumeStatus): string[] {
  const names = deviceNode === undefined ? [device] : [device, deviceNode];
  return [...names, ...names.map(realPath)];
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

function sizesOf(mount: Mount): MountUse | undefined {
  try {
    const { bsize, blocks, bfree, bavail } = statfsSync(mount.mountPoint);
    return {
      mountPoint: mount.mountPoint,
      type: mount.type,
      sizeBytes: blocks * bsize,
      usedBytes: (blocks - bfree) * bsize,
      availableBytes: bavail * bsize,
    };
  } catch {
    return undefined;
  }
}

function readOr(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
