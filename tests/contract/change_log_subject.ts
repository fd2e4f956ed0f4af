/**
 * What the contract of the change log is about, and short ways to say it.
 *
 * @module
 */

import type { Change, ChangeBody, FileEntry } from "@kedge/schema/change";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import type {
  ChangeLog,
  ContentSource,
  LocalFiles,
  LogRecordWithContent,
} from "../../node-agent/ports.ts";
import { factsOf, newEntry } from "../../node-agent/files/store_fixture.ts";

/** A fresh store of node 1 in `group1`. */
export interface Subject extends AsyncDisposable {
  readonly files: LocalFiles;
  readonly log: ChangeLog;
  /** Finish on the disk what was stored; nothing when there is no disk. */
  settle(): Promise<void>;
}

/** A body that replaces the whole content. */
export const WHOLE: ChangeBody = { kind: "whole" };
/** No bytes come along. */
export const NONE: ContentSource = { kind: "none" };
/** More than any test has. */
export const LIMIT = { records: 100, bytes: 1e9 };

/** The state of a new appender file. */
export function entryOf(bytes: Uint8Array, origin = 2, random = 1): FileEntry {
  const facts = factsOf(bytes);
  const name = encodeFileName({
    ...facts,
    origin,
    random,
    createdS: 1_790_000_000,
    appender: true,
    digits: 0,
    extension: "bin",
  });
  const place = { group: "group1", pathIndex: 0, high: 0, low: random % 256 };
  return newEntry(encodeFileId(place, name), facts);
}

/** Bytes that travel in the record. */
export function inline(bytes: Uint8Array): ContentSource {
  return { kind: "inline", bytes };
}

/** A record of a log. */
export function record(
  sequence: number,
  change: Change,
  content: ContentSource,
): LogRecordWithContent {
  return { sequence, change, content };
}

/** The whole content of a file. */
export async function bytesOf(
  { files }: Subject,
  entry: FileEntry,
): Promise<Uint8Array> {
  const body = await files.read(entry);
  return body instanceof Uint8Array ? body : await new Response(body).bytes();
}
