/**
 * Refusals as FastDFS says them: numbers of Linux errors.
 *
 * @module
 */

import { Problem, type ProblemSlug } from "@kedge/schema";
import { STATUS } from "@kedge/schema/wire/fastdfs";
import type { Log } from "../ports.ts";

/** Status by refusal; what is not here is `EAGAIN` below 500, else `EIO`. */
const STATUS_OF: Partial<Record<ProblemSlug, number>> = {
  "already-exists": STATUS.exists,
  "damaged": STATUS.ioError,
  "file-not-found": STATUS.notFound,
  "group-not-found": STATUS.notFound,
  "insufficient-storage": STATUS.noSpace,
  "internal": STATUS.ioError,
  "invalid-file-id": STATUS.invalid,
  "invalid-request": STATUS.invalid,
  "no-storage": STATUS.notFound,
  "not-an-appender": STATUS.invalid,
  "range-not-satisfiable": STATUS.invalid,
  "read-only": STATUS.readOnly,
  "too-large": STATUS.tooLarge,
  "uncertain": STATUS.timedOut,
};

/**
 * The status for whatever was thrown. What is no refusal of ours is told to the
 * log, and to nobody else.
 */
export function statusOf(error: unknown, log: Log): number {
  if (error instanceof Problem) return STATUS_OF[error.slug] ?? STATUS.again;
  const why = error instanceof Error ? error.stack ?? error.message : error;
  log.warn("a FastDFS request failed", { why: String(why) });
  return STATUS.ioError;
}
