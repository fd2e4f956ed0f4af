/**
 * The name of a device node, and the record that outlives its daemon.
 *
 * @module
 */

import { z } from "zod";
import { isAttached } from "./device_node_fuse.ts";
import { blockOf, numberOf } from "./device_node_holders.ts";
import { isConnected } from "./device_node_kernel.ts";
import { isThere, runProgram, textAt } from "./device_node_tools.ts";

/** A node as it is on record. */
export const NodeRecord = z.object({
  /** The name that people use. */
  device: z.string(),
  /** The block device behind it. */
  block: z.string(),
  way: z.enum(["kernel", "fuse"]),
  /** Of the system's start: after the next one the numbers mean nothing. */
  bootId: z.string(),
});
/** A node as it is on record. */
export type NodeRecord = z.infer<typeof NodeRecord>;

/**
 * Look whether a node may have this name.
 *
 * @throws {Error} When something that is not ours has it.
 */
export function refuseStranger(device: string): void {
  if (!device.startsWith("/dev/") || device.includes("/../")) {
    throw new Error(`${device} is not below /dev`);
  }
  if (!isThere(device)) return;
  const block = blockOf(device);
  const isStale = block !== undefined && /^\/dev\/(loop|nbd)\d+$/.test(block) &&
    !isAttached(block) && !isConnected(block);
  if (isStale) return;
  throw new Error(
    `there is a ${device} of somebody else: remove it, or configure another ` +
      "device",
  );
}

/**
 * Give the device its name, in one step: as a node of its own, because `mount`
 * lists what a link leads to instead of the link.
 */
export async function giveName({ device, block }: NodeRecord): Promise<void> {
  const fresh = `${device}.new`;
  await Deno.remove(fresh).catch(() => {});
  const [major = "", minor = ""] = numberOf(block).split(":");
  const made = await runProgram("mknod", "-m", "660", fresh, "b", major, minor);
  // A container may open nodes, but not make them.
  if (!made.ok) await Deno.symlink(block, fresh);
  await Deno.rename(fresh, device);
}

/** Take the name away, if it is still this device's. */
export async function takeName(node: NodeRecord): Promise<void> {
  if (isNamed(node)) await Deno.remove(node.device).catch(() => {});
}

/** Whether the name leads to the device. */
export function isNamed({ device, block }: NodeRecord): boolean {
  return blockOf(device) === block;
}

/** Put a node on record in its folder. */
export async function writeRecord(
  folder: string,
  node: NodeRecord,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(`${folder}/node.json`, JSON.stringify(node));
}

/** The node of a folder; undefined: none, or one from before the last boot. */
export function readRecord(folder: string): NodeRecord | undefined {
  try {
    const node = NodeRecord.parse(JSON.parse(textAt(`${folder}/node.json`)));
    return node.bootId === bootId() ? node : undefined;
  } catch {
    return undefined;
  }
}

/** Which start of the system this is. */
export function bootId(): string {
  return textAt("/proc/sys/kernel/random/boot_id").trim();
}
