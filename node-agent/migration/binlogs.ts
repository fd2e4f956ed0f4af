/**
 * Reads what a FastDFS storage wrote into its binlogs, line by line.
 *
 * @module
 */

import {
  binlogFiles,
  type BinlogLine,
  readBinlogLine,
} from "@kedge/schema/fastdfs";
import type { Oddity } from "./source_tree.ts";

/** No line is so long, in characters. */
const LINE_MAX = 1024;

/** Operations by which a file is there. */
export const ADDED: ReadonlySet<string> = new Set(["C", "c", "L", "l"]);
/** Operations by which it is there no more. */
export const REMOVED: ReadonlySet<string> = new Set(["D", "d"]);

/**
 * Read all of them, oldest first.
 *
 * @param base `base_path`.
 * @param onLine Told of every line that says something.
 * @returns Those that cannot be read.
 */
export async function readBinlogs(
  base: string,
  onLine: (said: BinlogLine) => void,
): Promise<Oddity[]> {
  const folder = `${base}/data/sync`;
  const unreadable: Oddity[] = [];
  for (const name of binlogFiles(await namesIn(folder))) {
    const path = `${folder}/${name}`;
    try {
      await readLines(path, onLine);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const detail = `packed files that it names are not found: ${why}`;
      unreadable.push({ reason: "unreadable-binlog", name: path, detail });
    }
  }
  return unreadable;
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (isFile) names.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names;
}

async function readLines(
  path: string,
  onLine: (said: BinlogLine) => void,
): Promise<void> {
  const file = await Deno.open(path);
  const bytes: ReadableStream<BufferSource> = path.endsWith(".gz")
    ? file.readable.pipeThrough(new DecompressionStream("gzip"))
    : file.readable;
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_MAX) rest = "";
    for (const line of lines) {
      const said = readBinlogLine(line);
      if (said !== undefined) onLine(said);
    }
  }
}
