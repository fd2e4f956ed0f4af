/** What `kedge config import` prints. Pure. */

import {
  type ConfFile,
  type ConfKind,
  type FastdfsSettings,
  type KeyFinding,
  problemText,
  type RunAs,
  SECRET_SETTING,
} from "@kedge/schema/fastdfs-conf";
import { plainText, tableLines } from "../text/table.ts";
import type { LoadedFastdfs } from "./load_fastdfs.ts";
import { runAsWords } from "./run_as_core.ts";

/**
 * What one key becomes, as text: settings with their values where they have
 * them.
 */
export function becomes(
  { row, value, kind }: KeyFinding,
  settings: FastdfsSettings,
): string {
  if (value === "") return "– (empty)";
  const { agent, tracker } = settings;
  const targets = (row.to ?? []).flatMap((target) => {
    if ("agent" in target) {
      // Another file may win.
      const said = agent[target.agent];
      return said === undefined ? [] : [`${target.agent} = ${said}`];
    }
    const said = tracker[target.tracker];
    return said === undefined ? [] : [`${target.tracker}=${said}`];
  });
  if (row.to !== undefined) {
    return targets.length > 0 ? targets.join(", ") : "– (does not count here)";
  }
  const words = typeof row.becomes === "string"
    ? row.becomes
    : row.becomes?.[kind] ?? "";
  if (!/^(`\w+`(, )?)+$/.test(words)) return words.replaceAll("`", "");
  return words.replaceAll("`", "").split(", ").map((name) =>
    tracker[name] !== undefined
      ? `${name}=${tracker[name]}`
      : `${name} = ${agent[name] ?? "–"}`
  ).join(", ");
}

/** Why a key becomes nothing, or what to do instead. */
export function sayOf({ row, fate }: KeyFinding): string {
  return row.fate === fate ? row.say : "asks for nothing";
}

/** Commands that start what the files describe. */
export function startCommands(
  files: readonly ConfFile[],
  { agent, tracker, runAs }: FastdfsSettings,
): string[] {
  const flags = (kinds: readonly ConfKind[]) =>
    files.filter(({ kind, findings }) =>
      kinds.includes(kind) && findings.some(({ fate }) => fate === "mapped")
    )
      .map(({ file }) => `--fastdfs-conf ${file}`).join(" ");
  const kedge = (words: RunAs) => [...runAsWords(words), "kedge"].join(" ");
  const trackerLines = [
    "(umask 077; head -c 33 /dev/urandom | base64 > admin.key)",
    `${kedge(runAs.tracker)} tracker ${
      flags(["tracker"])
    } --admin-key-file admin.key`,
  ];
  const agentLines = [
    `kedge token create --tracker ${agent.tracker} --key-file admin.key --group ${
      agent.group ?? "group1"
    } --create-group > token`,
    `${kedge(runAs.agent)} agent ${
      flags(["storage", "tracker", "http", "mod"])
    } --token-file token`,
  ];
  return [
    ...(Object.keys(tracker).length > 0 ? trackerLines : []),
    ...(Object.keys(agent).length > 0 ? agentLines : []),
  ];
}

/** Settings as they may be shown. */
export function shown(settings: FastdfsSettings): FastdfsSettings {
  const { agent } = settings;
  if (agent[SECRET_SETTING] === undefined) return settings;
  return { ...settings, agent: { ...agent, [SECRET_SETTING]: "(not shown)" } };
}

/** The report, for people. */
export function reportLines(loaded: LoadedFastdfs): string[] {
  const { conf, problems } = loaded;
  const settings = shown(loaded.settings);
  const { agent, tracker, hints } = settings;
  return [
    ...conf.files.flatMap((file) => fileLines(file, settings)),
    ...section(
      "Settings of the agent (the same names as in its --config file):",
      Object.entries(agent).map(([name, value]) =>
        `${name} = ${Array.isArray(value) ? value.join(", ") : value}`
      ),
    ),
    ...section(
      "Environment of the tracker:",
      Object.entries(tracker).map(([name, value]) => `${name}=${value}`),
    ),
    ...section("FastDFS skips these lines, and so is done here:", [
      ...conf.notes.map(problemText),
    ]),
    ...section("To know:", hints),
    ...(problems.length > 0
      ? section("These must be mended first:", problems.map(problemText))
      : section("Start it:", startCommands(conf.files, settings))),
  ].map(plainText);
}

function fileLines(
  { file, kind, findings }: ConfFile,
  settings: FastdfsSettings,
): string[] {
  const mapped = findings.filter(({ fate }) => fate === "mapped");
  const refused = findings.filter(({ fate }) => fate === "refused");
  const unneeded = Map.groupBy(
    findings.filter(({ fate }) => fate === "unneeded"),
    sayOf,
  );
  return [
    `${file} (${kind}): ${mapped.length} mapped, ${
      findings.length - mapped.length - refused.length
    } not needed, ${refused.length} refused`,
    ...tableLines(
      ["LINE›", "KEY", "VALUE", "BECOMES"],
      mapped.map((finding) => [
        String(finding.line),
        finding.key,
        finding.written,
        becomes(finding, settings),
      ]),
    ).map((line) => `  ${line}`),
    ...section(
      "  Not needed:",
      [...unneeded].map(([say, rows]) =>
        `  ${rows.map(({ key }) => key).join(", ")}: ${say.replaceAll("`", "")}`
      ),
    ),
    "",
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  return [title, ...lines.map((line) => `  ${line}`), ""];
}
