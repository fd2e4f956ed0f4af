/**
 * What a folder takes of its disk.
 *
 * @module
 */

import { join } from "node:path";

/** Bytes of a MiB. */
export const MIB = 2 ** 20;

/** Space and names of a folder and all below it. */
export interface DiskUse {
  /** With the blocks that files do not fill, as `du` counts. */
  readonly bytes: number;
  /** Files and folders: each takes an inode. */
  readonly names: number;
}

/** Look at everything below a folder. */
export async function diskUse(folder: string): Promise<DiskUse> {
  let bytes = 0;
  let names = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    const info = await Deno.lstat(path);
    bytes += (info.blocks ?? 0) * 512;
    names++;
    if (!isDirectory) continue;
    const below = await diskUse(path);
    bytes += below.bytes;
    names += below.names;
  }
  return { bytes, names };
}
