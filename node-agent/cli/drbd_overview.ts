/** `kedge drbd-overview`: one line per volume, with what is mounted on it. */

import { parse } from "./args.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { mountedUses } from "./drbdadm/mounts.ts";
import { overviewLines } from "./drbdadm/overview_text.ts";
import { MirrorClient } from "./mirror_client.ts";
import { RUN_DIR, runDirOf } from "./mirror/run_dir.ts";

/** See the module comment. */
export const drbdOverview: Command = {
  name: "drbd-overview",
  summary: "one line per volume, with what is mounted on it",
  usage: ["drbd-overview"],
  about:
    `Columns: MINOR:RESOURCE/VOLUME, connection, own and peer's role, own and
peer's data, protocol, flags; then the file system that is mounted: where, its
type, size, used, available, use. While a resync runs its progress bar follows.

"drbd not loaded" (exit code 1): no mirror daemon runs here.`,
  options: RUN_DIR,
  examples: [
    ["kedge drbd-overview", "one screen"],
    ["kedge drbd-overview --json", "the same as JSON"],
  ],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, RUN_DIR);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    using client = new MirrorClient(
      runDirOf(values["run-dir"], context.env),
      context,
    );
    if (!await client.isRunning()) {
      if (values.json) context.out.line("[]");
      else context.out.line("drbd not loaded");
      return EXIT.failed;
    }
    const status = await client.status();
    const useOf = mountedUses();
    if (values.json) {
      const volumes = status.resources.flatMap(({ volumes }) => volumes);
      context.out.line(JSON.stringify(
        volumes.map((volume) => ({ ...volume, mounted: useOf(volume) })),
      ));
    } else {
      overviewLines(status, useOf).forEach((line) => context.out.line(line));
    }
    return EXIT.ok;
  },
};
