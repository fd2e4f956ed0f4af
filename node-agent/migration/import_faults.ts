/**
 * What a failure of one file means for the run.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { SourceFault } from "./source_span.ts";

/** What follows. */
export type FaultOutcome =
  /** The run goes on without this file. */
  | {
    readonly kind: "damaged" | "skipped";
    readonly reason: string;
    readonly detail: string;
  }
  /** It passes: try this file again. */
  | { readonly kind: "wait" }
  /** Nothing more can be done. */
  | { readonly kind: "fatal" };

/** Refusals of the group that pass by themselves. */
const PASSING: readonly string[] = [
  "not-in-sync",
  "too-many-requests",
  "unavailable",
  "uncertain",
];
/** Refusals of one file alone. */
const OF_THE_FILE: readonly string[] = [
  "invalid-file-id",
  "invalid-request",
  "too-large",
];
/** Faults by which a file is no longer the one that its ID names. */
const DAMAGE: readonly string[] = [
  "gone",
  "no-trunk-file",
  "wrong-checksum",
  "wrong-size",
];

/** Look at what was thrown while a file was taken in. */
export function outcomeOf(error: unknown): FaultOutcome {
  if (error instanceof SourceFault) {
    const { reason, message: detail } = error;
    const kind = DAMAGE.includes(reason) ? "damaged" : "skipped";
    return { kind, reason, detail };
  }
  if (error instanceof Problem) {
    const { slug, message: detail } = error;
    if (PASSING.includes(slug)) return { kind: "wait" };
    if (!OF_THE_FILE.includes(slug)) return { kind: "fatal" };
    return { kind: "skipped", reason: slug, detail };
  }
  if (error instanceof Deno.errors.NotFound) {
    const detail = "it was deleted while it was looked for";
    return { kind: "skipped", reason: "vanished", detail };
  }
  if (error instanceof Error && isOfTheSystem(error)) {
    return { kind: "damaged", reason: "unreadable", detail: error.message };
  }
  return { kind: "fatal" };
}

function isOfTheSystem(error: Error): boolean {
  return "code" in error || error instanceof Deno.errors.PermissionDenied;
}
