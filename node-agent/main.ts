#!/usr/bin/env -S deno run -A --quiet
/**
 * `kedge`: the command line of the file store, and the entry of the agent.
 *
 * @module
 */

import { atLeast, type LogFormat, stderrLog } from "./adapters/log.ts";
import { runCommand } from "./cli/command.ts";
import { ReaderGone } from "./cli/errors.ts";
import { EXIT } from "./cli/exit_codes.ts";
import { COMMANDS } from "./cli/registry.ts";
import { hasImportMap, relaunch } from "./cli/relaunch.ts";
import { systemContext } from "./cli/system_context.ts";

const openLog = (format: LogFormat, level: "info" | "warn" = "info") =>
  atLeast(level, stderrLog(format));

if (import.meta.main) {
  Deno.exit(
    hasImportMap()
      ? await runCommand(COMMANDS, Deno.args, systemContext(openLog))
        .catch((error: unknown) => {
          // Only of what does nothing but read, see readers.ts.
          if (error instanceof ReaderGone) return EXIT.ok;
          throw error;
        })
      : await relaunch(import.meta.url, Deno.args),
  );
}
