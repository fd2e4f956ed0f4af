/**
 * From the agents of this machine and the groups of a tracker to a plan.
 *
 * @module
 */

import type { GroupView } from "@kedge/schema";
import { CliError } from "../errors.ts";
import type { AgentHere } from "./agents_here.ts";
import type { NginxGroup, NginxPlan, ServeMode } from "./plan.ts";

/** What there is to serve. */
export interface Found {
  readonly here: readonly AgentHere[];
  /** What a tracker knows, or why it was not told. */
  readonly groups: readonly GroupView[] | string;
  /** What was asked for; by the settings when missing. */
  readonly mode: ServeMode | undefined;
}

/**
 * Decide who serves what.
 *
 * @throws {CliError} When there is nobody to ask, or files would be served that
 * must not be.
 */
export function planGroups(
  { here, groups, mode: wanted }: Found,
): Pick<NginxPlan, "mode" | "groups" | "notes"> {
  const needsLinks = here.some((agent) => agent.needsLinks);
  const mode = wanted ?? (needsLinks ? "accel" : "direct");
  if (mode === "direct" && needsLinks) {
    throw new CliError(
      "Downloads need links here, and with --serve direct nobody would check them",
      "leave --serve away, or use --serve accel",
    );
  }
  const names = new Set([
    ...here.map(({ group }) => group),
    ...listed(groups).map(({ register }) => register.group),
  ]);
  if (names.size === 0) {
    throw new CliError(
      "Cannot find any agent: no settings, no `kedge start` and no tracker",
      "name the settings of the agent with --agent FILE",
    );
  }
  const found = [...names].sort().map((name) =>
    groupPlan(name, { here, groups, mode })
  ).filter(({ agents }) => agents.length > 0);
  for (const group of found) checkPaths(group);
  return { mode, groups: found, notes: notesOf(found, groups, mode) };
}

function groupPlan(
  name: string,
  { here, groups, mode }: Found & { readonly mode: ServeMode },
): NginxGroup {
  const mine = here.filter(({ group }) => group === name);
  const own = new Set(mine.map(({ url }) => url));
  const view = listed(groups).find(({ register }) => register.group === name);
  const others = (view?.nodes ?? []).flatMap(({ report }) => report?.url ?? [])
    .filter((url) => !own.has(url));
  const [first] = mode === "direct"
    ? mine.filter(({ linksDir }) => linksDir !== undefined)
    : mine;
  return {
    name,
    agents: [
      // The one whose files nginx serves knows them best: it is asked first.
      ...(first === undefined ? [] : [{ url: first.url, isHere: true }]),
      ...mine.filter((agent) => agent !== first)
        .map(({ url }) => ({ url, isHere: first === undefined })),
      ...others.map((url) => ({ url, isHere: false })),
    ],
    files: first &&
      { node: first.node, linksDir: first.linksDir, folders: first.folders },
  };
}

function listed(groups: Found["groups"]): readonly GroupView[] {
  return typeof groups === "string" ? [] : groups;
}

/** What nginx would read as something else. */
function checkPaths({ files }: NginxGroup): void {
  for (const path of [files?.linksDir ?? "", ...files?.folders ?? []]) {
    // deno-lint-ignore no-control-regex -- line ends would end a directive
    if (!/[$\x00-\x1f\x7f]/.test(path)) continue;
    throw new CliError(
      `nginx cannot be given the folder "${path}": it has a $ or a control character`,
      "rename the folder",
    );
  }
}

function notesOf(
  found: readonly NginxGroup[],
  groups: Found["groups"],
  mode: ServeMode,
): string[] {
  const far = found.filter(({ files }) => files === undefined);
  return [
    ...(typeof groups === "string"
      ? [`Agents on other machines are missing here: ${groups}`]
      : []),
    ...far.map(({ name }) =>
      mode === "direct"
        ? `${name}: no agent here gives leave (\`nginx_dir\`); agents are asked for every file.`
        : `${name}: no agent on this machine; agents send every file.`
    ),
  ];
}
