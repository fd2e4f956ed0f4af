/**
 * A mirror daemon as a process of its own, for the fault tests:
 * `deno run -A mirror_pair_daemon.ts RUN_DIR`. Prints `{"socket": PATH}` when it
 * takes commands; ends at SIGTERM. Trackers decide roles where the environment
 * names some, as for `kedge mirror run`. `KEDGE_TEST_DIES` is a file at whose
 * sight a Worker dies (`mirror_dying_worker.ts`).
 *
 * @module
 */

import { stderrLog } from "../../node-agent/adapters/log.ts";
import { fencingOf } from "../../node-agent/cli/mirror_fencing.ts";
import { runMirrorDaemon } from "../../node-agent/mirror_daemon.ts";

const [runDir] = Deno.args;
if (runDir === undefined) throw new Error("Say where to run: RUN_DIR");
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

const hostname = runDir.slice(runDir.lastIndexOf("/") + 1);
await runMirrorDaemon({
  runDir,
  fencing: fencingOf({}, { env: Deno.env.toObject(), hostname }),
  log: stderrLog("text"),
  workerEntry: Deno.env.has("KEDGE_TEST_DIES")
    ? new URL("./mirror_dying_worker.ts", import.meta.url)
    : undefined,
  signal: stop.signal,
  onReady: (ready) => {
    const line = new TextEncoder().encode(`${JSON.stringify(ready)}\n`);
    Deno.stdout.writeSync(line);
  },
});
Deno.exit(0);
