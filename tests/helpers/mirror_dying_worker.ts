/**
 * A mirror's Worker with a bug: it dies when it sees the file that
 * `KEDGE_TEST_DIES` names, which it removes.
 *
 * @module
 */

import "../../node-agent/volume_worker.ts";

const path = Deno.env.get("KEDGE_TEST_DIES") ?? "";

/** How often it looks, in ms. */
const LOOK_MS = 10;

setInterval(() => {
  try {
    Deno.removeSync(path);
  } catch {
    return;
  }
  throw new Error("a bug in the Worker");
}, LOOK_MS);
