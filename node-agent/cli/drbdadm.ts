/** `kedge drbdadm`: DRBD's own command, by its own rules and words. */

import { NotDefinedError, ParseError } from "@kedge/schema/drbd-conf";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, ReaderGone, UsageError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { identityOf } from "./drbdadm/config.ts";
import { JsonErrors } from "./drbdadm/json_errors.ts";
import {
  checkSetup,
  type Line,
  LineError,
  OWN_OPTIONS,
  parseLine,
} from "./drbdadm/line.ts";
import { Session } from "./drbdadm/session.ts";
import { rowOf, ROWS } from "./drbdadm/table.ts";
import { runDirOf } from "./mirror/run_dir.ts";
import { VERSION } from "../version.ts";
import type { OptionTable } from "./args.ts";

const OPTIONS: OptionTable = Object.fromEntries(
  Object.entries(OWN_OPTIONS).filter(([name]) => name !== "json").map((
    [name, row],
  ) => [name, {
    kind: "value" in row ? "text" : "flag",
    help: row.help,
    ...("value" in row ? { value: row.value } : {}),
    ...("short" in row ? { short: row.short } : {}),
  }]),
);

/** See the module comment. */
export const drbdadm: Command = {
  name: "drbdadm",
  summary: "DRBD's command for mirrored volumes, as 8.4 has it",
  usage: [
    "drbdadm [options] COMMAND [options] all|RESOURCE[/VOLUME]…",
    "drbdadm -- --force primary RESOURCE",
    "drbdadm help",
  ],
  about:
    `Reads /etc/drbd.conf (8.3, 8.4 and 9 spellings) and does with the mirror
daemon of this host what drbdadm does with DRBD's kernel module: the same
commands, texts and exit codes. "up" starts the daemon when it does not run.

Options of a command stand after it, or between "--" and it. Exit codes are
drbdadm's: 0 done, 1 usage, 5 timeout, 10 configuration refused, 11 state
change refused, 17 no good data, 20 other. With --json a failure is one line of
JSON on standard error: error, exit, and refusals with DRBD's codes.`,
  options: OPTIONS,
  examples: [
    ["kedge drbdadm create-md mysql", "metadata on the disk of mysql"],
    ["kedge drbdadm up all", "attach and connect everything"],
    ["kedge drbdadm -- --force primary mysql", "the first Primary"],
    ["kedge drbdadm -d up all", "what 8.4 would run"],
    [
      "kedge drbdadm connect --discard-my-data mysql",
      "end a split brain: the peer's data stays",
    ],
  ],
  verbs: ROWS.filter(({ listing }) => listing === "usual").map(({ name }) =>
    name
  ),
  reads: (args) => {
    try {
      return rowOf(parseLine(args).command ?? "help")?.reads ?? false;
    } catch {
      return false; // it will be refused
    }
  },

  async run(args, context) {
    if (!args.includes("--json")) return await runArgs(args, context);
    const errors = new JsonErrors(context.err);
    const exit = await runArgs(args, { ...context, err: errors }, errors);
    errors.end(exit);
    return exit;
  },
};

async function runArgs(
  args: readonly string[],
  context: CommandContext,
  errors?: JsonErrors,
): Promise<number> {
  try {
    return await runLine(parseLine(args), context, errors);
  } catch (error) {
    return told(error, context, errors);
  }
}

async function runLine(
  line: Line,
  context: CommandContext,
  errors: JsonErrors | undefined,
): Promise<number> {
  const { command, own } = line;
  if (own.has("version")) {
    versionLines().forEach((each) => context.out.line(each));
    return 0;
  }
  const [stray] = line.setup.keys();
  if (command === undefined && stray !== undefined) {
    throw new UsageError(`Unknown option --${stray}`);
  }
  const row = command === undefined ? undefined : rowOf(command);
  if (command === undefined || row === undefined) {
    return unknownCommand(command, context);
  }
  checkSetup(line, row.options);
  using session = new Session(line, {
    context,
    identity: identityOf(line.own.get("host"), context.env),
    runDir: runDirOf(line.own.get("run-dir"), context.env),
    targets: row.targets,
    onRefusal: (resource, reply) => errors?.refused(resource, reply),
  });
  return await (await row.load())(session);
}

function unknownCommand(
  command: string | undefined,
  context: CommandContext,
): number {
  if (command === undefined) {
    context.err.line("drbdadm: no command given");
  } else {
    context.err.line(`drbdadm: Unknown command '${command}'`);
    const guess = nearest(command, ROWS.map(({ name }) => name));
    if (guess !== undefined) context.err.line(`  did you mean "${guess}"?`);
  }
  context.err.line('  "drbdadm help" lists the commands');
  return 1;
}

/** Cluster managers let a shell evaluate this: assignments only. */
function versionLines(): string[] {
  const code = "0x08040b";
  return [
    `DRBDADM_BUILDTAG=kedge\\ ${VERSION}`,
    "DRBDADM_API_VERSION=1",
    `DRBD_KERNEL_VERSION_CODE=${code}`,
    `DRBDADM_VERSION_CODE=${code}`,
    "DRBDADM_VERSION=8.4.11",
  ];
}

/** Errors as drbdadm tells them. Bugs are thrown on. */
function told(
  error: unknown,
  { err, env }: CommandContext,
  errors: JsonErrors | undefined,
): number {
  if (error instanceof ParseError && error.findings[0]?.line === 0) {
    // There is no line: the file itself is missing. Not a refused content.
    err.line(error.findings[0].text);
    const next = "write it, or name another one: -c FILE, KEDGE_DRBD_CONF";
    if (errors === undefined) err.line(`  next: ${next}`);
    else errors.next(next);
    return 20;
  }
  if (error instanceof ParseError || error instanceof NotDefinedError) {
    err.line(error.message);
    return error.exitCode;
  }
  if (error instanceof UsageError || error instanceof ReaderGone) throw error;
  if (error instanceof LineError) {
    err.line(error.message);
    return 1;
  }
  if (error instanceof CliError) {
    err.line(`drbdadm: ${error.message}`);
    if (error.next !== undefined && errors === undefined) {
      err.line(`  next: ${error.next}`);
    } else if (error.next !== undefined) errors?.next(error.next);
    return 20;
  }
  if (env.KEDGE_DEBUG) throw error;
  err.line(`drbdadm: ${messageOf(error)}`);
  return 20;
}
