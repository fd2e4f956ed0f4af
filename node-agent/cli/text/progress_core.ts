/** How fast a transfer is and when it will be done. Pure. */

/** What is known at one moment. */
export interface Sample {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  /** Bytes done by then. */
  readonly doneBytes: number;
}

/** A transfer under way. */
export interface Progress {
  /** Samples of the last few seconds, oldest first. */
  readonly recent: readonly Sample[];
  /** Bytes there are in all; `undefined` when nobody knows. */
  readonly totalBytes: number | undefined;
}

/** The rate is that of the last so many milliseconds. */
export const RATE_WINDOW_MS = 5000;

/** A transfer that begins. */
export function beginProgress(
  atMs: number,
  totalBytes: number | undefined,
): Progress {
  return { recent: [{ atMs, doneBytes: 0 }], totalBytes };
}

/** Note how far it is. The newest sample older than the window is kept. */
export function addSample(progress: Progress, sample: Sample): Progress {
  const all = [...progress.recent, sample];
  const firstInside = all.findIndex(({ atMs }) =>
    atMs >= sample.atMs - RATE_WINDOW_MS
  );
  return { ...progress, recent: all.slice(Math.max(0, firstInside - 1)) };
}

/** Bytes per second over the window; `undefined` before anything is known. */
export function rateOf({ recent }: Progress): number | undefined {
  const first = recent[0];
  const last = recent.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const ms = last.atMs - first.atMs;
  if (ms <= 0) return undefined;
  return (last.doneBytes - first.doneBytes) * 1000 / ms;
}

/** Milliseconds until everything is done; `undefined` when nobody can say. */
export function etaMs(progress: Progress): number | undefined {
  const done = progress.recent.at(-1)?.doneBytes ?? 0;
  const rate = rateOf(progress);
  if (progress.totalBytes === undefined || rate === undefined || rate <= 0) {
    return undefined;
  }
  return Math.max(0, progress.totalBytes - done) * 1000 / rate;
}

/** Share that is done, 0 to 1; an empty transfer is done. */
export function shareOf({ recent, totalBytes }: Progress): number | undefined {
  if (totalBytes === undefined) return undefined;
  if (totalBytes === 0) return 1;
  return Math.min(1, (recent.at(-1)?.doneBytes ?? 0) / totalBytes);
}
