/**
 * What may be done with segments, and when: decisions alone.
 *
 * Three facts are kept apart: what a place in the index names, what lies in a
 * segment up to its stored length, and what lies behind that. The last is what a
 * crash or a failed write left behind: a copy of a record that no place names,
 * and that would bring a deleted file back in an index that is rebuilt.
 *
 * ```text
 * copy, flushed ─▶ place moved ─▶ … ─▶ no place names the old segment
 *   ─▶ all of that flushed ─▶ old segment removed ─▶ forgotten
 * ```
 *
 * The simulator (`tests/sim/segments`) runs these under crashes.
 *
 * @module
 */

import {
  type SegmentFacts,
  segmentToCompact,
} from "@kedge/schema/disk/segment";
import type { PackedRow } from "@kedge/schema/db";

/** What to do next with a segment whose space is to be given back. */
export type CompactionStep =
  /** Copy records behind this offset, and move their places. */
  | { readonly kind: "copy"; readonly behind: number }
  /** Make durable that no place names it. */
  | { readonly kind: "flush" }
  /** Remove its file, durably. */
  | { readonly kind: "remove" }
  /** The index forgets it. */
  | { readonly kind: "forget" }
  /**
   * It stays: mark, durably, the records in it that no place names. Those that
   * were moved would come back when their later copies are gone.
   */
  | { readonly kind: "mark" }
  /** Kept: it holds records that could not be copied. */
  | { readonly kind: "end"; readonly isKept: boolean };

/** What was seen while a step was made. */
export interface StepSeen {
  /** Offset of the last place looked at; `undefined`: there was none. */
  readonly last: number | undefined;
  /** Whether a place still names the segment. */
  readonly isNamed: boolean;
}

/** Where every compaction begins. */
export const FIRST_STEP: CompactionStep = { kind: "copy", behind: -1 };

/** The step after one that was made. */
export function stepAfter(
  step: CompactionStep,
  { last, isNamed }: StepSeen,
): CompactionStep {
  switch (step.kind) {
    case "copy":
      if (last !== undefined) return { kind: "copy", behind: last };
      return isNamed ? { kind: "mark" } : { kind: "flush" };
    case "flush":
      return { kind: "remove" };
    case "remove":
      return { kind: "forget" };
    case "mark":
      return { kind: "end", isKept: true };
    case "forget":
    case "end":
      return { kind: "end", isKept: false };
    default:
      return step satisfies never;
  }
}

/**
 * Segments that hold damaged records, and how much of them was needed then; and
 * those that hold records of files that the index lost.
 */
export class KeptSegments {
  readonly #liveBytes = new Map<number, number>();
  readonly #held = new Set<number>();

  /** Nothing is gained before something of it was repaired or deleted. */
  keep({ segment, liveBytes }: SegmentFacts): void {
    this.#liveBytes.set(segment, liveBytes);
  }

  /** It holds records that the index lost: it stays, whatever is deleted. */
  hold(segment: number): void {
    this.#held.add(segment);
  }

  /**
   * The segment that is worth being copied.
   *
   * @param rows Segments of one store path.
   * @param isWritten Whether a segment is, or may become, the one written to.
   */
  choose<Segment extends SegmentFacts>(
    rows: readonly Segment[],
    isWritten: (segment: number) => boolean,
  ): Segment | undefined {
    const fit = rows.filter(({ segment, liveBytes }) =>
      this.#liveBytes.get(segment) !== liveBytes && !this.#held.has(segment)
    );
    return segmentToCompact(fit, isWritten);
  }
}

/** Where a file lay when it was read, or lies now. */
type Spot = Pick<PackedRow, "pathIndex" | "segment" | "offset">;

/**
 * Which copies count: others were deleted, or got other bytes, while their copy
 * was being flushed, and their copies must be marked dead.
 *
 * @param now Where the file of a copy lies now.
 */
export function partMoves<Move extends { readonly from: Spot }>(
  moves: readonly Move[],
  now: (move: Move) => Spot | undefined,
): { readonly stay: Move[]; readonly gone: Move[] } {
  const { stay = [], gone = [] } = Object.groupBy(moves, (move) => {
    const spot = now(move);
    const { pathIndex, segment, offset } = move.from;
    const isSame = spot?.pathIndex === pathIndex &&
      spot.segment === segment && spot.offset === offset;
    return isSame ? "stay" : "gone";
  });
  return { stay, gone };
}

/**
 * What is behind the stored end of a segment.
 *
 * @param foundBytes Length of its file, if there is one.
 */
export function endOf(
  { sizeBytes }: Pick<SegmentFacts, "sizeBytes">,
  foundBytes: number | undefined,
): "whole" | "leftover" | "lost" {
  if (foundBytes === undefined || foundBytes < sizeBytes) return "lost";
  return foundBytes === sizeBytes ? "whole" : "leftover";
}

/**
 * Whether a leftover may be cut off.
 *
 * @param ids Files of which records are in it.
 * @param isElsewhere Whether the index knows a file, and what it knows is there:
 * the file is deleted, or its bytes lie somewhere else. If not, the database is
 * an older copy than the segments, and they stay for `rebuild-index`.
 * @returns `false` when it must stay.
 */
export function mayCut(
  ids: Iterable<string>,
  isElsewhere: (id: string) => boolean,
): boolean {
  for (const id of ids) if (!isElsewhere(id)) return false;
  return true;
}

/** Whether records may be put behind the stored end of the last segment. */
export function mayResume(
  row: Pick<SegmentFacts, "sizeBytes"> | undefined,
  end: ReturnType<typeof endOf>,
  segmentBytes: number,
): boolean {
  return row !== undefined && row.sizeBytes < segmentBytes && end === "whole";
}
