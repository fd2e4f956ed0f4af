/** `kedge status`: everything on one screen. */

import { parse } from "./args.ts";
import { allGroups } from "./client/cluster.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { isHealthy, statusLines } from "./text/cluster_text.ts";

/** See the module comment. */
export const status: Command = {
  name: "status",
  summary: "who is alive, in sync, behind, full: one screen",
  usage: ["status"],
  about:
    `States of a node: in sync (it has everything that was acknowledged at B and
C), catching up, draining, read-only, full, disk fault, DOWN. BEHIND counts
changes of others that it has not applied yet.

Exit code 1 says that something is not well: usable as a health check.`,
  options: CONNECTION,
  examples: [
    ["kedge status", "a screen"],
    ["kedge status --json >/dev/null || alert", "a health check"],
  ],
  exits: ["unreachable", "refused"],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, CONNECTION);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const groups = await allGroups(await openClient(values, context));
    const healthy = groups.length > 0 && groups.every(isHealthy);
    context.out.line(
      values.json
        ? JSON.stringify({ healthy, groups })
        : statusLines(groups, context.out.columns).join("\n"),
    );
    return healthy ? EXIT.ok : EXIT.failed;
  },
};
