/**
 * Statistics and parameters of the cluster, as monitors and clients ask a
 * tracker for them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  COMMAND,
  encodeStorageStat,
  encodeTrackerStat,
  encodeVolumeStat,
} from "@kedge/schema/wire/fastdfs";
import { isReachable, type Reachable, type Sight } from "./sight.ts";
import {
  type Answerer,
  INVALID,
  ok,
  text,
  type TrackerFacts,
} from "./tracker_facts.ts";
import { groupRecord, MIB, storageRecord } from "./tracker_records.ts";
import type { Reply } from "./wire_request.ts";

/** The commands with what answers them. */
export function trackerStats(facts: TrackerFacts): [number, Answerer][] {
  return [
    [COMMAND.leader, (body) => body.length > 0 ? INVALID : text(facts.host())],
    [COMMAND.trackerStatus, (body) => status(body, facts)],
    [COMMAND.trackerStats, (body) => trackers(body, facts)],
    [COMMAND.storageStats, (body, sight) => storageStats(body, sight, facts)],
    [COMMAND.volumeStats, (body, sight) => volumeStats(body, sight, facts)],
    [COMMAND.parameters, (body, sight) => parameters(body, sight)],
    [COMMAND.storageIds, storageIds],
  ];
}

function status(body: Uint8Array, { upS }: TrackerFacts): Reply {
  if (body.length > 0) return INVALID;
  const bytes = Buffer.alloc(17);
  bytes[0] = 1; // every tracker is as good as a leader
  bytes.writeBigInt64BE(BigInt(Math.floor(upS())), 1);
  return ok(bytes);
}

function trackers(body: Uint8Array, facts: TrackerFacts): Reply {
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
  const records = sight.groups
    .flatMap((group) =>
      group.nodes.filter(isReachable).map((member) => ({
        ...storageRecord(member, group, facts),
        ...hostOf(member),
      }))
    )
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
store_path=${sight.storePathRule}
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
