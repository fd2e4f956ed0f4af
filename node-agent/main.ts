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

async function main(): Promise<number> {
  if (!hasImportMap()) return await relaunch(import.meta.url, Deno.args);
  try {
    return await runCommand(COMMANDS, Deno.args, systemContext(openLog));
  } catch (error) {
    // Only of what does nothing but read, see readers.ts.
    if (error instanceof ReaderGone) return EXIT.ok;
    throw error;
  }
}

// Not awaited here: while a module waits, the runtime goes around its event loop
// twice for everything that happens.
if (import.meta.main) void main().then((code) => Deno.exit(code));
