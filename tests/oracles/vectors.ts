/**
 * Reading oracle vectors: one JSON object per line, plain or gzipped.
 *
 * The directory is `KEDGE_ORACLES`, or `../shared/oracles` beside the
 * repository. Every file whose name begins with a series' name is read, so that
 * more vectors of the same form can be put beside the first ones.
 *
 * @module
 */

import { say } from "../helpers/say.ts";

/** Mismatches that are shown before the rest is only counted. */
const SHOWN_MAX = 5;

/** Where vectors are. */
export function oracleFolder(below: string): string {
  const root = Deno.env.get("KEDGE_ORACLES") ??
    new URL("../../../shared/oracles", import.meta.url).pathname;
  return `${root}/${below}`;
}

/** Files of one series, sorted: `SERIES.jsonl`, `SERIES-more.jsonl.gz`, … */
export function vectorFiles(folder: string, series: string): string[] {
  const name = new RegExp(`^${series}([._-].*)?\\.jsonl(\\.gz)?$`);
  try {
    return [...Deno.readDirSync(folder)]
      .filter((entry) => name.test(entry.name))
      .map((entry) => `${folder}/${entry.name}`)
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Say loudly that a series is not tested, and why; true when it is missing. */
export function isMissing(folder: string, series: string): boolean {
  if (vectorFiles(folder, series).length > 0) return false;
  say(`SKIPPED: no ${series} vectors in ${folder} (set KEDGE_ORACLES)`);
  return true;
}

/** One vector with its place, for messages. */
export interface Vector {
  readonly place: string;
  readonly value: unknown;
}

/** Every line of a file, in order. */
export async function* readVectors(file: string): AsyncGenerator<Vector> {
  using handle = await Deno.open(file);
  const bytes = file.endsWith(".gz")
    ? handle.readable.pipeThrough(new DecompressionStream("gzip"))
    : handle.readable;
  const text = await new Response(bytes).text();
  const short = file.slice(file.lastIndexOf("/") + 1);
  let line = 0;
  for (const each of text.split("\n")) {
    line += 1;
    if (each.trim() === "") continue;
    yield { place: `${short}:${line}`, value: JSON.parse(each) };
  }
}

/** What a judge says of one vector: nothing, or what is wrong with our answer. */
export type Judge = (value: unknown) => string | undefined;

/** Judge every line of every file of a series; throws with the first mismatches. */
export async function judgeSeries(
  folder: string,
  series: string,
  judge: Judge,
): Promise<number> {
  const wrong: string[] = [];
  let count = 0;
  for (const file of vectorFiles(folder, series)) {
    for await (const { place, value } of readVectors(file)) {
      count += 1;
      const complaint = judge(value);
      if (complaint !== undefined) wrong.push(`${place}: ${complaint}`);
    }
  }
  if (count === 0) throw new Error(`No vectors in the files of ${series}`);
  if (wrong.length > 0) {
    const shown = wrong.slice(0, SHOWN_MAX).join("\n");
    throw new Error(
      `${wrong.length} of ${count} ${series} vectors differ:\n${shown}`,
    );
  }
  return count;
}
