/** `kedge doctor`: try everything once. */

import { parse } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { type Finding, RoundTrip } from "./doctor/round_trip.ts";

const OPTIONS = {
  group: { kind: "text", value: "NAME", help: "this group only" },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const doctor: Command = {
  name: "doctor",
  summary: "try everything once: upload, read everywhere, change, delete",
  usage: ["doctor [--group NAME]"],
  about:
    `Looks at trackers and groups, then makes a small file in each group with an
upload, reads it from every node, appends, asks for its facts, deletes it, and
sees that no node has it any more. Nothing stays. Exit code 1 when anything
failed; the lines say what.`,
  options: OPTIONS,
  examples: [
    ["kedge doctor", "after an installation, an upgrade or a repair"],
    ["kedge doctor --json | jq 'select(.ok|not)'", "for monitoring"],
  ],
  exits: ["unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const client = await openClient(values, context);
    let isWell = true;
    const tell = (finding: Finding) => {
      isWell &&= finding.ok;
      context.out.line(
        values.json ? JSON.stringify(finding) : lineOf(finding),
      );
    };
    await new RoundTrip({ client, context, tell }).run(values.group);
    return isWell ? EXIT.ok : EXIT.failed;
  },
};

function lineOf({ ok, group, step, ms, why, next }: Finding): string {
  const what = `${ok ? "ok    " : "FAILED"}  ${group.padEnd(10)} ${step}`;
  if (ok) return `${what}  (${Math.round(ms)} ms)${why ? `: ${why}` : ""}`;
  return `${what}: ${why ?? ""}${
    next === undefined ? "" : `\n        ${next}`
  }`;
}
