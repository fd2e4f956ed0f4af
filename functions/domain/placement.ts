/**
 * Where an upload goes: which group, which node, which store path. Pure.
 *
 * Two steps. {@linkcode uploadTargets} keeps what may take an upload at all and
 * runs once per reading of the KV; {@linkcode place} chooses among it for each
 * request. Names and meaning of the policies are FastDFS's `store_lookup`,
 * `store_server`, `store_path` and `reserved_storage_space`.
 *
 * A node takes uploads when it is in sync, alive, `active`, and has a writable
 * store path. A file lies on the same store path on every member, so a path has
 * the room of the member in sync that has least; paths that are writable on
 * every member in sync are preferred over those writable on some.
 *
 * @module
 */

import type { GroupSettings, Heartbeat, NodeId } from "@kedge/schema";
import type { TrackerConfig } from "@kedge/schema/config/tracker";
import type { Reserve } from "@kedge/schema/config/units";
import type { GroupState, MemberState } from "./cluster.ts";
import { type Draw, drawBest, drawByKey, drawOne } from "./draw.ts";
import { roomOf } from "./space.ts";

/** The policies that placement obeys. */
export type PlacementPolicy = Pick<
  TrackerConfig,
  "storeLookup" | "storeGroup" | "storeServer" | "storePath"
>;

/** A store path that may take an upload. */
export interface PathTarget {
  /** `M00` is 0. */
  readonly index: number;
  /** Room on the member in sync that has least, in bytes. */
  readonly freeBytes: number;
  /** Whether every member in sync can write there. */
  readonly everywhere: boolean;
}

/** A node that may take an upload. */
export interface NodeTarget {
  /** Which node. */
  readonly node: NodeId;
  /** Base URL of its HTTP door. */
  readonly url: string;
  /** Where peers reach it: what `first_by_ip` sorts by. */
  readonly host: string;
  /** Lower is first for `first_by_priority`. */
  readonly uploadPriority: number;
  /** Where it can write. */
  readonly paths: readonly PathTarget[];
}

/** A group that may take an upload. */
export interface GroupTarget {
  /** Its name. */
  readonly group: string;
  /** What operators chose. */
  readonly settings: GroupSettings;
  /** Nodes that may take it, in the order of `first_by_ip`. */
  readonly nodes: readonly NodeTarget[];
  /** Room of its fullest member: what `load_balance` compares. */
  readonly freeBytes: number;
}

/** What a client asks for. */
export interface PlaceRequest {
  /** Length of the file, in bytes, if known. */
  readonly sizeBytes?: number | undefined;
  /** Group that it wants. */
  readonly group?: string | undefined;
  /** `Idempotency-Key`: equal keys are placed at the same node. */
  readonly key?: string | undefined;
}

/** Where to upload, or why nowhere. */
export type Placement =
  | {
    readonly ok: true;
    readonly group: GroupTarget;
    readonly node: NodeTarget;
    readonly pathIndex: number;
  }
  | { readonly ok: false; readonly why: "nobody" | "no-room" | "too-large" };

/**
 * Keep the groups, nodes and paths that may take uploads.
 *
 * @param groups All groups.
 * @param reserve `reserved_storage_space`.
 * @returns Only groups with at least one node with at least one path; paths
 * without room are kept, so that "full" and "nobody there" differ.
 */
export function uploadTargets(
  groups: readonly GroupState[],
  reserve: Reserve,
): GroupTarget[] {
  return groups.map((group) => groupTarget(group, reserve))
    .filter(({ nodes }) => nodes.length > 0);
}

/** Whether any path of any node has room for at least one byte. */
export function isWritable(targets: readonly GroupTarget[]): boolean {
  return targets.some(({ nodes }) => nodes.some((node) => hasRoom(node, 1)));
}

/**
 * Choose where one upload goes.
 *
 * @param targets From {@linkcode uploadTargets}.
 * @param request What the client asks for.
 * @param policy How to choose.
 * @param draw Random numbers for round robin.
 * @returns A group, node and path with room for the file, or why there is none:
 * `nobody` can take uploads, or nobody has the room, or no group allows the size.
 */
export function place(
  targets: readonly GroupTarget[],
  request: PlaceRequest,
  options: { readonly policy: PlacementPolicy; readonly draw: Draw },
): Placement {
  const { policy, draw } = options;
  const choosing = { policy, draw, key: request.key };
  const size = request.sizeBytes ?? 0;
  const wanted = request.group ??
    (policy.storeLookup === "specified_group" ? policy.storeGroup : undefined);
  const known = wanted === undefined
    ? targets
    : targets.filter(({ group }) => group === wanted);
  if (known.length === 0) return { ok: false, why: "nobody" };
  const allowed = known.filter(({ settings }) => size <= settings.fileBytesMax);
  if (allowed.length === 0) return { ok: false, why: "too-large" };
  const group = chooseGroup(
    allowed.filter((target) => target.nodes.some((n) => hasRoom(n, size))),
    choosing,
  );
  if (group === undefined) return { ok: false, why: "no-room" };
  const node = chooseNode(
    group.nodes.filter((target) => hasRoom(target, size)),
    choosing,
  );
  const path = node &&
    choosePath(node.paths.filter((p) => fits(p, size)), policy, draw);
  if (node === undefined || path === undefined) {
    return { ok: false, why: "no-room" };
  }
  return { ok: true, group, node, pathIndex: path.index };
}

interface Choosing {
  readonly policy: PlacementPolicy;
  readonly draw: Draw;
  readonly key: string | undefined;
}

function chooseGroup(
  groups: readonly GroupTarget[],
  { policy, draw, key }: Choosing,
): GroupTarget | undefined {
  if (key !== undefined) {
    // The emptiest group is another one after each upload; shares by room
    // balance as well, and a retry finds its first try.
    return drawByKey(groups, {
      key,
      nameOf: ({ group }) => group,
      weightOf: ({ freeBytes }) =>
        policy.storeLookup === "load_balance" ? freeBytes : 1,
    });
  }
  return policy.storeLookup === "load_balance"
    ? drawBest(groups, ({ freeBytes }) => freeBytes, draw)
    : drawOne(groups, draw);
}

function chooseNode(
  nodes: readonly NodeTarget[],
  { policy, draw, key }: Choosing,
): NodeTarget | undefined {
  switch (policy.storeServer) {
    case "round_robin":
      return key === undefined
        ? drawOne(nodes, draw)
        : drawByKey(nodes, { key, nameOf: ({ node }) => node });
    case "first_by_ip":
      return nodes[0];
    case "first_by_priority":
      // Nodes are in the order of first_by_ip, which settles equal priorities.
      return nodes.reduce<NodeTarget | undefined>(
        (first, node) =>
          first === undefined || node.uploadPriority < first.uploadPriority
            ? node
            : first,
        undefined,
      );
  }
}

function choosePath(
  paths: readonly PathTarget[],
  policy: PlacementPolicy,
  draw: Draw,
): PathTarget | undefined {
  const everywhere = paths.filter((path) => path.everywhere);
  const choices = everywhere.length > 0 ? everywhere : paths;
  return policy.storePath === "load_balance"
    ? drawBest(choices, ({ freeBytes }) => freeBytes, draw)
    : drawOne(choices, draw);
}

function hasRoom(node: NodeTarget, sizeBytes: number): boolean {
  return node.paths.some((path) => fits(path, sizeBytes));
}

/** Zero bytes need room too: a full path takes nothing. */
function fits(path: PathTarget, sizeBytes: number): boolean {
  return path.freeBytes > 0 && path.freeBytes >= sizeBytes;
}

function groupTarget(group: GroupState, reserve: Reserve): GroupTarget {
  const insync = group.members.filter((member) => member.insync);
  const reports = insync.flatMap(({ report }) => report ?? []);
  const nodes = insync.flatMap((member) =>
    nodeTarget(member, group, { reports, reserve }) ?? []
  );
  return {
    group: group.register.group,
    settings: group.settings,
    nodes: nodes.sort(byAddress),
    freeBytes: Math.max(
      0,
      ...nodes.map(({ paths }) =>
        paths.reduce((sum, p) => sum + p.freeBytes, 0)
      ),
    ),
  };
}

function nodeTarget(
  { node, mode, alive, report }: MemberState,
  { register }: GroupState,
  group: { readonly reports: readonly Heartbeat[]; reserve: Reserve },
): NodeTarget | undefined {
  if (mode !== "active" || !alive || report === undefined) return undefined;
  // It waits for an operator and takes no changes (promises F15).
  if (report.gen !== null && report.gen !== register.gen) return undefined;
  const paths = report.storePaths
    .filter(({ state }) => state === "writable" || state === "full")
    .map(({ index }) => pathTarget(index, group));
  if (paths.length === 0) return undefined;
  return {
    node,
    url: report.url,
    host: report.peerAddress.hostname,
    uploadPriority: report.uploadPriority,
    paths,
  };
}

function pathTarget(
  index: number,
  group: { readonly reports: readonly Heartbeat[]; reserve: Reserve },
): PathTarget {
  const same = group.reports.map(({ storePaths }) =>
    storePaths.find((path) => path.index === index)
  );
  const usable = same.flatMap((path) =>
    path !== undefined && (path.state === "writable" || path.state === "full")
      ? path
      : []
  );
  return {
    index,
    freeBytes: Math.min(...usable.map((path) => roomOf(path, group.reserve))),
    everywhere: usable.length === same.length,
  };
}

function byAddress(a: NodeTarget, b: NodeTarget): number {
  return compareHosts(a.host, b.host) || a.node - b.node;
}

/** IPv4 addresses by number, before names by text. */
function compareHosts(a: string, b: string): number {
  const [left, right] = [ipv4(a), ipv4(b)];
  if (left !== undefined && right !== undefined) return left - right;
  if (left !== undefined) return -1;
  if (right !== undefined) return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function ipv4(host: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host);
  return parts?.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0);
}
