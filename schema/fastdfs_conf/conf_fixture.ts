/**
 * Configuration files of FastDFS from texts, for tests.
 *
 * @module
 */

import { problemText } from "./text.ts";
import { readFastdfsConf } from "./understand.ts";

/** Read these files, by name. */
export function read(
  files: Record<string, string>,
): ReturnType<typeof readFastdfsConf> {
  return readFastdfsConf(Object.keys(files), (path) => files[path]);
}

/** The problems of one storage.conf made of these lines. */
/** The problems of one storage.conf made of these lines. */
export function problems(text: string): string[] {
  return read({ "storage.conf": text }).problems.map(problemText);
}
