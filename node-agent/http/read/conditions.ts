/**
 * Conditional requests, in the order of RFC 9110 §13.2.2.
 *
 * @module
 */

/** The headers that make a request conditional; `null` when missing. */
export interface Conditions {
  readonly ifMatch: string | null;
  readonly ifNoneMatch: string | null;
  readonly ifModifiedSince: string | null;
  readonly ifUnmodifiedSince: string | null;
}

/** What a file can be compared by. */
export interface Validators {
  /** Strong entity tag, with its quotes. */
  readonly etag: string;
  /** The tag that nginx gives the same content when it sends it by itself. */
  readonly alias?: string | undefined;
  /**
   * Seconds since the Unix epoch of the last change; `undefined` where no date
   * is known that every change moves (appenders): dates are then ignored.
   */
  readonly modifiedS: number | undefined;
}

/** What to answer. */
export type Verdict = "send" | "not-modified" | "failed";

const TAG = /^(W\/)?("[\x21\x23-\x7e\x80-\uffff]*")$/;

/**
 * Decide a conditional GET or HEAD.
 *
 * @returns `send` the content, `not-modified` (304) or `failed` (412).
 */
export function verdictOf(
  conditions: Conditions,
  validators: Validators,
): Verdict {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } =
    conditions;
  const { etag, alias, modifiedS } = validators;
  const named = (list: string, comparison: "strong" | "weak") =>
    alias !== undefined && hasTag(list, alias, comparison);
  if (ifMatch !== null) {
    if (!hasTag(ifMatch, etag, "strong") && !named(ifMatch, "strong")) {
      return "failed";
    }
  } else if (ifUnmodifiedSince !== null && modifiedS !== undefined) {
    const sinceS = httpDateS(ifUnmodifiedSince);
    if (sinceS !== undefined && modifiedS > sinceS) return "failed";
  }
  if (ifNoneMatch !== null) {
    return hasTag(ifNoneMatch, etag, "weak") || named(ifNoneMatch, "weak")
      ? "not-modified"
      : "send";
  }
  if (ifModifiedSince !== null && modifiedS !== undefined) {
    const sinceS = httpDateS(ifModifiedSince);
    if (sinceS !== undefined && modifiedS <= sinceS) return "not-modified";
  }
  return "send";
}

/**
 * Whether `If-Range` lets the range count (RFC 9110 §13.1.5).
 *
 * @param ifRange As sent; `null` when missing.
 */
export function mayUseRange(
  ifRange: string | null,
  validators: Validators,
): boolean {
  if (ifRange === null) return true;
  const text = ifRange.trim();
  if (text.startsWith('"')) {
    return text === validators.etag || text === validators.alias;
  }
  if (text.startsWith("W/")) return false;
  const sinceS = httpDateS(text);
  return sinceS !== undefined && sinceS === validators.modifiedS;
}

/**
 * Whether a list of entity tags names this one.
 *
 * @param list `*`, or tags with commas between them.
 * @param etag A strong tag.
 * @param comparison `weak` counts `W/"x"` as `"x"`.
 */
export function hasTag(
  list: string,
  etag: string,
  comparison: "strong" | "weak",
): boolean {
  if (list.trim() === "*") return true;
  // A tag of ours has no comma, so a part with half a foreign tag never equals it.
  return list.split(",").some((part) => {
    const [match, weak, tag] = TAG.exec(part.trim()) ?? [];
    if (match === undefined || tag !== etag) return false;
    return weak === undefined || comparison === "weak";
  });
}

const DATE = new RegExp(
  "^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \\d{2} " +
    "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) " +
    "\\d{4} \\d{2}:\\d{2}:\\d{2} GMT$",
);

/**
 * Read an HTTP date.
 *
 * @param text Such as `Sun, 22 Nov 2026 08:00:00 GMT`. The two obsolete forms
 * are taken as no date: a condition on them is ignored, as §13.1.3 allows.
 * @returns Seconds since the Unix epoch.
 */
export function httpDateS(text: string): number | undefined {
  if (!DATE.test(text.trim())) return undefined;
  const ms = Date.parse(text.trim());
  return Number.isNaN(ms) ? undefined : ms / 1000;
}

/** Seconds since the Unix epoch as an HTTP date. */
export function httpDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString();
}
