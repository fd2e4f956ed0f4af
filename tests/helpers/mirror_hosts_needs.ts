/**
 * What tests with real device nodes and real hosts need of this machine.
 *
 * @module
 */

import { isInstalled } from "./child.ts";

const PROGRAMS = ["nbdfuse", "losetup", "mkfs.xfs", "mkfs.ext4", "mount"];

/** Why device nodes cannot be made here; `undefined`: they can. */
export async function whyNoDeviceNodes(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "device nodes need root";
  for (const node of ["/dev/fuse", "/dev/loop-control"]) {
    if (!await exists(node)) return `there is no ${node}`;
  }
  for (const program of PROGRAMS) {
    if (!await isInstalled(program)) return `${program} is not installed`;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
