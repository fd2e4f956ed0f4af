/**
 * Keys of client.conf. The file stays with the clients: it needs no change, or
 * another `tracker_server`.
 *
 * @module
 */

import { type KeyRow, unneeded } from "./row.ts";

const HERE = ["client"] as const;
const READERS = ["client", "mod"] as const;

/** See the module comment. */
export const CLIENT_KEYS: readonly KeyRow[] = [
  ...unneeded(
    READERS,
    "tracker_server",
    "Stays when an agent listens at this address and port; otherwise write the `fastdfs_tracker_listen` of one agent or of several here",
  ),
  ...unneeded(
    READERS,
    "base_path log_level load_fdfs_parameters_from_tracker use_storage_id storage_ids_filename connect_first_by",
    "The client's own affair; it works with any value",
  ),
  ...unneeded(
    HERE,
    "http.tracker_server_port",
    "Only for URLs that the client prints",
  ),
];
