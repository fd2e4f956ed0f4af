/**
 * What is known about files, as JSON: info, metadata, lists.
 *
 * @module
 */

import type { FileInfo } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { Problem } from "@kedge/schema";
import type { LocalFiles } from "../../ports.ts";
import { contentType } from "./content_type.ts";

/** A page of a list. */
export interface FileList {
  readonly files: FileInfo[];
  /** Give it as `after` for the next page; `null` at the end. */
  readonly next: string | null;
}

const LIST_LIMIT = 100;
const LIST_LIMIT_MAX = 1000;
const ID_LENGTH_MAX = 160;
const ID_CHARACTERS = /^[A-Za-z0-9._/-]*$/;

/** A file as clients see it. */
export function fileInfo(entry: FileEntry): FileInfo {
  return {
    id: entry.id,
    size: entry.sizeBytes,
    crc32: entry.crc32,
    sha256: entry.sha256,
    type: contentType(entry),
    name: entry.name,
    created: new Date(entry.createdS * 1000).toISOString(),
    origin: entry.origin,
    group: entry.id.slice(0, entry.id.indexOf("/")),
    appender: entry.appender,
    master: entry.master,
    version: entry.version,
    meta: entry.meta,
  };
}

/**
 * A page of the files here, in ID order.
 *
 * @param files The files.
 * @param query `prefix`, `after`, `since`, `until` (seconds, or RFC 3339),
 * `limit` (at most 1,000).
 * @throws {Problem} `invalid-request` naming the parameter.
 */
export function fileList(files: LocalFiles, query: URLSearchParams): FileList {
  const limit = limitGiven(query.get("limit"));
  const entries = files.list({
    prefix: idPart(query, "prefix"),
    after: idPart(query, "after"),
    sinceS: seconds(query, "since"),
    untilS: seconds(query, "until"),
    limit,
  });
  const last = entries.length < limit ? undefined : entries.at(-1);
  return { files: entries.map(fileInfo), next: last?.id ?? null };
}

function limitGiven(text: string | null): number {
  if (text === null) return LIST_LIMIT;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= LIST_LIMIT_MAX) return limit;
  throw invalid("limit", `must be 1 to ${LIST_LIMIT_MAX}`);
}

function idPart(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (text.length <= ID_LENGTH_MAX && ID_CHARACTERS.test(text)) return text;
  throw invalid(name, "must be the beginning of a file ID");
}

function seconds(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  const ms = Date.parse(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(ms)) {
    return Math.floor(ms / 1000);
  }
  throw invalid(
    name,
    "must be seconds since 1970, or such as 2026-11-22T08:00Z",
  );
}

function invalid(path: string, message: string): Problem {
  return new Problem("invalid-request", `${path} ${message}`, {
    issues: [{ path, message }],
  });
}
