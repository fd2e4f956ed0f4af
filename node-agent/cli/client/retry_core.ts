/**
 * What to do after an upload or a download failed. Pure.
 *
 * Sending again is safe because the Idempotency-Key stays the same. It goes to
 * the same node first, which remembers the key; another node comes next.
 *
 * @module
 */

/** How an attempt ended. */
export type Failure =
  /** The connection failed or broke. */
  | { readonly kind: "network" }
  /** The server refused. */
  | {
    readonly kind: "refused";
    readonly status: number;
    /** Slug of the problem type, or "" when the body was not a problem. */
    readonly slug: string;
    /** From Retry-After, in milliseconds. */
    readonly retryAfterMs: number | undefined;
  };

/** What to do. */
export type Verdict =
  | { readonly kind: "give-up" }
  | {
    readonly kind: "again";
    /** Wait this long first. */
    readonly delayMs: number;
    /** Same node, or ask the tracker for another. */
    readonly where: "same" | "other";
  };

/** First pause, in milliseconds; it doubles. */
export const RETRY_DELAY_MS_MIN = 200;
/** Longest pause, in milliseconds. */
export const RETRY_DELAY_MS_MAX = 5000;

/** Refusals that another node, or a new capability, can mend. */
const ASK_TRACKER: ReadonlySet<string> = new Set([
  "bad-capability",
  "checksum-mismatch",
  "damaged",
  "insufficient-storage",
  "internal",
  "kv-unavailable",
  "no-storage",
  "not-in-sync",
  "read-only",
  "unavailable",
  "wrong-node",
]);

/**
 * Decide.
 *
 * @param attempt Which attempt failed, from 1.
 * @param attemptsMax Most attempts.
 * @param failure How it failed.
 * @returns Whether, when and where to try again.
 */
export function afterFailure(
  attempt: number,
  attemptsMax: number,
  failure: Failure,
): Verdict {
  if (attempt >= attemptsMax) return { kind: "give-up" };
  const backoffMs = Math.min(
    RETRY_DELAY_MS_MIN * 2 ** (attempt - 1),
    RETRY_DELAY_MS_MAX,
  );
  if (failure.kind === "network") {
    const where = attempt === 1 ? "same" : "other";
    return { kind: "again", delayMs: backoffMs, where };
  }
  const { slug, status, retryAfterMs } = failure;
  const delayMs = Math.min(
    Math.max(backoffMs, retryAfterMs ?? 0),
    RETRY_DELAY_MS_MAX,
  );
  if (slug === "uncertain" || status === 429 || status === 408) {
    return { kind: "again", delayMs, where: "same" };
  }
  if (ASK_TRACKER.has(slug) || status >= 500) {
    return { kind: "again", delayMs, where: "other" };
  }
  return { kind: "give-up" };
}

/** Retry-After in milliseconds; only seconds are understood. */
export function retryAfterMs(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header)
    ? Number(header) * 1000
    : undefined;
}
