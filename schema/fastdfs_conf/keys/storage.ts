/**
 * Keys of storage.conf, and of FastDHT's that it may include.
 *
 * @module
 */

import { type KeyRow, mapped, refused, unneeded } from "./row.ts";

const HERE = ["storage"] as const;

/** See the module comment. */
export const STORAGE_KEYS: readonly KeyRow[] = [
  mapped("group_name", {
    in: HERE,
    value: "text",
    to: [{ agent: "group" }],
    say: "The node joins it with a token: `kedge token create --group NAME`",
  }),
  mapped("tracker_server", {
    in: HERE,
    value: "text",
    role: "tracker",
    repeats: true,
    becomes: "`tracker`",
    say:
      "The first one, as http://HOST:8080. Trackers share one KV store; without a remote one there is one tracker. FastDFS's clients can name any agent, for each has a tracker side",
  }),
  mapped("store_path_count", {
    in: HERE,
    value: "number",
    role: "storePath",
    becomes: "the length of `store_paths`",
  }),
  mapped("store_path#", {
    in: HERE,
    value: "text",
    role: "storePath",
    becomes: "one of `store_paths`, in this order",
    say:
      "A path that holds FastDFS's files is let in after `kedge import fastdfs`",
  }),
  refused("store_path#_readonly", {
    in: HERE,
    value: "switch",
    except: ["no"],
    say:
      "Single paths cannot be read-only: make the node read-only (`kedge node read-only N`), or set it to false",
  }),
  mapped("subdir_count_per_path", {
    in: HERE,
    value: "number",
    to: [{ agent: "subdir_count_per_path" }],
  }),
  mapped("file_distribute_path_mode", {
    in: HERE,
    value: "number",
    to: [{ agent: "file_distribute_path_mode" }],
    words: { 0: "rotate", 1: "random" },
  }),
  mapped("file_distribute_rotate_count", {
    in: HERE,
    value: "number",
    to: [{ agent: "file_distribute_rotate_count" }],
  }),
  mapped("fsync_after_written_bytes", {
    in: HERE,
    value: "size",
    to: [{ agent: "fsync_after_written_bytes" }],
    say:
      "Bounds what a large upload leaves to flush. What an answer promises is the level of the group: C is durable everywhere",
  }),
  mapped("upload_priority", {
    in: HERE,
    value: "number",
    to: [{ agent: "upload_priority" }],
  }),
  mapped("if_alias_prefix", {
    in: HERE,
    value: "text",
    role: "interface",
    becomes: "`fastdfs_advertise`, `advertise`, `peer_advertise`",
    say:
      "Which of this host's addresses others are told, when `bind_addr` is empty: the first of the interfaces that begin so",
  }),
  mapped("check_file_duplicate", {
    in: HERE,
    value: "switch",
    to: [{ agent: "check_file_duplicate" }],
    say: "By SHA-256 and a comparison of the bytes, without FastDHT",
  }),
  mapped("sync_start_time", {
    in: HERE,
    value: "time",
    to: [{ agent: "sync_start_time" }],
    say:
      "For background catch-up; what an answer at B or C waits for is sent at any time",
  }),
  mapped("sync_end_time", {
    in: HERE,
    value: "time",
    to: [{ agent: "sync_end_time" }],
    say: "As `sync_start_time`",
  }),
  mapped("sync_interval", {
    in: HERE,
    value: "number",
    to: [{ agent: "sync_interval" }],
    unit: "ms",
    say: "Milliseconds between two files of background catch-up",
  }),
  ...unneeded(
    HERE,
    "sync_wait_msec sync_min_threads sync_max_threads write_mark_file_freq sync_binlog_buff_interval compress_binlog compress_binlog_time",
    "New files are pushed to peers as they come; the log and every position lie in a database, stored with the change itself",
  ),
  ...unneeded(
    HERE,
    "file_sync_skip_invalid_record",
    "A record that cannot be read stops that log with an alarm and is never skipped: `kedge status` says what to do",
  ),
  ...unneeded(
    HERE,
    "heart_beat_interval stat_report_interval sync_stat_file_interval",
    "Trackers say how often nodes report: every second (`KEDGE_HEARTBEAT_MS`)",
  ),
  ...unneeded(
    HERE,
    "disk_rw_separated disk_rw_direct disk_reader_threads disk_writer_threads disk_recovery_threads",
    "Large files are read and written by a pool of threads; small ones by one that shares flushes. An empty disk is filled from the group by itself",
  ),
  ...unneeded(
    HERE,
    "check_store_path_mark",
    "Always: a path without its marker, or with another's, is kept out",
  ),
  ...unneeded(
    HERE,
    "client_bind server_id",
    "A node is its number; `fastdfs_advertise`, `advertise` and `peer_advertise` say where others find it behind NAT",
  ),
  ...unneeded(
    HERE,
    "file_signature_method key_namespace keep_alive group_count group#",
    "Duplicates are found by the node's own index: there is no FastDHT",
  ),
  refused("use_access_log", {
    in: HERE,
    value: "switch",
    except: ["no"],
    say:
      "Name the file yourself: set it to false, and `fastdfs_access_log` to a path",
  }),
  refused("enabled", {
    in: HERE,
    section: "access-log",
    value: "switch",
    except: ["no"],
    say:
      "Name the file yourself: set it to false, and `fastdfs_access_log` to a path",
  }),
  ...unneeded(
    HERE,
    `time_precision rotate_access_log access_log_rotate_time
     rotate_access_log_size compress_old_access_log
     compress_access_log_days_before`,
    "`fastdfs_access_log` has milliseconds, and is rotated by moving the file (logrotate)",
  ),
  ...unneeded(
    HERE,
    "http.domain_name http.trunk_size",
    "Agents speak HTTP by themselves; URLs have the host of `advertise`",
  ),
];
