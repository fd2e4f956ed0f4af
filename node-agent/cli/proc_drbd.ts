/** `kedge proc-drbd`: what `cat /proc/drbd` shows. */

import { parse, wholeNumber } from "./args.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { procDrbd as textOf } from "./drbdadm/proc_drbd_text.ts";
import { MirrorClient } from "./mirror_client.ts";
import { RUN_DIR, runDirOf } from "./mirror/run_dir.ts";

const OPTIONS = {
  ...RUN_DIR,
  watch: {
    kind: "text",
    value: "SECONDS",
    help: "show it again and again, until Ctrl-C",
  },
} as const;

/** See the module comment. */
export const procDrbd: Command = {
  name: "proc-drbd",
  summary: "the text of /proc/drbd",
  usage: ["proc-drbd [--watch 1]"],
  about: `The text of 8.4, minor by minor: connection, roles, disk states,
protocol, six flags; counters in KiB; while a resync or verify runs its
progress bar, speed and the time that is left.

ns nr  sent, received over the network    dw dr  written, read on the disk
al bm  writes of activity log, bitmap     lo pe ua ap  requests under way
ep     write epochs    wo  how write order is kept: f is by flushes
oos    KiB out of sync

Where no daemon runs there is no text: exit code 4.`,
  options: OPTIONS,
  examples: [
    ["kedge proc-drbd", "once"],
    ["kedge proc-drbd --watch 1", "as watch -n1 cat /proc/drbd"],
  ],
  exits: ["unreachable"],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    using client = new MirrorClient(
      runDirOf(values["run-dir"], context.env),
      context,
    );
    const { out, signal } = context;
    const seconds = values.watch === undefined
      ? undefined
      : wholeNumber("--watch", values.watch, { min: 1, max: 3600 });
    for (;;) {
      const status = await client.status();
      const text = values.json
        ? JSON.stringify(status)
        : textOf(status).join("\n");
      out.write(out.columns && seconds ? `\x1b[H\x1b[J${text}\n` : `${text}\n`);
      if (seconds === undefined || signal.aborted) return EXIT.ok;
      await context.sleep(seconds * 1000, signal).catch(() => {});
      if (signal.aborted) return EXIT.ok;
    }
  },
};
