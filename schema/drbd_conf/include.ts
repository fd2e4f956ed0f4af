/**
 * Which files an `include` means: paths relative to the including file, and
 * globs (`*`, `?`, `[…]`) in any part of a path.
 *
 * @module
 */

import { FILES_MAX } from "./limits.ts";
import type { ConfFile, ReadFiles } from "./parse.ts";

/** The file system as far as it is needed. Paths have `/` between parts. */
export interface ConfFolder {
  /** The text of a file, a byte order mark included; `undefined`: none. */
  readText(path: string): string | undefined;
  /** Names in a folder (`""` is the working folder); none if there is none. */
  list(folder: string): readonly string[];
}

/** A port for the parser on a file system. */
export function includeReader(folder: ConfFolder): ReadFiles {
  return (pattern, from) => {
    const base = from === undefined ? "" : parentOf(from);
    const path = normalize(pattern.startsWith("/") ? pattern : base + pattern);
    return expand(folder, path).flatMap((path): ConfFile[] => {
      const text = folder.readText(path);
      return text === undefined ? [] : [{ path, text }];
    });
  };
}

/** Whether an `include` is a glob, which may match nothing. */
export function isGlob(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

/** Folder of a path with its slash; `""` for the working folder. */
function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

/** Without `.` and, as far as possible, without `..`: one file, one path. */
function normalize(path: string): string {
  const parts: string[] = [];
  const isAbsolute = path.startsWith("/");
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    const last = parts.at(-1);
    if (part !== "..") parts.push(part);
    else if (last !== undefined && last !== "..") parts.pop();
    else if (!isAbsolute) parts.push(part);
  }
  return (isAbsolute ? "/" : "") + parts.join("/");
}

/** Paths that a glob matches, sorted; a path without glob is itself. */
function expand(folder: ConfFolder, pattern: string): string[] {
  if (!isGlob(pattern)) return [pattern];
  let found = [pattern.startsWith("/") ? "/" : ""];
  for (const part of pattern.split("/").filter((part) => part !== "")) {
    found = found.flatMap((path) => step(folder, path, part))
      .slice(0, FILES_MAX);
  }
  return found.sort();
}

function step(folder: ConfFolder, path: string, part: string): string[] {
  const prefix = path === "" || path.endsWith("/") ? path : `${path}/`;
  if (!isGlob(part)) return [prefix + part];
  const wanted = globPattern(part);
  return folder.list(path)
    .filter((name) => wanted.test(name))
    .map((name) => prefix + name);
}

/** A glob for one name as a pattern. Hidden names must be asked for. */
export function globPattern(glob: string): RegExp {
  const body = glob.replaceAll(
    /\[(!?)([^\]]+)\]|[*?]|[\\^$.|+()[\]{}]/g,
    (mark, not?: string, set?: string) => {
      if (set !== undefined) {
        return `[${not === "!" ? "^" : ""}${
          set.replaceAll(/[\\\]^]/g, "\\$&")
        }]`;
      }
      return mark === "*" ? ".*" : mark === "?" ? "." : `\\${mark}`;
    },
  );
  const hidden = glob.startsWith(".") ? "" : "(?!\\.)";
  try {
    return new RegExp(`^${hidden}${body}$`);
  } catch {
    // Such as [z-a]: it matches nothing.
    return /^(?!)/;
  }
}
