/**
 * How long a node has been silent, without trusting the clocks of others. Pure.
 *
 * A report carries the wall clock of the tracker that heard it, which may be
 * wrong by any amount. What another tracker can trust is that the stored report
 * *changed* between two of its own readings, and its own monotonic clock. So the
 * wall clocks are compared only when a report is seen for the first time, and
 * then only as far as the time since the reading before allows: a tracker that
 * reads all the time is right under any skew (promises F12), one that was idle
 * or has just started falls back on the clocks.
 *
 * @module
 */

/** When a version of a report was first seen, by this tracker's clock. */
export interface Sighting {
  /** Version in the KV. */
  readonly version: string;
  /** How old it was already, in ms. */
  readonly ageMs: number;
  /** Monotonic time of the reading that saw it first. */
  readonly seenMs: number;
}

/** One reading of the KV. */
export interface ReadingTime {
  /** Monotonic time of this reading. */
  readonly nowMs: number;
  /** Monotonic time of the reading before; `undefined` is none. */
  readonly previousMs: number | undefined;
  /** Wall clock at this reading, in ms since the Unix epoch. */
  readonly wallMs: number;
}

/**
 * Note a report that was read.
 *
 * @param known What was noted before for this node.
 * @param report Version and wall clock (of some tracker) of the report.
 * @param reading When it was read.
 * @returns The same sighting while the report is the same, otherwise a new one.
 */
export function sight(
  known: Sighting | undefined,
  report: { readonly version: string; readonly heardMs: number },
  reading: ReadingTime,
): Sighting {
  if (known?.version === report.version) return known;
  const { nowMs, previousMs = -Infinity, wallMs } = reading;
  // A report that is new since the reading before cannot be older than that.
  // One from the future comes from a clock that is ahead: it is new.
  const ageMs = Math.min(
    Math.max(0, wallMs - report.heardMs),
    nowMs - previousMs,
  );
  return { version: report.version, ageMs, seenMs: nowMs };
}

/** Age of a sighting: since when its node has been silent, in ms. */
export function silentMsOf(sighting: Sighting, nowMs: number): number {
  // Whole milliseconds: it is shown, and `NodeView` wants an integer.
  return Math.round(sighting.ageMs + nowMs - sighting.seenMs);
}
