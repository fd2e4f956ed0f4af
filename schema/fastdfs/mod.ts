/**
 * What lies on the disks of a FastDFS storage.
 *
 * @module
 */

export * from "./base_files.ts";
export * from "./binlog.ts";
export * from "./trunk.ts";
