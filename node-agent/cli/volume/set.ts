/**
 * `kedge volume set NAME OPTION=VALUE…`: write options into the configuration,
 * and let the volume run on with them.
 *
 * @module
 */

import {
  editOptions,
  OPTION_TABLES,
  type OptionChange,
  ParseError,
  resolveResource,
  type ResourceConfig,
} from "@kedge/schema/drbd-conf";
import { differences } from "../drbdadm/adjust_core.ts";
import { identityOf, loadConf } from "../drbdadm/config.ts";
import { CliError, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { nearest } from "../nearest.ts";
import { adjustVolume, type ConfigCall, configPath } from "./create.ts";

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
  const { file } = before.definedAt;
  const old = await Deno.readTextFile(file);
  const text = editOptions(old, { file, resource: name }, changes);
  if (text === undefined) {
    throw new CliError(
      `cannot find "resource ${name} {" in ${file}`,
      'change the file by hand, then "kedge volume adjust"',
    );
  }
  const after = resourceIn(path, name, call, new Map([[file, text]]));
  const { err } = call.context;
  const changed = differences(before, after);
  if (changed.length === 0) {
    err.line(
      text === old
        ? `${file} says so already`
        : `${file} changes, but not what counts: it is so already, or a ` +
          "section of a volume or a connection says otherwise",
    );
  }
  if (text !== old) await replaceFile(file, text);
  for (const line of changed) err.line(line);
  const words = changes.map((each) => `${each.name}=${each.value ?? ""}`);
  if (text !== old) {
    err.line(
      `written: ${file}; the other host needs the same: ` +
        `kedge volume set ${name} ${words.join(" ")}`,
    );
  }
  if (!call.isRunning) return EXIT.ok;
  const exit = await adjustVolume(name, call);
  if (exit === EXIT.ok) return exit;
  throw new CliError(
    `${file} says it now, but ${name} runs on as before: see above`,
    `"kedge volume adjust ${name}" tries again`,
  );
}

/** What the configuration comes to; refuses what the parser refuses. */
function resourceIn(
  path: string,
  resourceName: string,
  { values, context }: ConfigCall,
  instead: ReadonlyMap<string, string> = new Map(),
): ResourceConfig {
  try {
    const conf = loadConf(path, false, instead);
    const identity = identityOf(values.host, context.env);
    return resolveResource(conf, { ...identity, resourceName });
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new CliError(
      instead.size === 0
        ? error.message
        : `nothing was changed, the configuration would be wrong:\n${error.message}`,
    );
  }
}

/** Whole or not at all, with the rights that it had. */
async function replaceFile(path: string, text: string): Promise<void> {
  const real = await Deno.realPath(path);
  const { mode, uid, gid } = await Deno.stat(real);
  const fresh = `${real}.new`;
  await Deno.writeTextFile(fresh, text, { mode: 0o600 });
  if (uid !== null && gid !== null) await Deno.chown(fresh, uid, gid);
  if (mode !== null) await Deno.chmod(fresh, mode & 0o7777);
  using file = await Deno.open(fresh, { write: true });
  await file.sync();
  await Deno.rename(fresh, real);
}
