/**
 * Places in logs. Every node numbers its changes `(incarnation, sequence)`; a
 * peer knows up to where it holds each incarnation of each origin, and takes
 * them in order: all of an incarnation before the first of the next.
 *
 * A number never means two records (promises.md F7): whoever may have lost the
 * end of its log goes on in a new incarnation.
 *
 * @module
 */

import type { SyncPosition } from "@kedge/schema";
import type { LogPlace } from "../ports.ts";

/** Order two places: negative when `a` is earlier. */
export function comparePlaces(a: LogPlace, b: LogPlace): number {
  return a.incarnation - b.incarnation || a.sequence - b.sequence;
}

/** One run of our log. */
export interface Incarnation {
  readonly incarnation: number;
  /** Last sequence given out in it; 0 is none. */
  readonly lastSequence: number;
}

/** What a peer holds of our log, as the replica core wants to know it. */
export interface PeerStanding {
  /** Sequences of our present incarnation that it holds. */
  readonly written: number;
  /** It lacks records of earlier incarnations, or some that we have forgotten. */
  readonly lacksEarlier: boolean;
  /**
   * It holds numbers of our present incarnation that we did not give out: our
   * database was set back, and the log must not go on under these numbers. (More
   * of an *earlier* incarnation is what an unclean stop leaves behind; joining
   * again takes care of it. Incarnations that we never had are from before we
   * were wiped: new ones are drawn at random, so they cannot meet.)
   */
  readonly knowsMore: boolean;
}

/**
 * What a peer's positions mean for our log.
 *
 * @param log Our incarnations, oldest first; the last is the present one, with
 * the last sequence that was *given out*, logged or not.
 * @param positions What the peer holds of our log, one per incarnation.
 * @param cut Where our log begins (`log_cut_core.ts`); missing is at its start.
 */
export function peerStanding(
  log: readonly Incarnation[],
  positions: readonly Omit<SyncPosition, "origin">[],
  cut?: LogPlace,
): PeerStanding {
  const present = log.at(-1) ?? { incarnation: 0, lastSequence: 0 };
  const held = new Map(positions.map((p) => [p.incarnation, p.sequence]));
  const written = held.get(present.incarnation) ?? 0;
  return {
    written,
    lacksEarlier: isBehindCut(cut, positions) ||
      log.slice(0, -1).some((run) =>
        (held.get(run.incarnation) ?? 0) < run.lastSequence
      ),
    knowsMore: written > present.lastSequence,
  };
}

/**
 * Whether a peer may lack records that are forgotten: it must compare with the
 * log's owner, which proves that it holds what they said. Nothing after them is
 * sent before (promises.md F7: a position never skips a record).
 *
 * @param cut Where the log begins; `undefined` is at its start.
 * @param positions What the peer holds of this log.
 */
export function isBehindCut(
  cut: LogPlace | undefined,
  positions: readonly Omit<SyncPosition, "origin">[],
): boolean {
  if (cut === undefined) return false;
  return !positions.some((position) =>
    position.incarnation === cut.incarnation &&
    position.sequence >= cut.sequence
  );
}

/**
 * The place from which to send our log to a peer.
 *
 * @returns Records after `sequence` of `incarnation` come next; `undefined` when
 * the peer has everything.
 */
export function sendFrom(
  log: readonly Incarnation[],
  positions: readonly Omit<SyncPosition, "origin">[],
): { readonly incarnation: number; readonly sequence: number } | undefined {
  const held = new Map(positions.map((p) => [p.incarnation, p.sequence]));
  for (const { incarnation, lastSequence } of log) {
    const sequence = held.get(incarnation) ?? 0;
    if (sequence < lastSequence) return { incarnation, sequence };
  }
  return undefined;
}

/**
 * The run that is sent next: the same one while records of it are left, otherwise
 * the next one that has any; the present one may get some.
 *
 * @param sent What was sent last.
 */
export function runAfter(
  log: readonly Incarnation[],
  sent: LogPlace,
  present: number,
): number {
  const next = log.find(({ incarnation, lastSequence }) => {
    if (incarnation === sent.incarnation) return sent.sequence < lastSequence;
    const mayHaveAny = lastSequence > 0 || incarnation === present;
    return incarnation > sent.incarnation && mayHaveAny;
  });
  return next?.incarnation ?? sent.incarnation;
}

/** What to do with records that a peer sent of its log. */
export type BatchVerdict =
  /** Apply those after the first `skip`. */
  | { readonly kind: "apply"; readonly skip: number }
  /** All of them are here: acknowledge only. */
  | { readonly kind: "known" }
  /** Records before them are missing: do not apply, the sender starts over. */
  | { readonly kind: "gap" };

/**
 * Judge a batch of one incarnation.
 *
 * @param held Last sequence of that incarnation that we hold; 0 is none.
 * @param first Sequence of its first record.
 * @param count How many records, at least 1.
 */
export function judgeBatch(
  held: number,
  first: number,
  count: number,
): BatchVerdict {
  if (first > held + 1) return { kind: "gap" };
  const skip = held + 1 - first;
  return skip >= count ? { kind: "known" } : { kind: "apply", skip };
}
