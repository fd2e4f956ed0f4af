/**
 * Small files of a FastDFS storage that say what it is.
 *
 * @module
 */

/** What {@linkcode dataInitFlag} tells. */
export interface StorageFacts {
  /** Seconds since the Unix epoch. */
  readonly joinedS: number;
  /** Highest number of a trunk file, or 0. */
  readonly trunkFileNumber: number;
}

/**
 * `data/.data_init_flag`: this storage has its data, and is not to be filled
 * from its peers. Address and port are left open: they are those it starts with.
 */
export function dataInitFlag(facts: StorageFacts): string {
  return [
    `storage_join_time=${facts.joinedS}`,
    "sync_old_done=1",
    "sync_src_server=",
    "sync_until_timestamp=0",
    "last_ip_addr=",
    "last_server_port=0",
    `current_trunk_file_id=${facts.trunkFileNumber}`,
    "trunk_last_compress_time=0",
    "trunk_binlog_compress_stage=0",
    "",
  ].join("\n");
}

/** `data/sync/binlog_index.dat`: which binlog is written. */
export function binlogIndex(current: number): string {
  return `current_write=${current}\ncurrent_compress=0\n`;
}
