/**
 * Groups and storages as monitors want to see them. Sizes are told in MiB.
 *
 * @module
 */

import type { FastdfsGroup, FastdfsNode } from "@kedge/schema/fastdfs-view";
import {
  type GroupRecord,
  STORAGE_STATUS,
  type StorageRecord,
} from "@kedge/schema/wire/fastdfs";
import { isReachable, type Reachable, type Sight } from "./sight.ts";
import type { TrackerFacts } from "./tracker_facts.ts";

/** One mebibyte, in bytes. */
export const MIB: number = 1024 * 1024;
const READ = 4;
const READ_WRITE = 6;

/** A group. */
export function groupRecord(
  group: FastdfsGroup,
  sight: Sight,
  { subdirCount }: TrackerFacts,
): GroupRecord {
  const members = group.nodes.filter(isReachable);
  const { totalBytes, freeBytes, reservedBytes } = group;
  return {
    group: group.register.group,
    totalMb: totalBytes / MIB,
    // Clients subtract the reserve themselves.
    freeMb: (freeBytes + reservedBytes) / MIB,
    reservedMb: reservedBytes / MIB,
    storageCount: members.length,
    storagePort: members[0]?.address.port ?? 0,
    readableCount: members.filter(({ alive }) => alive).length,
    writableCount: sight.writable(group).length,
    storePathCount: Math.max(0, ...members.map((one) => one.storePathCount)),
    subdirCount,
  };
}

/** A storage of a group. */
export function storageRecord(
  member: Reachable,
  { nodes, reservedBytes }: FastdfsGroup,
  { nowS, subdirCount }: TrackerFacts,
): StorageRecord {
  const { alive, insync, mode, address } = member;
  const current = insync ? STORAGE_STATUS.active : STORAGE_STATUS.syncing;
  return {
    status: alive ? current : STORAGE_STATUS.offline,
    rwMode: insync && mode === "active" ? READ_WRITE : READ,
    id: String(member.node),
    ip: address.hostname,
    version: member.version.slice(0, 8),
    joinedS: member.joinedS,
    startedS: member.stats?.startedS ?? member.joinedS,
    totalMb: member.totalBytes / MIB,
    freeMb: (member.freeBytes + reservedBytes) / MIB,
    reservedMb: reservedBytes / MIB,
    uploadPriority: member.uploadPriority,
    storePathCount: member.storePathCount,
    subdirCount,
    port: address.port,
    heardS: Math.max(0, Math.floor(nowS()) - member.silentS),
    stats: member.stats && {
      ...member.stats,
      syncedS: syncedS(member, nodes),
    },
  };
}

/**
 * Up to when a member has the changes of the others. Monitors compare it with
 * the newest `last_source_update`: the difference is shown as the delay.
 */
function syncedS(
  { node, stats, lagChanges }: FastdfsNode,
  nodes: readonly FastdfsNode[],
): number {
  const newestS = Math.max(
    0,
    ...nodes.filter((other) => other.node !== node)
      .map((other) => other.stats?.sourceUpdateS ?? 0),
  );
  const ownS = stats?.syncUpdateS ?? 0;
  if (lagChanges === 0) return Math.max(ownS, newestS);
  return Math.min(ownS, Math.max(0, newestS - 1));
}
