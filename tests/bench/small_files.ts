/**
 * Many small files, packed and as files of their own.
 *
 * ```sh
 * deno task bench:files --small-files 1000000 [--http-files 100000]
 * ```
 *
 * Measures the store of one node by itself, then a tracker and two agents over
 * HTTP at level C, and writes the part of `tests/bench/SMALL_FILES.md` that was
 * measured; `0` leaves one out, and the parts of other runs stay. `TMPDIR` names
 * the disk.
 *
 * @module
 */

import { ROOT } from "../helpers/stack.ts";
import { say } from "../helpers/say.ts";
import { writePage } from "./page.ts";
import { machine, round, table } from "./report.ts";
import { type HttpFigures, measureHttp } from "./small_files_http.ts";
import { AT_ONCE, FILE_BYTES, type StoreFigures } from "./small_files_store.ts";

/** Files of the run over HTTP, unless it is said. */
const HTTP_FILES = 100_000;
const PAGE = `${ROOT}tests/bench/SMALL_FILES.md`;
/** Written by hand: how to read the figures. */
const REASONS = `${ROOT}tests/bench/small_files_reasons.md`;
const STORE_PROGRAM = `${ROOT}tests/bench/small_files_store.ts`;

/** What a figure is called, in the order of the page. */
const STORE_NAMES: Record<keyof StoreFigures, string> = {
  uploadsPerS: "durable uploads per second",
  uploadCpuUs: "CPU per upload, settled, µs",
  settleS: "until settled after the last answer, s",
  storeMib: "disk use of the store path, MiB",
  storeNames: "inodes of the store path",
  databaseMib: "disk use of the database, MiB",
  fillPeakMib: "largest memory of the process while it is filled, MiB",
  restartMs: "start, ms",
  startedMib: "memory that the open store takes, MiB",
  readsPerS: "reads per second, one after another",
  readCpuUs: "CPU per read, µs",
  scrubS: "scrub of everything, s",
  scrubCpuS: "CPU of the scrub, s",
  deletesPerS: "durable deletes per second (three of four files)",
  deleteCpuUs: "CPU per delete, space given back, µs",
  deleteS: "deletes, until their space is free, s",
  quarterMib: "disk use of the quarter that is left, MiB",
  peakMib: "largest memory of that process (a listing of all files in it), MiB",
};

const HTTP_NAMES: Record<keyof HttpFigures, string> = {
  uploadsPerS: "uploads per second",
  p50Ms: "upload, p50, ms",
  p99Ms: "upload, p99, ms",
  uploadCpuUs: "CPU per upload until the last answer, all servers, µs",
  settledCpuUs: "the same until settled on both nodes, µs",
  settleS: "until settled after the last answer, s",
  storeMib: "disk use of one node's store path, MiB",
  storeNames: "inodes of one node's store path",
  databaseMib: "disk use of one node's database, MiB",
  downloadsPerS: "downloads per second",
  downloadCpuUs: "CPU per download, µs",
  restartMs: "start of tracker and agents until ready, ms",
  startedMib: "memory of an agent after the start, MiB",
  scrubS: "scrub of one node, s",
  scrubCpuS: "CPU of the scrub, s",
  scrubbedMib: "memory of that agent after it, MiB",
};

/** Measure what the arguments ask for, and write it down. */
export async function benchSmallFiles(
  args: readonly string[],
): Promise<string> {
  const count = numberOf(args, "--small-files") ?? 0;
  const httpCount = numberOf(args, "--http-files") ??
    Math.min(count, HTTP_FILES);
  if (count > 0) {
    const [plain, packed] = await both((max) => measureStore(count, max));
    await writeSection(
      `One store, without network and HTTP: ${thousands(count)} files`,
      `4 KiB each, ${AT_ONCE} changes at once.`,
      compare(STORE_NAMES, plain, packed),
    );
  }
  if (httpCount > 0) {
    const [plain, packed] = await both((max) => measureHttp(httpCount, max));
    await writeSection(
      `Two agents and a tracker, over HTTP, level C: ${
        thousands(httpCount)
      } files`,
      "4 KiB each, placed by the tracker one by one, " +
        `${AT_ONCE} connections that are never idle. The client shares the ` +
        "cores with the servers.",
      compare(HTTP_NAMES, plain, packed),
    );
  }
  return await Deno.readTextFile(PAGE);
}

async function both<T>(
  measure: (smallFileMax: number) => Promise<T>,
): Promise<[T, T]> {
  const plain = await measure(0);
  say(JSON.stringify(plain));
  const packed = await measure(FILE_BYTES);
  say(JSON.stringify(packed));
  return [plain, packed];
}

async function measureStore(
  count: number,
  smallFileMax: number,
): Promise<StoreFigures> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-small-" });
  const words = [dir, String(count), String(smallFileMax)];
  try {
    const found = [await program("fill", words)];
    found.push(await program("reopen", words));
    return Object.assign({}, ...found) as StoreFigures;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function program(verb: string, words: string[]): Promise<unknown> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", STORE_PROGRAM, verb, ...words],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`"${verb}" failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

function compare<Name extends string>(
  names: Record<Name, string>,
  plain: Record<Name, number>,
  packed: Record<Name, number>,
): string {
  const rows = (Object.keys(names) as Name[]).map((name) => [
    names[name],
    round(plain[name]),
    round(packed[name]),
    `${round(packed[name] / plain[name])} ×`,
  ]);
  return table(["", "files", "packed", "packed / files"], rows);
}

/** The other part of the page stays. */
async function writeSection(
  title: string,
  about: string,
  body: string,
): Promise<void> {
  const known = await Deno.readTextFile(PAGE).catch(() => "");
  const [, ...sections] = known.split(/^## /m);
  const others = sections.filter((text) => !text.startsWith(`${title}\n`));
  const facts = (await machine()).map((line) => `- ${line}`);
  const own = [title, "", about, "", ...facts, "", body, ""].join("\n");
  const all = [own, ...others].sort().map((text) => `## ${text.trim()}\n\n`);
  const reasons = await Deno.readTextFile(REASONS);
  await writePage("SMALL_FILES.md", `${HEAD}\n${reasons}\n${all.join("")}`);
}

const HEAD = `# Bench of packed small files

Written by \`deno task bench:files --small-files N\`; not edited by hand. The same
files kept as files of their own and packed into segments (\`small_file_max\`),
one run after the other on the same machine, caches warm: compare where the load
average says that nothing else ran.
`;

function numberOf(args: readonly string[], name: string): number | undefined {
  const at = args.indexOf(name);
  if (at < 0) return undefined;
  const count = Number(args[at + 1]);
  if (Number.isInteger(count) && count >= 0) return count;
  throw new Error(`${name} needs a number, such as 50000`);
}

function thousands(count: number): string {
  return count.toLocaleString("en");
}
