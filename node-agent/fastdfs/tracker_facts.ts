/**
 * What every answer of the tracker side is made with.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { STATUS } from "@kedge/schema/wire/fastdfs";
import type { Sight } from "./sight.ts";
import type { Reply } from "./wire_request.ts";

/** Answers a request with what is known of the cluster. */
export type Answerer = (body: Uint8Array, sight: Sight) => Reply;

/** The request is malformed; a tracker keeps the connection. */
export const INVALID: Reply = { status: STATUS.invalid };
/** There is no such group, file or server. */
export const NOT_FOUND: Reply = { status: STATUS.notFound };

/** What the tracker side says of itself. */
export interface TrackerFacts {
  /** Where it listens, as text. */
  readonly host: () => string;
  /** Version of the program. */
  readonly version: string;
  /** Seconds since it began to listen. */
  readonly upS: () => number;
  /** Wall clock, in seconds. For people. */
  readonly nowS: () => number;
  /** Folders per level of a store path. */
  readonly subdirCount: number;
  /** Layout of lists, by FastDFS's version. */
  readonly lists: "5" | "6";
}

/** A good answer with a text. */
export function text(content: string): Reply {
  return ok(Buffer.from(content));
}

/** A good answer of these parts. */
export function ok(...parts: readonly Uint8Array[]): Reply {
  return { status: STATUS.ok, body: Buffer.concat(parts) };
}
