/**
 * Who holds a block device: mounts, devices built on it, swap, open files.
 *
 * The kernel's exclusive open would tell in one step, but no call of ours can
 * ask for it; `/proc` and `/sys` tell the same, and who it is.
 *
 * @module
 */

import { linkTarget, namesIn, textAt } from "./device_node_tools.ts";

/** A block device and the names that it goes by. */
export interface Held {
  /** Its own node, such as `/dev/loop3`. */
  readonly block: string;
  /** The name that people use for it, such as `/dev/drbd1`. */
  readonly device: string;
}

/**
 * Who holds a device.
 *
 * @returns A phrase for a message that says what to do; `undefined` when free.
 */
export function holderOf(held: Held): string | undefined {
  return mountOf(held) ?? builtOn(held) ?? swapOn(held) ?? openFileOf(held);
}

/** In any mount namespace: a container's mount counts, too. */
function mountOf({ block, device }: Held): string | undefined {
  const number = numberOf(block);
  const seen = new Set<string>();
  for (const pid of ["self", ...processes()]) {
    const space = linkTarget(`/proc/${pid}/ns/mnt`) ?? pid;
    if (seen.has(space)) continue;
    seen.add(space);
    const names = [block, device];
    const place = mountIn(textAt(`/proc/${pid}/mountinfo`), { number, names });
    if (place === undefined) continue;
    const where = pid === "self" ? "" : ` in the namespace of process ${pid}`;
    return `${device} is mounted on ${place}${where}: umount it first`;
  }
  return undefined;
}

/**
 * Where a device is mounted, by the kernel's list.
 *
 * @param mountInfo Text of `/proc/PID/mountinfo`.
 * @param wanted Its number, `MAJOR:MINOR`, and its paths: btrfs has numbers of
 *   its own. An older mount may have our path, and another number.
 */
export function mountIn(
  mountInfo: string,
  wanted: { readonly number: string; readonly names: readonly string[] },
): string | undefined {
  for (const line of mountInfo.split("\n")) {
    const fields = line.split(" ");
    const [, , number = ""] = fields;
    // Any number of optional fields, then "-", the type and the source.
    const source = fields[fields.indexOf("-", 6) + 2] ?? "";
    const isIt = number === wanted.number ||
      number.startsWith("0:") && wanted.names.includes(source);
    if (isIt) return fields[4]?.replaceAll("\\040", " ");
  }
  return undefined;
}

function builtOn({ block, device }: Held): string | undefined {
  const [holder] = namesIn(`${sysOf(block)}/holders`);
  if (holder === undefined) return undefined;
  return `${holder} is built on ${device}: take it down first`;
}

function swapOn({ block, device }: Held): string | undefined {
  const isSwap = textAt("/proc/swaps").split("\n")
    .some((line) => [block, device].includes(line.split(/\s/)[0] ?? ""));
  return isSwap ? `${device} is swap space: swapoff first` : undefined;
}

/** In any process but this one, which holds it so that it stays. */
function openFileOf({ block, device }: Held): string | undefined {
  for (const pid of processes()) {
    if (pid === String(Deno.pid)) continue;
    const folder = `/proc/${pid}/fd`;
    // Only what is called a device: others may hang when they are looked at.
    const isOpen = namesIn(folder).map((name) => `${folder}/${name}`)
      .some((file) =>
        linkTarget(file)?.startsWith("/dev/") && blockOf(file) === block
      );
    if (!isOpen) continue;
    const name = textAt(`/proc/${pid}/comm`).trim();
    return `${device} is open in process ${pid} (${name})`;
  }
  return undefined;
}

/** `MAJOR:MINOR` of a block device; "" when there is none of this name. */
export function numberOf(block: string): string {
  return textAt(`${sysOf(block)}/dev`).trim();
}

/** The kernel's name of the block device that a path leads to. */
export function blockOf(path: string): string | undefined {
  try {
    const { rdev, isBlockDevice } = Deno.statSync(path);
    if (isBlockDevice !== true || rdev === null) return undefined;
    const minor = rdev & 0xff | (rdev >>> 12) & 0xfff00;
    const number = `${rdev >>> 8 & 0xfff}:${minor}`;
    const uevent = textAt(`/sys/dev/block/${number}/uevent`);
    const name = /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
    return name === undefined ? undefined : `/dev/${name}`;
  } catch {
    // A link into nowhere, or nothing.
    return linkTarget(path);
  }
}

/** What the kernel tells of a block device. */
export function sysOf(block: string): string {
  return `/sys/block/${block.slice(block.lastIndexOf("/") + 1)}`;
}

function processes(): string[] {
  return namesIn("/proc").filter((name) => /^\d+$/.test(name));
}
