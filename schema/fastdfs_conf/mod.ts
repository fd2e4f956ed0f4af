/**
 * FastDFS's configuration: tracker.conf, storage.conf, client.conf, http.conf
 * and mod_fastdfs.conf, and what they are in Kedge. Pure.
 *
 * @module
 */

export { type HostAddress, ownAddress } from "./host_address.ts";
export type { ConfKind, Fate, KeyRow } from "./keys/row.ts";
export { FASTDFS_KEYS, keyNames } from "./keys/tables.ts";
export { type FastdfsSettings, type RunAs, settingsOf } from "./settings.ts";
export { SECRET_SETTING } from "./tokens.ts";
export {
  CONF_BYTES_MAX,
  type ConfItem,
  type ConfProblem,
  type ConfText,
  problemText,
  readConfText,
  type ReadText,
} from "./text.ts";
export {
  type ConfFile,
  type FastdfsConf,
  type KeyFinding,
  readFastdfsConf,
} from "./understand.ts";
