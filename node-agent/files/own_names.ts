/**
 * The names that this node uses on a store path, before it takes the path into
 * use: whoever could write there before may have put links or pipes under them,
 * by which files elsewhere would be written over, or swept away.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { isMissing } from "./disk.ts";
import { folderOf, type Layout } from "./layout.ts";

/**
 * Check a path without a marker of ours, and take links and pipes out of its
 * staging folder.
 *
 * @throws {Problem} `invalid-request` when one of the names is something else.
 */
export function clearOwnNames(layout: Layout, pathIndex: number): void {
  const marker = layout.marker(pathIndex);
  for (const path of [marker, `${marker}.new`]) {
    const found = lookAt(path);
    if (found !== undefined && !found.isFile) throw strange(path, "a file");
  }
  const staging = layout.staging(pathIndex);
  for (const path of [staging, folderOf(layout.segment(pathIndex, 1))]) {
    const found = lookAt(path);
    if (found?.isDirectory === false) throw strange(path, "a folder");
  }
  if (lookAt(staging) === undefined) return;
  for (const { name, isFile, isDirectory } of Deno.readDirSync(staging)) {
    const path = `${staging}/${name}`;
    if (isDirectory) throw strange(path, "a file");
    if (!isFile) Deno.removeSync(path);
  }
}

function lookAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function strange(path: string, wanted: string): Problem {
  return new Problem(
    "invalid-request",
    `${path} is not ${wanted}, as it must be on a store path: look at it, and ` +
      "remove it",
  );
}
