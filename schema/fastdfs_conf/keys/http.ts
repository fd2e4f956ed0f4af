/**
 * Keys of http.conf, which the other files include, and of mod_fastdfs.conf.
 *
 * @module
 */

import { type KeyRow, mapped, unneeded } from "./row.ts";

const HTTP = ["http", "tracker", "storage", "client", "mod"] as const;
const SERVERS = ["http", "storage", "mod"] as const;
const MOD = ["mod"] as const;

/** See the module comment. */
export const HTTP_KEYS: readonly KeyRow[] = [
  ...unneeded(
    HTTP,
    "http.server_port http.disabled",
    "Every agent speaks HTTP at `listen`, and so does the tracker; `kedge nginx-config` writes nginx's part",
  ),
  ...unneeded(
    HTTP,
    "http.need_find_content_type http.default_content_type http.mime_types_filename http.multi_range.enabled",
    "Types come from the extension and are the same on every node; several ranges are answered",
  ),
  mapped("http.anti_steal.check_token", {
    in: SERVERS,
    value: "switch",
    role: "tokens",
    becomes: "`download_tokens`",
    say:
      "`fastdfs` when true. Of two files that do not agree the one that checks counts",
  }),
  mapped("http.anti_steal.secret_key", {
    in: SERVERS,
    value: "text",
    role: "tokens",
    becomes: "`download_keys`",
    say: "Never shown; `--out FILE` writes it to FILE.keys",
  }),
  mapped("http.anti_steal.token_ttl", {
    in: SERVERS,
    value: "number",
    unit: "s",
    role: "tokens",
    becomes: "`download_token_ttl`",
  }),
  ...unneeded(
    ["tracker", "client"],
    "http.anti_steal.check_token http.anti_steal.secret_key http.anti_steal.token_ttl",
    "Agents check tokens: they read it in storage.conf, http.conf or mod_fastdfs.conf",
  ),
  ...unneeded(
    HTTP,
    "http.anti_steal.token_check_fail",
    "nginx's `error_page 403` shows any page you like",
  ),
  ...unneeded(
    MOD,
    `storage_sync_file_max_delay storage_server_port group_name
     url_have_group_name store_path_count store_path# log_filename
     response_mode if_alias_prefix flv_support flv_extension group_count
     anti_steal_bypass_header_name anti_steal_bypass_header_value`,
    "There is no module: `kedge nginx-config` writes a server block for stock nginx from the agent's settings",
  ),
];
