/**
 * How much of our own log may be forgotten.
 *
 * A record may go once *every* member holds it durably, in sync or not, and a
 * number of younger records follows it. A member that is out of sync and further
 * behind than a limit is not waited for: when it comes back it is behind the
 * cut, and compares (`isBehindCut`). Records are only counted; no clock has a
 * say.
 *
 * Too much forgotten is slow, never wrong: whoever is behind the cut compares,
 * whatever set it is in. So what we know of a member's position may be old, or
 * be missing, which counts as nothing.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { LogPlace } from "../ports.ts";
import {
  comparePlaces,
  type Incarnation,
  isBehindCut,
} from "./positions_core.ts";

/** One other member, as far as we know it. */
export interface CutMember {
  readonly node: NodeId;
  readonly isInSync: boolean;
  /** What it has flushed of our log; `undefined` is not known. */
  readonly flushed: readonly LogPlace[] | undefined;
}

/** What the decision depends on. */
export interface CutView {
  /** Runs of our log that have records, oldest first; the last is present. */
  readonly runs: readonly Incarnation[];
  /** Where our log begins now. */
  readonly cut: LogPlace | undefined;
  /** Every member but us. */
  readonly members: readonly CutMember[];
  /** Records that are kept in any case, at least 1. */
  readonly keepRecords: number;
  /** Records that are kept for a member that is out of sync. */
  readonly lagRecordsMax: number;
}

/** What may be forgotten. */
export interface CutVerdict {
  /** Everything up to here; `undefined` is nothing more than now. */
  readonly upTo: LogPlace | undefined;
  /** The member that holds it up; `undefined` is nobody. */
  readonly waitsFor: NodeId | undefined;
}

/** Decide how far the log may be cut now. */
export function decideCut(view: CutView): CutVerdict {
  const { cut } = view;
  // The last record stays: the next start learns the last number from it.
  const tail = placeFromEnd(view, Math.max(1, view.keepRecords));
  const limit = placeFromEnd(view, Math.max(1, view.lagRecordsMax));
  let upTo = tail;
  let waitsFor: NodeId | undefined;
  for (const member of view.members) {
    const held = heldBy(view, member);
    const floor = member.isInSync ? held : later(held, limit);
    if (!isEarlier(floor, upTo)) continue;
    upTo = floor;
    waitsFor = member.node;
  }
  return { upTo: isEarlier(cut, upTo) ? upTo : undefined, waitsFor };
}

/** Records that are in the log. */
export function recordCount(view: Pick<CutView, "runs" | "cut">): number {
  return view.runs.reduce((sum, run) => sum + countOf(view, run), 0);
}

/** The place after which only so many records follow; `undefined` is none. */
function placeFromEnd(view: CutView, records: number): LogPlace | undefined {
  let left = records;
  for (const run of view.runs.toReversed()) {
    const count = countOf(view, run);
    if (count > left) {
      const { incarnation, lastSequence } = run;
      return { incarnation, sequence: lastSequence - left };
    }
    left -= count;
  }
  return undefined;
}

function countOf(
  { cut }: Pick<CutView, "cut">,
  { incarnation, lastSequence }: Incarnation,
): number {
  if (cut === undefined || incarnation > cut.incarnation) return lastSequence;
  if (incarnation < cut.incarnation) return 0;
  return Math.max(0, lastSequence - cut.sequence);
}

/** Up to where a member holds everything; `undefined` is nothing. */
function heldBy(view: CutView, member: CutMember): LogPlace | undefined {
  const { flushed } = member;
  if (flushed === undefined || isBehindCut(view.cut, flushed)) return undefined;
  let place = view.cut;
  for (const { incarnation, lastSequence } of view.runs) {
    const held = flushed.find((one) => one.incarnation === incarnation);
    const sequence = Math.min(held?.sequence ?? 0, lastSequence);
    if (sequence > 0) place = later(place, { incarnation, sequence });
    if (sequence < lastSequence) break;
  }
  return place;
}

function isEarlier(a: LogPlace | undefined, b: LogPlace | undefined): boolean {
  if (b === undefined) return false;
  return a === undefined || comparePlaces(a, b) < 0;
}

function later(
  a: LogPlace | undefined,
  b: LogPlace | undefined,
): LogPlace | undefined {
  return isEarlier(a, b) ? b : a;
}
