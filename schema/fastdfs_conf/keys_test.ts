import assert from "node:assert/strict";
import { keyRow } from "./keys/tables.ts";

/**
 * Keys of the samples of FastDFS 6.16.1, also those that are commented out; a
 * key of a section has its name in front.
 */
const KEYS_6_16 = {
  tracker: `
    accept_threads address_family allow_hosts base_path bind_addr
    check_active_interval connect_timeout connection_pool_max_idle_time
    delete_unused_trunk_files disabled download_server id_type_in_filename
    log_file_compress_days_before log_file_compress_old
    log_file_delete_old_time log_file_keep_days log_file_rotate_everyday
    log_file_rotate_on_size log_file_rotate_time log_level max_buff_size
    max_connections min_buff_size network_timeout port
    reserved_storage_space response_ip_addr_size run_by_group run_by_user
    slot_max_size slot_min_size storage_ids_filename
    storage_ip_changed_auto_adjust storage_sync_file_max_delay
    storage_sync_file_max_time store_group store_lookup store_path
    store_server store_slave_file_use_link sync_log_buff_interval
    thread_stack_size trunk_alloc_alignment_size trunk_binlog_max_backups
    trunk_compress_binlog_interval trunk_compress_binlog_min_interval
    trunk_compress_binlog_time_base trunk_create_file_advance
    trunk_create_file_interval trunk_create_file_space_threshold
    trunk_create_file_time_base trunk_file_size trunk_free_space_merge
    trunk_init_check_occupying trunk_init_reload_from_binlog
    trust_storage_server_id use_connection_pool use_io_uring use_send_zc
    use_storage_id use_trunk_file work_threads`,
  storage: `
    accept_threads address_family allow_hosts base_path bind_addr
    buff_size check_file_duplicate check_store_path_mark client_bind
    compress_binlog compress_binlog_time connect_timeout
    connection_pool_max_idle_time disabled disk_reader_threads
    disk_recovery_threads disk_rw_separated disk_writer_threads
    file_distribute_path_mode file_distribute_rotate_count
    file_signature_method file_sync_skip_invalid_record
    fsync_after_written_bytes group_name heart_beat_interval
    if_alias_prefix keep_alive key_namespace log_file_compress_days_before
    log_file_compress_old log_file_delete_old_time log_file_keep_days
    log_file_rotate_everyday log_file_rotate_on_size log_file_rotate_time
    log_level max_connections network_timeout port run_by_group
    run_by_user server_id stat_report_interval store_path0
    store_path0_readonly store_path1 store_path_count
    subdir_count_per_path sync_binlog_buff_interval sync_end_time
    sync_interval sync_log_buff_interval sync_max_threads sync_min_threads
    sync_start_time sync_stat_file_interval sync_wait_msec
    thread_stack_size tracker_server upload_priority use_connection_pool
    use_io_uring use_send_zc work_threads write_mark_file_freq
    access-log/enabled access-log/time_precision`,
  client: `
    base_path connect_first_by connect_timeout
    connection_pool_max_idle_time load_fdfs_parameters_from_tracker
    log_level network_timeout storage_ids_filename tracker_server
    use_connection_pool use_storage_id`,
} as const;

Deno.test("every key of FastDFS 6.16.1's samples has its row", () => {
  for (const kind of ["tracker", "storage", "client"] as const) {
    const names = KEYS_6_16[kind].trim().split(/\s+/);
    assert(names.length > 10);
    for (const name of names) {
      const [key = "", section = ""] = name.split("/").reverse();
      assert(keyRow(kind, key, section), `${kind}.conf: ${name}`);
    }
  }
});
