/**
 * Keys of http.conf, which the other files include, and of mod_fastdfs.conf.
 *
 * @module
 */

import { type KeyRow, refused, unneeded } from "./row.ts";

const HTTP = ["http", "tracker", "storage", "client", "mod"] as const;
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
  refused("http.anti_steal.check_token", {
    in: HTTP,
    value: "switch",
    except: ["no"],
    say:
      "Tokens are not checked by this setting: let nginx ask for them, and set it to false here",
  }),
  ...unneeded(
    HTTP,
    "http.anti_steal.secret_key http.anti_steal.token_ttl",
    "Counts with `check_token` alone",
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
