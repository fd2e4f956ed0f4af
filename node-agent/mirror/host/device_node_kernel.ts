/**
 * An export as a block device of the kernel's nbd driver.
 *
 * @module
 */

import { sysOf } from "./device_node_holders.ts";
import {
  becomes,
  findProgram,
  isThere,
  namesIn,
  runProgram,
} from "./device_node_tools.ts";

/** Longest time for the driver to let go, in ms. */
const END_MS = 2_000;

/** Which export. */
export interface KernelSource {
  /** Unix socket. */
  readonly socket: string;
  readonly exportName: string;
}

/** Whether the kernel's driver can be used here. */
export function hasKernelNbd(): boolean {
  return isThere("/dev/nbd0") && findProgram("nbd-client") !== undefined;
}

/**
 * Connect a free device of the driver.
 *
 * @throws {Error} When none is free, or the export refuses.
 */
export async function attachKernel(
  { socket, exportName }: KernelSource,
): Promise<{ readonly block: string }> {
  let complaint = "nbd: all devices are in use";
  for (const block of freeDevices()) {
    // Another process may take it between the look and this.
    const words = attachWords({ socket, exportName }, block);
    const made = await runProgram("nbd-client", ...words);
    if (made.ok) return { block };
    complaint = made.complaint;
  }
  throw new Error(complaint);
}

/** What `nbd-client` is told: the export, and the device that it becomes. */
export function attachWords(
  { socket, exportName }: KernelSource,
  block: string,
): string[] {
  return ["-unix", socket, block, "-N", exportName];
}

/**
 * Disconnect a device.
 *
 * @returns Whether it is free.
 */
export async function detachKernel(block: string): Promise<boolean> {
  if (!isConnected(block)) return true;
  await runProgram("nbd-client", "-d", block);
  return await becomes(() => !isConnected(block), END_MS);
}

/** Whether a device of the driver serves an export. */
export function isConnected(block: string): boolean {
  return isThere(`${sysOf(block)}/pid`);
}

/** A few free devices, the lowest first. */
function freeDevices(): string[] {
  return namesIn("/dev")
    .filter((name) => /^nbd\d+$/.test(name))
    .sort((a, b) => Number(a.slice(3)) - Number(b.slice(3)))
    .map((name) => `/dev/${name}`)
    .filter((block) => !isConnected(block))
    .slice(0, 4);
}
