/**
 * `kedge volume set NAME OPTION=VALUE…`: write options into the configuration,
 * and let the volume run on with them.
 *
 * @module
 */

import {
  type ConfWarning,
  editOptions,
  formatFinding,
  OPTION_TABLES,
  type OptionChange,
  ParseError,
  resolveResource,
  type ResourceConfig,
} from "@kedge/schema/drbd-conf";
import { differences } from "../drbdadm/adjust_core.ts";
import type { Output } from "../context.ts";
import { identityOf, loadConf } from "../drbdadm/config.ts";
import { shellWord } from "../drbdadm/setup_lines.ts";
import { CliError, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { nearest } from "../nearest.ts";
import { adjustVolume, type ConfigCall, configPath } from "./create.ts";
import { editFile } from "./edit_file.ts";

/** Sections that a running volume takes; of equal names the first counts. */
const SECTIONS = ["net", "disk", "options", "handlers"] as const;
/** Command lines are seen by everybody on the host. */
const SECRET = "shared-secret";

/**
 * Read `OPTION=VALUE`; without a value the option goes.
 *
 * @throws {UsageError} With the nearest option that there is.
 */
export function changeOf(word: string): OptionChange {
  const [name = "", ...rest] = word.split("=");
  const value = rest.join("=");
  if (rest.length === 0) {
    throw new UsageError(`Say ${word}=VALUE, or ${word}= for the default`);
  }
  if (/[\n\r\0]/.test(value)) throw new UsageError(`${name}: one line only`);
  if (name === SECRET) {
    throw new UsageError(
      `${SECRET} is not for a command line: write it into the file, then ` +
        '"kedge volume adjust"',
    );
  }
  const section = SECTIONS.find((each) => OPTION_TABLES[each].has(name));
  if (section !== undefined) {
    return { section, name, value: value === "" ? undefined : value };
  }
  const all = SECTIONS.flatMap((each) => [...OPTION_TABLES[each].keys()]);
  const guess = nearest(name, all);
  throw new UsageError(
    `There is no option "${name}"` +
      (guess === undefined ? "" : `; did you mean ${guess}?`),
  );
}

/** Change the file; then adjust, if it runs here. */
export async function setOptions(
  name: string,
  changes: readonly OptionChange[],
  call: ConfigCall & { readonly isRunning: boolean },
): Promise<number> {
  if (changes.length === 0) throw new UsageError("Missing OPTION=VALUE");
  const path = configPath(call);
  const before = resourceIn(path, name, call);
  const { file } = before.config.definedAt;
  let after = before;
  const edited = await editFile(file, (old) => {
    const text = editOptions(old, { file, resource: name }, changes);
    if (text === undefined) {
      throw new CliError(
        `cannot find "resource ${name} {" in ${file}`,
        'change the file by hand, then "kedge volume adjust"',
      );
    }
    after = resourceIn(path, name, call, new Map([[file, text]]));
    return text;
  });
  const isWritten = edited.after !== edited.before;
  tell(call.context.err, { file, name, changes, isWritten, before, after });
  if (!call.isRunning) return EXIT.ok;
  const exit = await adjustVolume(name, call);
  if (exit === EXIT.ok) return exit;
  throw new CliError(
    `${file} says it now, but ${name} runs on as before: see above`,
    `"kedge volume adjust ${name}" tries again`,
  );
}

/** What changed, what is odd about it now, and what is left to do. */
function tell(
  err: Output,
  { file, name, changes, isWritten, before, after }: {
    readonly file: string;
    readonly name: string;
    readonly changes: readonly OptionChange[];
    readonly isWritten: boolean;
    readonly before: Resolved;
    readonly after: Resolved;
  },
): void {
  const changed = differences(before.config, after.config);
  if (changed.length === 0) {
    err.line(
      isWritten
        ? `${file} changes, but not what counts: it is so already, or a ` +
          "section of a volume or a connection says otherwise"
        : `${file} says so already`,
    );
  }
  for (const line of changed) err.line(line);
  for (const warning of after.warnings) {
    const isOld = before.warnings.some(({ text }) => text === warning.text);
    if (!isOld) err.line(`${formatFinding(warning)} (warning)`);
  }
  if (!isWritten) return;
  const words = changes.map((each) =>
    shellWord(`${each.name}=${each.value ?? ""}`)
  );
  err.line(
    `written: ${file}; the other host needs the same: ` +
      `kedge volume set ${name} ${words.join(" ")}`,
  );
}

interface Resolved {
  readonly config: ResourceConfig;
  readonly warnings: readonly ConfWarning[];
}

/** What the configuration comes to; refuses what the parser refuses. */
function resourceIn(
  path: string,
  resourceName: string,
  { values, context }: ConfigCall,
  instead: ReadonlyMap<string, string> = new Map(),
): Resolved {
  try {
    const conf = loadConf(path, false, instead);
    const identity = identityOf(values.host, context.env);
    const config = resolveResource(conf, { ...identity, resourceName });
    return { config, warnings: conf.warnings };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new CliError(
      instead.size === 0
        ? error.message
        : `nothing was changed, the configuration would be wrong:\n${error.message}`,
    );
  }
}
