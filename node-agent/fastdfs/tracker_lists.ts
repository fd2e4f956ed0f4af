/**
 * What monitors ask a tracker: groups, storages, statistics, parameters. Sizes
 * are told in MiB. Deleting is not done from here: this protocol does not know
 * who asks.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { FastdfsGroup } from "@kedge/schema/fastdfs-view";
import {
  COMMAND,
  encodeGroupRecord,
  encodeOldGroupRecord,
  encodeOldStorageRecord,
  encodeStorageRecord,
  encodeStorageStat,
  encodeTrackerStat,
  encodeVolumeStat,
  type GroupRecord,
  readGroupAlone,
  readGroupMember,
  STATUS,
  STORAGE_STATUS,
  type StorageRecord,
} from "@kedge/schema/wire/fastdfs";
import { isReachable, type Reachable, type Sight } from "./sight.ts";
import type { Answerer } from "./tracker_side.ts";
import type { Reply } from "./wire_request.ts";

/** What the tracker side says of itself. */
export interface TrackerFacts {
  /** Where it listens, as text. */
  readonly host: () => string;
  /** Version of the program. */
  readonly version: string;
  /** Seconds since it began to listen. */
  readonly upS: () => number;
  /** Wall clock, in seconds. For people. */
  readonly nowS: () => number;
  /** Folders per level of a store path. */
  readonly subdirCount: number;
  /** Layout of lists, by FastDFS's version. */
  readonly lists: "5" | "6";
}

const MIB = 1024 * 1024;
const READ = 4;
const READ_WRITE = 6;
const INVALID: Reply = { status: STATUS.invalid };
const NOT_FOUND: Reply = { status: STATUS.notFound };

/** The commands with what answers them. */
export function trackerLists(facts: TrackerFacts): [number, Answerer][] {
  return [
    [COMMAND.listOneGroup, (body, sight) => oneGroup(body, sight, facts)],
    [COMMAND.listGroups, (body, sight) => allGroups(body, sight, facts)],
    [COMMAND.listStorages, (body, sight) => storages(body, sight, facts)],
    [COMMAND.deleteStorage, deleteStorage],
    [COMMAND.deleteGroup, deleteGroup],
    // There are no trunk files, so nobody has charge of them.
    [COMMAND.setTrunkServer, () => ({ status: STATUS.unsupported })],
    [COMMAND.leader, (body) => body.length > 0 ? INVALID : text(facts.host())],
    [COMMAND.trackerStatus, (body) => status(body, facts)],
    [COMMAND.trackerStats, (body) => trackerStats(body, facts)],
    [COMMAND.storageStats, (body, sight) => storageStats(body, sight, facts)],
    [COMMAND.volumeStats, (body, sight) => volumeStats(body, sight, facts)],
    [COMMAND.parameters, (body, sight) => parameters(body, sight)],
    [COMMAND.storageIds, storageIds],
  ];
}

function oneGroup(
  body: Uint8Array,
  sight: Sight,
  facts: TrackerFacts,
): Reply {
  const name = readGroupAlone(body);
  if (name === undefined) return INVALID;
  const group = sight.group(name);
  return group === undefined ? NOT_FOUND : ok(encodeGroup(group, sight, facts));
}

function allGroups(
  body: Uint8Array,
  sight: Sight,
  facts: TrackerFacts,
): Reply {
  if (body.length > 0) return INVALID;
  return ok(
    ...sight.groups.map((group) => encodeGroup(group, sight, facts)),
  );
}

function storages(
  body: Uint8Array,
  sight: Sight,
  facts: TrackerFacts,
): Reply {
  const asked = readGroupMember(body);
  if (asked === undefined) return INVALID;
  const found = membersOf(sight, asked);
  if (found === undefined) return NOT_FOUND;
  return ok(
    ...found.map((member) => encodeStorage(member, sight, facts)),
  );
}

/** Reachable members of a group, or the one with an ID or address. */
function membersOf(
  sight: Sight,
  { group, id }: { readonly group: string; readonly id: string },
): Reachable[] | undefined {
  const members = sight.group(group)?.nodes.filter(isReachable);
  if (members === undefined || id === "") return members;
  const found = members.filter(({ node, address }) =>
    String(node) === id || address.hostname === id
  );
  return found.length > 0 ? found : undefined;
}

function deleteStorage(body: Uint8Array, sight: Sight): Reply {
  const asked = readGroupMember(body);
  if (asked === undefined || asked.id === "") return INVALID;
  const [member] = membersOf(sight, asked) ?? [];
  if (member === undefined) return NOT_FOUND;
  // An operator with a key removes nodes: nobody is known here.
  return { status: member.alive ? STATUS.busy : STATUS.notPermitted };
}

function deleteGroup(body: Uint8Array, sight: Sight): Reply {
  const name = readGroupAlone(body);
  if (name === undefined) return INVALID;
  const group = sight.group(name);
  if (group === undefined) return NOT_FOUND;
  const isAlive = group.nodes.some(({ alive }) => alive);
  return { status: isAlive ? STATUS.busy : STATUS.notPermitted };
}

function status(body: Uint8Array, { upS }: TrackerFacts): Reply {
  if (body.length > 0) return INVALID;
  const bytes = Buffer.alloc(17);
  bytes[0] = 1; // every tracker is as good as a leader
  bytes.writeBigInt64BE(BigInt(Math.floor(upS())), 1);
  return ok(bytes);
}

function trackerStats(body: Uint8Array, facts: TrackerFacts): Reply {
  const [filter = 0, isActive = 0, isLeader = 0] = body;
  if (body.length !== 3) return INVALID;
  const isWanted = ((filter & 1) === 0 || isActive === 1) &&
    ((filter & 2) === 0 || isLeader === 1);
  if (!isWanted) return ok(Uint8Array.of(0));
  const host = facts.host();
  const { version } = facts;
  return ok(Uint8Array.of(1), encodeTrackerStat({ host, version }));
}

function storageStats(
  body: Uint8Array,
  sight: Sight,
  facts: TrackerFacts,
): Reply {
  const [filter = 0, how = 0, wanted = 0, isTrunk = 0] = body;
  if (body.length !== 4) return INVALID;
  const isOther = String.fromCharCode(how) === "!";
  const records = sight.groups.flatMap(({ nodes }) => nodes)
    .filter(isReachable)
    .map((member) => ({ ...storageRecord(member, facts), ...hostOf(member) }))
    .filter((record) =>
      ((filter & 1) === 0 || isTrunk === 0) &&
      ((filter & 2) === 0 || (record.status === wanted) !== isOther)
    );
  const head = Buffer.alloc(6);
  head[0] = 1; // nodes have numbers
  head.writeUInt32BE(records.length, 2);
  return ok(head, ...records.map(encodeStorageStat));
}

function hostOf({ address }: Reachable) {
  return { host: `${address.hostname}:${address.port}` };
}

function volumeStats(
  body: Uint8Array,
  sight: Sight,
  facts: TrackerFacts,
): Reply {
  if (body.length !== 4) return INVALID;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(sight.groups.length, 1);
  return ok(
    head,
    ...sight.groups.map((group) =>
      encodeVolumeStat(groupRecord(group, sight, facts))
    ),
  );
}

function parameters(body: Uint8Array, sight: Sight): Reply {
  if (body.length > 0) return INVALID;
  const [first] = sight.groups;
  const reservedMb = Math.floor((first?.reservedBytes ?? 0) / MIB);
  return text(`use_storage_id=1
id_type_in_filename=id
trust_storage_server_id=1
response_ip_addr_size=${sight.ipBytes}
storage_ip_changed_auto_adjust=1
storage_sync_file_max_delay=86400
store_path=0
reserved_storage_space=${reservedMb}MB
use_trunk_file=0
slot_min_size=256
slot_max_size=1048576
trunk_alloc_alignment_size=256
trunk_file_size=67108864
trunk_create_file_advance=0
trunk_create_file_time_base=02:00
trunk_create_file_interval=86400
trunk_create_file_space_threshold=0
trunk_init_check_occupying=0
trunk_init_reload_from_binlog=0
trunk_free_space_merge=0
delete_unused_trunk_files=0
trunk_compress_binlog_min_interval=0
trunk_compress_binlog_interval=0
trunk_compress_binlog_time_base=03:00
trunk_binlog_max_backups=0
store_slave_file_use_link=0
`);
}

function storageIds(body: Uint8Array, sight: Sight): Reply {
  if (body.length !== 5) return INVALID;
  const start = Buffer.from(body).readUInt32BE(0);
  const lines = sight.groups.flatMap(({ register, nodes }) =>
    nodes.filter(isReachable).map(({ node, address: { hostname, port } }) => {
      const host = hostname.includes(":") ? `[${hostname}]` : hostname;
      return `${node} ${register.group} ${host}:${port}\n`;
    })
  );
  const shown = lines.slice(start);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(lines.length, 0);
  head.writeUInt32BE(shown.length, 4);
  return ok(head, Buffer.from(shown.join("")));
}

function encodeGroup(
  group: FastdfsGroup,
  sight: Sight,
  facts: TrackerFacts,
): Uint8Array {
  const record = groupRecord(group, sight, facts);
  return facts.lists === "5"
    ? encodeOldGroupRecord(record)
    : encodeGroupRecord(record);
}

function encodeStorage(
  member: Reachable,
  sight: Sight,
  facts: TrackerFacts,
): Uint8Array {
  const record = storageRecord(member, facts);
  return facts.lists === "5"
    ? encodeOldStorageRecord(record)
    : encodeStorageRecord(record, sight.ipBytes);
}

function groupRecord(
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

function storageRecord(
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

function text(content: string): Reply {
  return ok(Buffer.from(content));
}

function ok(...parts: readonly Uint8Array[]): Reply {
  return { status: STATUS.ok, body: Buffer.concat(parts) };
}
