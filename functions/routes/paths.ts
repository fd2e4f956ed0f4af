/**
 * Parts of paths that several rows share.
 *
 * @module
 */

import { GroupName, Problem } from "@kedge/schema";
import { type FileId, parseFileId } from "@kedge/schema/file-id";
import { NODE_ID_MAX, STORE_PATHS_MAX } from "@kedge/schema";
import { z } from "zod";

/** Path of a file ID: five segments. */
export const ID_PATH = "/:group/:store{M[0-9A-F]{2}}/:high/:low/:name";

/** Segments of a file ID. */
export const IdParams = z.object({
  group: GroupName,
  store: z.string().describe("Store path, M00 to MFF"),
  high: z.string().describe("First directory, 00 to FF"),
  low: z.string().describe("Second directory, 00 to FF"),
  name: z.string().describe("Last segment of the file ID"),
});
/** Segments of a file ID. */
export type IdParams = z.infer<typeof IdParams>;

/** `:group`. */
export const GroupParams = z.object({ group: GroupName });

/** `:node`. */
export const NodeParams = z.object({
  node: z.string().regex(/^[1-9]\d{0,7}$/).transform(Number)
    .pipe(z.int().min(1).max(NODE_ID_MAX)),
});

/** `:node` and `:index`. */
export const StorePathParams = NodeParams.extend({
  index: z.string().regex(/^(0|[1-9]\d{0,2})$/).transform(Number)
    .pipe(z.int().min(0).max(STORE_PATHS_MAX - 1))
    .describe("Store path: 0 for M00"),
});

/** A file ID as text and as parts. */
export interface ParsedId {
  /** The whole ID: letters, digits, `._-/` only. */
  readonly text: string;
  /** What it says. */
  readonly id: FileId;
}

/**
 * Read a file ID from its segments.
 *
 * @throws {Problem} `invalid-file-id`
 */
export function idOf(params: IdParams): ParsedId {
  const { group, store, high, low, name } = params;
  const text = `${group}/${store}/${high}/${low}/${name}`;
  const id = parseFileId(text);
  if (id !== undefined) return { text, id };
  throw new Problem("invalid-file-id", "The path is not a file ID");
}
