/**
 * A mirror daemon as a process of its own, for benches and scenarios:
 * `deno run -A mirror_node.ts RUN_DIR`. Prints `{"socket": PATH}` when it takes
 * commands; ends at SIGTERM.
 *
 * @module
 */

import { stderrLog } from "../../node-agent/adapters/log.ts";
import { runMirrorDaemon } from "../../node-agent/mirror_daemon.ts";

const [runDir] = Deno.args;
if (runDir === undefined) throw new Error("Say where to run: RUN_DIR");
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

await runMirrorDaemon({
  runDir,
  log: stderrLog("text"),
  signal: stop.signal,
  onReady: (ready) => {
    const line = new TextEncoder().encode(`${JSON.stringify(ready)}\n`);
    Deno.stdout.writeSync(line);
  },
});
Deno.exit(0);
