/**
 * `kedge volume set NAME OPTION=VALUE…`: write options into the configuration,
 * and let the volume run on with them.
 *
 * @module
 */

import {
  type ConfWarning,
  type DrbdConf,
  editOptions,
  formatFinding,
  type OptionChange,
  ParseError,
  resolveResource,
  type ResourceConfig,
} from "@kedge/schema/drbd-conf";
import { differences } from "../drbdadm/adjust_core.ts";
import type { Output } from "../context.ts";
import { identityOf, loadConf } from "../drbdadm/config.ts";
import { loadIsKnownDigest } from "../mirror_module.ts";
import { shellWord } from "../drbdadm/setup_lines.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { tableLines } from "../text/table.ts";
import { adjustVolume, type ConfigCall, configPath } from "./create.ts";
import { editFile } from "./edit_file.ts";
import {
  changeLines,
  originLines,
  type SaidSetting,
  saidSettings,
} from "./said_settings.ts";
import { refuseUnknownAfter, refuseUnknownDigests } from "./set_words.ts";

/** What came of it, for `--json`. */
export interface SetReport {
  /** File that the resource stands in. */
  readonly file: string;
  /** Whether the file was changed. */
  readonly written: boolean;
  /** What the resource runs by otherwise, as `OPTION: OLD -> NEW`. */
  readonly changed: readonly string[];
  /** Warnings that were not there before. */
  readonly warnings: readonly string[];
  /** Who says the options now. */
  readonly options: readonly SaidSetting[];
}

/** A way out, and what came of it. */
export interface SetEnd {
  readonly exit: number;
  readonly report: SetReport;
}

/** Change the file; then adjust, if it runs here. */
export async function setOptions(
  name: string,
  changes: readonly OptionChange[],
  call: ConfigCall & { readonly isRunning: boolean },
): Promise<SetEnd> {
  const path = configPath(call);
  const before = resourceIn(path, name, call);
  const { file } = before.config.definedAt;
  refuseUnknownAfter(before.conf, name, changes);
  refuseUnknownDigests(changes, await loadIsKnownDigest());
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
  const report = reportOf(changes, {
    file,
    written: edited.after !== edited.before,
    before,
    after,
  });
  tell(call.context.err, { name, changes, report });
  if (!call.isRunning) return { exit: EXIT.ok, report };
  const exit = await adjustVolume(name, call);
  if (exit === EXIT.ok) return { exit, report };
  throw new CliError(
    `${file} says it now, but ${name} runs on as before: see above`,
    `"kedge volume adjust ${name}" tries again`,
  );
}

/** Say what is said for a resource, and by whom. */
export function showOptions(name: string, call: ConfigCall): void {
  const { said } = resourceIn(configPath(call), name, call);
  const { out } = call.context;
  if (call.values.json) return out.line(JSON.stringify(said));
  const rows = said.map((each) => [
    each.name,
    each.value,
    each.counts ? each.level : `${each.level}, not in use`,
    `${each.file}:${each.line}`,
  ]);
  const lines = rows.length === 0
    ? [`${name} has the defaults only`]
    : tableLines(["OPTION", "VALUE", "SAID BY", "FILE"], rows, out.columns);
  lines.forEach((line) => out.line(line));
}

function reportOf(
  changes: readonly OptionChange[],
  { file, written, before, after }: {
    readonly file: string;
    readonly written: boolean;
    readonly before: Resolved;
    readonly after: Resolved;
  },
): SetReport {
  return {
    file,
    written,
    changed: differences(before.config, after.config).length === 0
      ? []
      : changeLines(changes, before.said, after.said),
    warnings: after.warnings.filter((warning) =>
      !before.warnings.some(({ text }) => text === warning.text)
    ).map(formatFinding),
    options: after.said.filter((said) =>
      changes.some(({ section, name }) =>
        section === said.section && name === said.name
      )
    ),
  };
}

/** What changed, what is odd about it now, and what is left to do. */
function tell(
  err: Output,
  { name, changes, report }: {
    readonly name: string;
    readonly changes: readonly OptionChange[];
    readonly report: SetReport;
  },
): void {
  const { file, written, changed } = report;
  if (changed.length === 0) {
    err.line(
      written
        ? `${file} changes, but not what counts`
        : `${file} says so already`,
    );
  }
  for (const line of changed) err.line(line);
  for (const change of changes) {
    originLines(name, change, report.options).forEach((each) => err.line(each));
  }
  for (const warning of report.warnings) err.line(`${warning} (warning)`);
  if (!written) return;
  const words = changes.map((each) =>
    shellWord(`${each.name}=${each.value ?? ""}`)
  );
  err.line(
    `written: ${file}; the other host needs the same: ` +
      `kedge volume set ${name} ${words.join(" ")}`,
  );
}

interface Resolved {
  readonly conf: DrbdConf;
  readonly config: ResourceConfig;
  readonly warnings: readonly ConfWarning[];
  readonly said: readonly SaidSetting[];
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
    const said = saidSettings(conf, resourceName, identity.host);
    return { conf, config, warnings: conf.warnings, said };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new CliError(
      instead.size === 0
        ? error.message
        : `nothing was changed, the configuration would be wrong:\n${error.message}`,
    );
  }
}
