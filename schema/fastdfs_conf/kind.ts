/**
 * Which of FastDFS's files a text is.
 *
 * @module
 */

import type { ConfKind } from "./keys/row.ts";
import type { ConfText } from "./text.ts";

/** By name; FastDFS's own samples and the usual copies of them. */
const BY_NAME: readonly (readonly [RegExp, ConfKind])[] = [
  [/mod_fastdfs/i, "mod"],
  [/storage/i, "storage"],
  [/tracker/i, "tracker"],
  [/client/i, "client"],
  [/^http\b/i, "http"],
];

/** Keys that one kind alone has. */
const BY_KEY: Readonly<Record<string, ConfKind>> = {
  response_mode: "mod",
  url_have_group_name: "mod",
  store_lookup: "tracker",
  check_active_interval: "tracker",
  subdir_count_per_path: "storage",
  heart_beat_interval: "storage",
  upload_priority: "storage",
};

/**
 * Which file it is: by what stands in it, else by its name.
 *
 * @returns `undefined` when neither says so.
 */
export function kindOf({ file, items }: ConfText): ConfKind | undefined {
  const own = items.filter((item) => item.file === file);
  for (const { key } of own) {
    const kind = BY_KEY[key];
    if (kind !== undefined) return kind;
  }
  const name = file.slice(file.lastIndexOf("/") + 1);
  const found = BY_NAME.find(([pattern]) => pattern.test(name))?.[1];
  if (found !== undefined) return found;
  // What is left of a file when everything that can be left out is left out.
  const has = (key: string) => own.some((item) => item.key === key);
  if (has("group_name")) return "storage";
  return undefined;
}
