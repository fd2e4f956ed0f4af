/** Whether a broken download can go on where it stopped. Pure. */

import { z } from "zod";

/** Kept beside a partial file. */
export const PartNote = z.object({
  /** File ID. */
  id: z.string(),
  /** Validator of the content that the part was read from. */
  etag: z.string(),
  /** Length of the whole content, in bytes. */
  sizeBytes: z.int().min(0),
});
/** Kept beside a partial file. */
export type PartNote = z.infer<typeof PartNote>;

/** What to do. */
export type ResumePlan =
  /** Begin at the first byte. */
  | { readonly kind: "fresh" }
  /** Ask for the rest, on condition that the content is the same. */
  | { readonly kind: "resume"; readonly from: number; readonly etag: string }
  /** Nothing is missing; only the check of the content. */
  | { readonly kind: "complete" };

/**
 * Decide.
 *
 * @param wanted The file as the server describes it now.
 * @param part Bytes that lie here, and what is known of them.
 */
export function planResume(
  wanted: { readonly id: string; readonly sizeBytes: number },
  part: { readonly sizeBytes: number; readonly note: PartNote | undefined },
): ResumePlan {
  const { note, sizeBytes } = part;
  if (note === undefined || note.id !== wanted.id) return { kind: "fresh" };
  if (note.sizeBytes !== wanted.sizeBytes) return { kind: "fresh" };
  // A weak validator does not promise equal bytes (RFC 9110 §13.1.5).
  if (sizeBytes === 0 || note.etag.startsWith("W/")) return { kind: "fresh" };
  if (sizeBytes > wanted.sizeBytes) return { kind: "fresh" };
  if (sizeBytes === wanted.sizeBytes) return { kind: "complete" };
  return { kind: "resume", from: sizeBytes, etag: note.etag };
}

/** What an answer to a request for the rest means. */
export type RangeAnswer =
  /** The body begins at the byte we asked for. */
  | "rest"
  /** The body is the whole content: it changed, or ranges are not known. */
  | "whole"
  /** The answer contradicts the request. */
  | "wrong";

/**
 * Read status and Content-Range of an answer.
 *
 * @param from First byte asked for; 0 asked for everything.
 */
export function rangeAnswer(
  from: number,
  status: number,
  contentRange: string | null,
): RangeAnswer {
  if (status === 200) return "whole";
  const first = /^bytes (\d+)-/.exec(contentRange ?? "")?.[1];
  return status === 206 && first !== undefined && Number(first) === from
    ? "rest"
    : "wrong";
}
