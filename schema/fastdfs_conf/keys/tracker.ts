/**
 * Keys of tracker.conf.
 *
 * @module
 */

import { type KeyRow, mapped, unneeded } from "./row.ts";

const HERE = ["tracker"] as const;

/** See the module comment. */
export const TRACKER_KEYS: readonly KeyRow[] = [
  mapped("store_lookup", {
    in: HERE,
    value: "number",
    to: [{ tracker: "KEDGE_STORE_LOOKUP" }],
    words: { 0: "round_robin", 1: "specified_group", 2: "load_balance" },
  }),
  mapped("store_group", {
    in: HERE,
    value: "text",
    to: [{ tracker: "KEDGE_STORE_GROUP" }],
    say: "Counts with `store_lookup = 1`",
  }),
  mapped("store_server", {
    in: HERE,
    value: "number",
    to: [{ tracker: "KEDGE_STORE_SERVER" }],
    words: { 0: "round_robin", 1: "first_by_ip", 2: "first_by_priority" },
  }),
  mapped("store_path", {
    in: HERE,
    value: "number",
    to: [{ tracker: "KEDGE_STORE_PATH" }],
    words: { 0: "round_robin", 2: "load_balance" },
  }),
  mapped("download_server", {
    in: HERE,
    value: "number",
    to: [{ tracker: "KEDGE_DOWNLOAD_SERVER" }],
    words: { 0: "round_robin", 1: "source_first" },
  }),
  mapped("reserved_storage_space", {
    in: HERE,
    value: "reserve",
    to: [
      { tracker: "KEDGE_RESERVED_STORAGE_SPACE" },
      { agent: "reserved_storage_space" },
    ],
    say: "Give tracker.conf to the agents as well: each keeps to it by itself",
  }),
  ...unneeded(
    HERE,
    "check_active_interval",
    "Nodes report every second, and a silent one gets no more uploads after 4 s (`KEDGE_CHECK_ACTIVE_INTERVAL_MS`)",
  ),
  ...unneeded(
    HERE,
    "storage_sync_file_max_delay storage_sync_file_max_time",
    "Readers are sent by what replicas have reported, not by time; a replica that lacks a file fetches it",
  ),
  ...unneeded(
    HERE,
    "use_storage_id storage_ids_filename id_type_in_filename trust_storage_server_id",
    "Nodes have numbers, given once when they join, and file IDs carry them",
  ),
  ...unneeded(
    HERE,
    "store_slave_file_use_link",
    "A slave is a file of its own; with `check_file_duplicate` equal bytes are kept once",
  ),
  mapped("use_trunk_file", {
    in: HERE,
    value: "switch",
    role: "packing",
    becomes: "`small_file_max`",
    say:
      "Every node packs for itself, so there is no trunk server to lose; `kedge group set GROUP --small-file-max SIZE` says it for a whole group. `kedge import fastdfs` reads old trunk files",
  }),
  mapped("slot_max_size", {
    in: HERE,
    value: "size",
    role: "packing",
    becomes: "`small_file_max`",
    say: "Counts with `use_trunk_file`; 64 KB at most: a larger file is a file",
  }),
  ...unneeded(
    HERE,
    `slot_min_size trunk_alloc_alignment_size
     trunk_free_space_merge delete_unused_trunk_files trunk_file_size
     trunk_create_file_advance trunk_create_file_time_base
     trunk_create_file_interval trunk_create_file_space_threshold
     trunk_init_check_occupying trunk_init_reload_from_binlog
     trunk_compress_binlog_min_interval trunk_compress_binlog_interval
     trunk_compress_binlog_time_base trunk_binlog_max_backups`,
    "Segments of packed files (`small_file_max`) have no slots: they are written one after the other, and compacted",
  ),
  ...unneeded(
    HERE,
    `http.check_alive_interval http.check_alive_type http.check_alive_uri`,
    "Agents report by themselves; nobody asks their web servers",
  ),
];
