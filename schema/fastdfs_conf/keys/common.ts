/**
 * Keys that tracker.conf and storage.conf share, and most of client.conf's.
 * Source of all tables: reference of FastDFS 6.16.1, and the files of 5.08.
 *
 * @module
 */

import { type KeyRow, mapped, refused, unneeded } from "./row.ts";

const BOTH = ["tracker", "storage"] as const;
const ALL = ["tracker", "storage", "client", "mod"] as const;

/** See the module comment. */
export const COMMON_KEYS: readonly KeyRow[] = [
  refused("disabled", {
    in: BOTH,
    value: "switch",
    except: ["no"],
    say: "The file says that it is not to be used: set it to false",
  }),
  mapped("bind_addr", {
    in: BOTH,
    value: "text",
    role: "address",
    becomes: {
      tracker: "`fastdfs_tracker_listen`, `KEDGE_LISTEN`",
      storage: "`listen`, `peer_listen`, `fastdfs_listen`",
    },
    say:
      "Empty is every interface. Of several addresses the first IPv4 one is taken",
  }),
  mapped("port", {
    in: BOTH,
    value: "port",
    role: "port",
    becomes: {
      tracker: "`fastdfs_tracker_listen`",
      storage: "`fastdfs_listen`",
    },
    say:
      "FastDFS's tracker side is part of every agent; the tracker itself speaks HTTP, on 8080",
  }),
  mapped("base_path", {
    in: BOTH,
    value: "text",
    role: "base",
    becomes: { tracker: "`KEDGE_KV`", storage: "`data`" },
    say:
      "In the folder `kedge` below it. In storage.conf also the store path when no `store_path0` is given",
  }),
  mapped("max_connections", {
    in: BOTH,
    value: "number",
    to: [{ agent: "fastdfs_connections_max" }],
    say: "storage.conf's wins when both files are given",
  }),
  mapped("allow_hosts", {
    in: BOTH,
    value: "host",
    role: "host",
    repeats: true,
    becomes: "`fastdfs_allow_hosts`",
    say:
      "Missing is `*`, as in FastDFS: whoever can connect may read, upload and delete. One list for both sides: when both files have one, they must agree",
  }),
  mapped("log_level", {
    in: BOTH,
    value: "text",
    to: [{ agent: "log_level" }],
    words: {
      emerg: "warn",
      alert: "warn",
      crit: "warn",
      error: "warn",
      warn: "warn",
      warning: "warn",
      notice: "info",
      info: "info",
      debug: "info",
    },
    say:
      "Two levels: `info` and `warn`; no warning can be hidden. storage.conf's wins when both files are given",
  }),
  mapped("run_by_user", {
    in: BOTH,
    value: "text",
    role: "user",
    becomes: "`setpriv --reuid USER …` or systemd's `User=`",
    say:
      "A process cannot give up its rights here: it is refused unless it runs as this user already",
  }),
  mapped("run_by_group", {
    in: BOTH,
    value: "text",
    role: "user",
    becomes: "`setpriv --regid GROUP …` or systemd's `Group=`",
    say: "As `run_by_user`",
  }),
  ...unneeded(
    ALL,
    "connect_timeout network_timeout",
    "Dead peers are noticed by heartbeats, and a client slower than 1 KiB/s over 15 s is cut off",
  ),
  ...unneeded(
    BOTH,
    "accept_threads work_threads thread_stack_size buff_size min_buff_size max_buff_size use_io_uring use_send_zc tcp_quick_ack",
    "One event loop serves all connections; there are no threads or buffers to size",
  ),
  ...unneeded(
    ALL,
    "use_connection_pool connection_pool_max_idle_time",
    "Connections among agents stay open; those of clients may idle for an hour",
  ),
  ...unneeded(
    BOTH,
    "address_family response_ip_addr_size",
    "Chosen by itself: addresses go out in 15 bytes while all storages have IPv4, in 45 otherwise",
  ),
  ...unneeded(
    BOTH,
    `sync_log_buff_interval rotate_error_log error_log_rotate_time
     rotate_error_log_size compress_old_error_log
     compress_error_log_days_before
     log_file_rotate_everyday log_file_rotate_time log_file_rotate_on_size
     log_file_compress_old log_file_compress_days_before log_file_keep_days
     log_file_delete_old_time`,
    "Log lines go to standard error: journald or logrotate keeps them",
  ),
  ...unneeded(
    BOTH,
    "storage_ip_changed_auto_adjust",
    "A node is its number, not its address: it may change it at any start, and file IDs stay valid",
  ),
];
