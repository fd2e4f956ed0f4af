/** What the metadata of a disk says while nobody uses it. */

import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { dataState } from "@kedge/schema/disk/metadata-text";
import { NOT_OPEN } from "./disk_tool.ts";
import { loadMetaTools, type MetaTools } from "../mirror_module.ts";

/**
 * The paths of a volume's disk; undefined: it has none.
 *
 * @param sizesDir Where the daemon remembers how large disks were.
 */
export function diskPaths(
  { disk, metaDisk }: VolumeConfig,
  tools: MetaTools,
  sizesDir: string,
): Parameters<MetaTools["openDisk"]>[0] | undefined {
  if (disk === undefined) return undefined;
  switch (metaDisk.kind) {
    case "internal":
      return {
        dataPath: disk,
        placement: { kind: "internal" },
        lastSizeBytes: tools.lastSizeOf(sizesDir, disk),
      };
    case "flexible":
      return {
        dataPath: disk,
        metaPath: metaDisk.path,
        placement: { kind: "flexible" },
      };
    case "indexed":
      return {
        dataPath: disk,
        metaPath: metaDisk.path,
        placement: { kind: "indexed", index: metaDisk.index },
      };
  }
}

/** Why a disk cannot be read. */
type DiskProblem = Extract<
  ReturnType<MetaTools["openDisk"]>,
  { readonly problem: unknown }
>;

/**
 * `drbdmeta dstate`: `Inconsistent/DUnknown`; undefined: no metadata. A disk
 * that is not there, or is claimed, is a problem.
 */
export async function offlineDataState(
  volume: VolumeConfig,
  sizesDir: string,
): Promise<string | undefined | DiskProblem> {
  const tools = await loadMetaTools();
  const paths = diskPaths(volume, tools, sizesDir);
  if (paths === undefined) return undefined;
  const disk = tools.openDisk(paths);
  if ("problem" in disk) {
    return NOT_OPEN.has(disk.problem.code) ? disk : undefined;
  }
  try {
    return `${dataState(disk.meta.superblock)}/DUnknown`;
  } finally {
    disk.close();
  }
}
