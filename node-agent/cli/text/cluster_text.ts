/**
 * Groups and nodes as people read them: who is alive, in sync, behind, full.
 * Pure.
 *
 * @module
 */

import type { GroupView, Heartbeat, NodeView } from "@kedge/schema";
import { hexByte } from "@kedge/schema/file-id";
import { replicationLines } from "./replication_text.ts";
import { plainText, tableLines } from "./table.ts";
import { agoText, countText, durationText, sizeText } from "./units.ts";

/** Digits of a root hash that are shown. */
const SHORT_HASH_LENGTH = 8;

/** One word for the state of a node, worst first. */
export function nodeState(node: NodeView): string {
  if (!node.alive) return "DOWN";
  // It left the set because of it, so this says more than "catching up".
  const isHurt = node.report?.storePaths.some(({ state }) =>
    state === "fenced" || state === "missing"
  );
  if (isHurt) return "disk fault";
  if (!node.insync) return "catching up";
  if (node.mode !== "active") return node.mode;
  const isFull = node.report?.storePaths.every(({ state }) => state === "full");
  return isFull === true ? "full" : "in sync";
}

/** Whether everything about a group is as it should be. */
export function isHealthy(group: GroupView): boolean {
  return group.writable && group.nodes.length > 0 &&
    group.nodes.every((node) =>
      nodeState(node) === "in sync" && node.report?.alarms.length === 0 &&
      node.agreement !== "differs"
    );
}

/** The table of nodes. */
export function nodeLines(
  nodes: readonly NodeView[],
  columns?: number,
): string[] {
  const head = [
    "NODE›",
    "GROUP",
    "STATE",
    "SEEN›",
    "BEHIND›",
    "FILES›",
    "FREE›",
    "SIZE›",
    "HASH",
    "URL",
  ];
  const rows = nodes.map((node) => {
    const { free, total } = space(node.report);
    return [
      String(node.node),
      node.group,
      nodeState(node),
      agoText(node.silentMs),
      node.lagChanges === 0 ? "-" : String(node.lagChanges),
      String(node.report?.fileCount ?? "-"),
      node.report === null ? "-" : sizeText(free),
      node.report === null ? "-" : sizeText(total),
      hashText(node),
      plainText(node.report?.url ?? "-"),
    ];
  });
  return tableLines(head, rows, columns);
}

/** The table of groups. */
export function groupLines(
  groups: readonly GroupView[],
  columns?: number,
): string[] {
  const packs = groups.some(({ smallFileMax }) => smallFileMax !== undefined);
  const head = [
    "GROUP",
    "STATE",
    "LEVEL",
    ...(packs ? ["PACKS TO›"] : []),
    "NODES›",
    "IN SYNC›",
    "EPOCH›",
    "FREE›",
    "SIZE›",
    "SAME FILES",
  ];
  const rows = groups.map((group) => [
    group.register.group,
    groupState(group),
    group.level,
    ...(packs ? [packsText(group)] : []),
    String(group.register.members.length),
    String(group.register.insync.length),
    String(group.register.epoch),
    sizeText(group.freeBytes),
    sizeText(group.totalBytes),
    sameText(group),
  ]);
  return tableLines(head, rows, columns);
}

/** Largest file that is packed; "own": each agent has its own setting. */
function packsText({ smallFileMax }: GroupView): string {
  if (smallFileMax === undefined) return "own";
  return smallFileMax === 0 ? "off" : sizeText(smallFileMax);
}

/** Everything on one screen. */
export function statusLines(
  groups: readonly GroupView[],
  columns?: number,
): string[] {
  if (groups.length === 0) {
    return ["There is no group yet: kedge token create, then kedge agent …"];
  }
  const nodes = groups.flatMap((group) => group.nodes);
  const notes = nodes.flatMap(noteLines);
  return [
    verdictLine(groups),
    "",
    ...groupLines(groups, columns),
    "",
    ...nodeLines(nodes, columns),
    ...(notes.length > 0 ? ["", ...notes] : []),
  ];
}

/** One sentence about everything. */
export function verdictLine(groups: readonly GroupView[]): string {
  const nodes = groups.flatMap((group) => group.nodes);
  const down = nodes.filter((node) => !node.alive);
  const behind = nodes.filter((node) => node.alive && !node.insync);
  const aside = nodes.filter((node) =>
    node.alive && node.insync && node.mode !== "active"
  );
  const shut = groups.filter((group) => !group.writable);
  const parts = [
    ...shut.map((group) => `${group.register.group} takes no uploads`),
    ...(down.length > 0 ? [`${countText(down.length, "node")} down`] : []),
    ...(behind.length > 0
      ? [`${countText(behind.length, "node")} catching up`]
      : []),
  ];
  for (const { node, mode } of aside) parts.push(`node ${node} is ${mode}`);
  const alarms = nodes.reduce(
    (sum, { report }) => sum + (report?.alarms.length ?? 0),
    0,
  );
  const different = nodes.filter(({ agreement }) => agreement === "differs");
  if (different.length > 0) parts.push("members differ");
  if (alarms > 0) parts.push(countText(alarms, "alarm"));
  return parts.length > 0
    ? `NOT WELL: ${parts.join(", ")}`
    : `All is well: ${countText(nodes.length, "node")} in ${
      countText(groups.length, "group")
    }, all in sync`;
}

function groupState(group: GroupView): string {
  if (!group.writable) return "NO UPLOADS";
  return isHealthy(group) ? "ok" : "degraded";
}

function noteLines(view: NodeView): string[] {
  const { node, report } = view;
  const absent = view.alive ? [] : [
    `node ${node}: does not report; start its agent`,
    `    gone for good? kedge node remove ${node}`,
  ];
  if (report === null || !view.alive) return absent;
  const disks = report.storePaths.flatMap(({ index, state, reason }) => {
    if (state === "writable") return [];
    const name = `M${hexByte(index)}`;
    const why = reason === undefined ? "" : `: ${plainText(reason)}`;
    const isHurt = state === "fenced" || state === "missing";
    return [
      `node ${node}: store path ${name} is ${state}${why}`,
      ...(isHurt
        ? [
          `    mended, or replaced by an empty disk? kedge node open-path ${node} ${name}`,
        ]
        : []),
    ];
  });
  // The lines above say it already, and what to do.
  const alarms = report.alarms.map(plainText)
    .filter((alarm) =>
      !report.storePaths.some(({ index, state }) =>
        state !== "writable" &&
        alarm.includes(`store path M${hexByte(index)} is ${state}`)
      )
    )
    .map((alarm) => `node ${node}: ${alarm}`);
  const scrub = report.scrub === null
    ? []
    : [`node ${node}: ${scrubText(report.scrub)}`];
  return [...disks, ...alarms, ...replicationLines(view), ...scrub];
}

/** The root hash of a node, shortened, and what it says. */
function hashText({ report, agreement }: NodeView): string {
  const hash = report?.root?.hash.slice(0, SHORT_HASH_LENGTH);
  if (hash === undefined) return "-";
  if (agreement === "differs") return `${hash} DIFFERS`;
  return agreement === "behind" ? `${hash} …` : hash;
}

/** Whether all members hold the same files. */
function sameText({ nodes }: GroupView): string {
  const verdicts = nodes.map(({ agreement }) => agreement);
  if (verdicts.includes("differs")) return "NO";
  if (verdicts.includes("behind")) return "not quiet";
  const hash = nodes.find(({ agreement }) => agreement === "same")
    ?.report?.root?.hash.slice(0, SHORT_HASH_LENGTH);
  if (hash === undefined) return "-";
  const count = verdicts.filter((verdict) => verdict === "same").length;
  return count === nodes.length ? hash : `${hash} on ${count}/${nodes.length}`;
}

/** Progress of a scrub. */
export function scrubText(scrub: NonNullable<Heartbeat["scrub"]>): string {
  const { checkedBytes, totalBytes, repaired, damaged, etaS } = scrub;
  const share = totalBytes === 0
    ? 100
    : Math.floor(100 * checkedBytes / totalBytes);
  const eta = etaS === null ? "" : `, ETA ${durationText(etaS * 1000)}`;
  return `scrub ${share} % of ${sizeText(totalBytes)}${eta}; ` +
    `${repaired} repaired, ${damaged} damaged`;
}

function space(report: Heartbeat | null): { free: number; total: number } {
  let [free, total] = [0, 0];
  for (const path of report?.storePaths ?? []) {
    free += path.freeBytes;
    total += path.totalBytes;
  }
  return { free, total };
}
