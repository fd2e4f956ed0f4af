/**
 * What a request asks for: path and query, exactly as sent.
 *
 * Nothing is decoded or normalised here, so that the path which is authorised
 * is the path which is used: `..`, `%2e`, `//` and other spellings are not file
 * paths and are refused before anything looks at a disk.
 *
 * @module
 */

/** Path and query of a request. */
export interface Target {
  /** From the first slash after the host. */
  readonly path: string;
  /** Without its question mark; "" when there is none. */
  readonly query: string;
}

/** A resource of the API, with what its path names. */
export interface Resource {
  /** Such as `/v1/files/ID/meta`. */
  readonly pattern: string;
  /** The file ID in the path, or "". */
  readonly id: string;
  /** The encoded file name or the store path's number in the path, or "". */
  readonly name: string;
}

const FILE_PATH =
  /^\/[A-Za-z0-9]{1,16}\/M[0-9A-F]{2}\/[0-9A-F]{2}\/[0-9A-F]{2}\/[A-Za-z0-9._-]{34,73}$/;
const FILE_LIKE = /^\/[^/]*\/[Mm][0-9A-Fa-f]{2}(\/|$)|\.\.|%|\\|\/\//;
const FILES = "/v1/files/";
const OPEN_PATH = /^\/v1\/node\/paths\/(0|[1-9]\d{0,2})\/open$/;
const ID_SEGMENTS = 5;

/**
 * Split an absolute URL.
 *
 * @param url As the server gives it.
 * @returns Its path, `/` when empty, and its query.
 */
export function targetOf(url: string): Target {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return { path: "/", query: "" };
  const hash = url.indexOf("#", start);
  const end = hash < 0 ? url.length : hash;
  const mark = url.indexOf("?", start);
  if (mark < 0 || mark >= end) {
    return { path: url.slice(start, end), query: "" };
  }
  return { path: url.slice(start, mark), query: url.slice(mark + 1, end) };
}

/** Whether this is the path of a file's content; its ID is `path.slice(1)`. */
export function isFilePath(path: string): boolean {
  return FILE_PATH.test(path);
}

/** Whether somebody meant a file, or tried to leave the store. */
export function isFileLike(path: string): boolean {
  return FILE_LIKE.test(path);
}

/**
 * Which resource a path names.
 *
 * @param path From {@linkcode targetOf}.
 * @returns The path itself as the pattern where it is not about files.
 */
export function resourceOf(path: string): Resource {
  const [, pathIndex] = OPEN_PATH.exec(path) ?? [];
  if (pathIndex !== undefined) {
    return { pattern: "/v1/node/paths/N/open", id: "", name: pathIndex };
  }
  if (!path.startsWith(FILES)) return { pattern: path, id: "", name: "" };
  const rest = path.slice(FILES.length);
  const segments = rest.split("/", ID_SEGMENTS + 2);
  if (segments.length === 1) {
    return { pattern: "/v1/files/NAME", id: "", name: rest };
  }
  const id = segments.slice(0, ID_SEGMENTS).join("/");
  const [, , , , , part, more] = segments;
  if (segments.length < ID_SEGMENTS || more !== undefined) {
    return { pattern: path, id: "", name: "" };
  }
  if (part === undefined) return { pattern: "/v1/files/ID", id, name: "" };
  return { pattern: `/v1/files/ID/${part}`, id, name: "" };
}
