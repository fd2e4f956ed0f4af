/** The version of this program. */

import config from "./deno.json" with { type: "json" };

/** As in `node-agent/deno.json`. */
export const VERSION: string = config.version;
