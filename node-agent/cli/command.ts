/**
 * What a command is, and how one is found, run and refused.
 *
 * A command is a value. The list of commands holds only names, summaries and
 * loaders, so that `kedge upload` does not load the agent.
 *
 * @module
 */

import { COMMON, type Option, type OptionTable } from "./args.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, ReaderGone, UsageError } from "./errors.ts";
import { EXIT, EXIT_MEANINGS, type ExitName } from "./exit_codes.ts";
import { nearest } from "./nearest.ts";
import { forCommand, type Reads } from "./readers.ts";

/** One subcommand. */
export interface Command {
  /** The word on the command line. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Ways to call it, without "kedge". */
  readonly usage: readonly string[];
  /** What one must know, in a few lines. */
  readonly about: string;
  /** Its options; `--json` and `--help` are added. */
  readonly options: OptionTable;
  /** A command line and what it does. */
  readonly examples: readonly (readonly [string, string])[];
  /** Exit codes that it can have besides ok, failed and misused. */
  readonly exits?: readonly ExitName[];
  /** Words that can follow the name, for completion. */
  readonly verbs?: readonly string[];
  /** Whether it only reads, so that it ends when nobody reads its output. */
  readonly reads?: Reads;
  /** Do it. Returns the exit code. */
  run(args: readonly string[], context: CommandContext): Promise<number>;
}

/** A command that is loaded when it is needed. */
export interface CommandEntry {
  /** As in {@linkcode Command}. */
  readonly name: string;
  /** As in {@linkcode Command}. */
  readonly summary: string;
  /** Section of the overview. */
  readonly section: "run" | "files" | "volumes" | "cluster" | "tools";
  /** Load its module. */
  load(): Promise<Command>;
}

/**
 * Find and run a command.
 *
 * @param entries All there are.
 * @param argv Words after the program's name.
 * @param context What the command may touch.
 * @returns The exit code.
 */
export async function runCommand(
  entries: readonly CommandEntry[],
  argv: readonly string[],
  context: CommandContext,
): Promise<number> {
  const [first = "help", ...rest] = argv;
  if (first === "--version" || first === "-V") {
    return await runCommand(entries, ["version", ...rest], context);
  }
  if (["help", "--help", "-h"].includes(first)) {
    const [topic] = rest.filter((word) => !word.startsWith("-"));
    if (topic !== undefined) {
      return await runCommand(entries, [topic, "--help"], context);
    }
    context.out.line(overview(entries));
    return argv.length === 0 ? EXIT.misused : EXIT.ok;
  }
  const entry = entries.find((known) => known.name === first);
  if (entry === undefined) {
    const guess = nearest(first, entries.map(({ name }) => name));
    context.err.line(
      `kedge: there is no command "${first}"` +
        (guess === undefined ? "" : `; did you mean "kedge ${guess}"?`),
    );
    context.err.line("See: kedge --help");
    return EXIT.misused;
  }
  return await runLoaded(await entry.load(), rest, context);
}

async function runLoaded(
  command: Command,
  args: readonly string[],
  given: CommandContext,
): Promise<number> {
  const context = forCommand(given, command.reads, args);
  const end = args.indexOf("--");
  const mine = end < 0 ? args : args.slice(0, end);
  if (mine.includes("--help") || mine.includes("-h")) {
    context.out.line(helpOf(command));
    return EXIT.ok;
  }
  try {
    return await command.run(args, context);
  } catch (error) {
    if (error instanceof ReaderGone) throw error;
    return refuse(error, command, {
      context,
      args,
      isJson: mine.includes("--json"),
    });
  }
}

function refuse(
  error: unknown,
  command: Command,
  { context, args, isJson }: {
    context: CommandContext;
    args: readonly string[];
    isJson: boolean;
  },
): number {
  const { exit, next, message } = outcomeOf(error, command, { context, args });
  if (isJson) {
    context.err.line(JSON.stringify({ error: message, next, exit }));
    return exit;
  }
  context.err.line(`kedge ${command.name}: ${message}`);
  if (next !== undefined) context.err.line(`  next: ${next}`);
  return exit;
}

function outcomeOf(
  error: unknown,
  command: Command,
  { context, args }: { context: CommandContext; args: readonly string[] },
): { exit: number; next: string | undefined; message: string } {
  if (error instanceof UsageError) {
    return {
      exit: EXIT.misused,
      message: `${error.message}\n  usage: kedge ${usageOf(command, args)}`,
      next: `kedge ${command.name} --help`,
    };
  }
  if (context.signal.aborted) {
    return { exit: EXIT.interrupted, message: "stopped", next: undefined };
  }
  if (error instanceof CliError) {
    return { exit: error.exit, message: error.message, next: error.next };
  }
  const message = context.env.KEDGE_DEBUG && error instanceof Error
    ? error.stack ?? error.message
    : messageOf(error);
  return {
    exit: EXIT.failed,
    message,
    next: context.env.KEDGE_DEBUG
      ? undefined
      : "run it again with KEDGE_DEBUG=1 to see where this comes from",
  };
}

/** The line of the verb that was meant, where lines are about verbs. */
function usageOf(
  { usage }: Command,
  args: readonly string[],
): string | undefined {
  const line = (verb: string) =>
    usage.find((each) => each.split(" ")[1]?.split("|").includes(verb));
  return args.map(line).find((found) => found !== undefined) ?? usage[0];
}

/** The whole help text of a command. */
export function helpOf(command: Command): string {
  const exits = new Set<ExitName>([
    "ok",
    "failed",
    "misused",
    ...command.exits ?? [],
  ]);
  return [
    `kedge ${command.name}: ${command.summary}`,
    "",
    ...command.usage.map((line, index) =>
      `${index === 0 ? "Usage: " : "       "}kedge ${line}`
    ),
    "",
    command.about,
    "",
    "Options:",
    ...optionLines({ ...command.options, ...COMMON }),
    "",
    "Examples:",
    ...command.examples.flatMap(([line, meaning]) => [
      `  ${line}`,
      `      ${meaning}`,
    ]),
    "",
    "Exit codes:",
    ...[...exits].map((name) => `  ${EXIT[name]}  ${EXIT_MEANINGS[name]}`),
  ].join("\n");
}

function optionLines(table: OptionTable): string[] {
  const rows = Object.entries(table).map(([name, option]) =>
    [head(name, option), tail(option)] as const
  );
  const width = Math.min(30, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) =>
    left.length > width
      ? `  ${left}\n  ${" ".repeat(width)}  ${right}`
      : `  ${left.padEnd(width)}  ${right}`
  );
}

function head(name: string, { short, value, kind }: Option): string {
  const long = kind === "flag" ? `--${name}` : `--${name} ${value ?? "TEXT"}`;
  return (short === undefined ? "    " : `-${short}, `) + long;
}

function tail({ help, fallback, kind }: Option): string {
  return help + (kind === "list" ? " (may be repeated)" : "") +
    (fallback === undefined ? "" : ` (default ${fallback})`);
}

const SECTIONS = {
  run: "Run it",
  files: "Files",
  volumes: "Mirrored volumes",
  cluster: "Look after it",
  tools: "Tools",
} as const;

function overview(entries: readonly CommandEntry[]): string {
  const width = Math.max(...entries.map(({ name }) => name.length)) + 2;
  const sections = Object.entries(SECTIONS).map(([section, title]) =>
    [
      `${title}:`,
      ...entries.filter((entry) => entry.section === section)
        .map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`),
    ].join("\n")
  );
  return [
    "kedge: a replicated file store. Nothing acknowledged is ever lost.",
    "",
    "Usage: kedge COMMAND [options]",
    "",
    sections.join("\n\n"),
    "",
    "First steps:",
    "  kedge start                 a tracker and two agents on this machine",
    "  kedge upload photo.jpg      prints the file ID",
    "  kedge download ID           reads it back, from any replica",
    "",
    "Every command has --help and --json. Clients find the tracker by",
    "--tracker, KEDGE_TRACKER, ./kedge-data, or http://127.0.0.1:8080.",
  ].join("\n");
}
