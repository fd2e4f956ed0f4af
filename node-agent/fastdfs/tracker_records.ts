/**
 * Groups and storages as monitors want to see them. Sizes are told in MiB.
 *
 * @module
 */

import type { FastdfsGroup } from "@kedge/schema/fastdfs-view";
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

/** A storage. */
export function storageRecord(
  member: Reachable,
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
    startedS: member.joinedS,
    totalMb: member.totalBytes / MIB,
    freeMb: member.freeBytes / MIB,
    reservedMb: 0,
    uploadPriority: member.uploadPriority,
    storePathCount: member.storePathCount,
    subdirCount,
    port: address.port,
    heardS: Math.max(0, Math.floor(nowS()) - member.silentS),
  };
}
