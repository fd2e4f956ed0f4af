/**
 * Which replica answers a read, and which node makes a change. Pure.
 *
 * Any replica in sync can answer any read: it fetches what it lacks. So the
 * choice is about speed, and there is always an answer as long as any member
 * was ever heard of: reads go on when everybody looks silent, because it may be
 * the tracker that was away.
 *
 * @module
 */

import { type NodeId, ownerOf } from "@kedge/schema";
import type { TrackerConfig } from "@kedge/schema/config/tracker";
import type { FileId } from "@kedge/schema/file-id";
import type { GroupState, MemberState } from "./cluster.ts";
import { badPath } from "./disks.ts";
import { type Draw, drawOne } from "./draw.ts";

/** How to choose a replica. */
export interface ReadRule {
  /** `download_server`. */
  readonly downloadServer: TrackerConfig["downloadServer"];
  /** Wall clock, in ms since the Unix epoch. */
  readonly nowMs: number;
  /** Age below which only its origin surely has a file, in ms. */
  readonly freshMs: number;
  /** Random numbers for round robin. */
  readonly draw: Draw;
}

/** What a choice needs of a file ID. */
export type FileOrigin = Pick<FileId, "origin" | "createdS" | "kind">;

/** A node with an address. */
export interface NodeAddress {
  /** Which node. */
  readonly node: NodeId;
  /** Base URL of its HTTP door. */
  readonly url: string;
}

type Heard = MemberState & { report: NonNullable<MemberState["report"]> };

/**
 * Choose who answers a read.
 *
 * In this order: the origin (or owner) while it is live, when the policy is
 * `source_first`, the file can be changed, or it is so new that the others may
 * not have it; live members in sync whose position covers the origin's log;
 * live members in sync; live members; anybody, the origin first. A live member
 * that lacks a disk is asked only when no other lives: it would have to fetch.
 *
 * @returns The best guess, or `undefined` when no member was ever heard of.
 */
export function chooseReader(
  group: GroupState,
  file: FileOrigin,
  rule: ReadRule,
): NodeAddress | undefined {
  const heard = group.members.filter(isHeard);
  const alive = heard.filter((member) => member.alive);
  const sound = alive.filter((member) => badPath(member) === undefined);
  const live = sound.length > 0 ? sound : alive;
  const current = live.filter(({ insync }) => insync);
  const source = sourceOf(group, file);
  if (wantsSource(file, rule)) {
    const first = current.find(({ node }) => node === source);
    if (first !== undefined) return addressOf(first);
  }
  const covering = current.filter((member) => covers(member, file, heard));
  const choices = [covering, current, live].find((some) => some.length > 0);
  if (choices !== undefined) return addressOf(drawOne(choices, rule.draw));
  return addressOf(
    heard.find(({ node }) => node === source) ?? drawOne(heard, rule.draw),
  );
}

/** A node for a change, or why there is none. */
export type ChosenWriter =
  | { readonly ok: true; readonly writer: NodeAddress }
  | { readonly ok: false; readonly why: string };

/**
 * Choose who makes a change of an existing file.
 *
 * @param group Its group.
 * @param file What the ID says.
 * @param needsOwner Whether only the owner may (all but delete).
 * @returns The owner; for a delete the origin if it is live and in sync,
 * otherwise any live member in sync.
 */
export function chooseWriter(
  group: GroupState,
  file: FileOrigin,
  needsOwner: boolean,
): ChosenWriter {
  const heard = group.members.filter(isHeard);
  const live = heard.filter(({ alive }) => alive);
  // When everybody is silent, probably this tracker was away: guess.
  const usable = (live.length > 0 ? live : heard)
    .filter(({ insync, mode }) => insync && mode !== "read-only");
  const owner = sourceOf(group, file);
  const writer = usable.find(({ node }) => node === owner) ??
    (needsOwner ? undefined : usable[0]);
  const address = addressOf(writer);
  if (address !== undefined) return { ok: true, writer: address };
  return { ok: false, why: whyNobody(group, owner, needsOwner) };
}

function whyNobody(
  { register, members }: GroupState,
  owner: NodeId | undefined,
  needsOwner: boolean,
): string {
  if (register.insync.length === 0) {
    return `Group "${register.group}" has no member in sync`;
  }
  if (!needsOwner || owner === undefined) {
    return `No member in sync of group "${register.group}" takes changes now`;
  }
  const isReadOnly = members.some(({ node, mode }) =>
    node === owner && mode === "read-only"
  );
  return isReadOnly
    ? `Node ${owner}, which alone may change this file, is read-only`
    : `Node ${owner}, which alone may change this file, does not report; ` +
      "its group replaces it as soon as it notices";
}

/** Who may change the file; it has the newest content. */
function sourceOf(
  { register }: GroupState,
  { origin }: FileOrigin,
): NodeId | undefined {
  return typeof origin === "number"
    ? ownerOf(register, origin)
    : register.insync[0];
}

function wantsSource(file: FileOrigin, rule: ReadRule): boolean {
  return rule.downloadServer === "source_first" || file.kind === "appender" ||
    rule.nowMs - file.createdS * 1000 < rule.freshMs;
}

/** Whether a member has applied all that the origin last reported. */
function covers(
  member: Heard,
  { origin }: FileOrigin,
  heard: readonly Heard[],
): boolean {
  if (member.node === origin) return true;
  const head = heard.find(({ node }) => node === origin)?.report.head;
  if (head === undefined) return true; // not in the group any more
  const position = member.report.positions
    .find((known) => known.origin === origin);
  return position?.incarnation === head.incarnation &&
    position.sequence >= head.sequence;
}

function isHeard(member: MemberState): member is Heard {
  return member.report !== undefined;
}

function addressOf(member: Heard | undefined): NodeAddress | undefined {
  return member && { node: member.node, url: member.report.url };
}
