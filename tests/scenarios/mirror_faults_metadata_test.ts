/**
 * Metadata that is not what it was: bits that flipped, another volume's disk, a
 * disk that is too small. It is refused, or copied as a whole; it is never
 * believed to be in sync.
 *
 * Scenario S66.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { decodeAlBlock } from "@kedge/schema/disk/activity-log";
import { eventually } from "../helpers/eventually.ts";
import { dataOf, differingBlocks } from "../helpers/mirror_pair_images.ts";
import {
  LOCAL_BYTES,
  LocalNode,
  makeEqualDisks,
} from "../helpers/mirror_pair_local.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import { createMeta, memoryDir } from "../helpers/mirror_pair.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const FLIPS = Number(Deno.env.get("KEDGE_META_FLIPS") ?? 12);
const BLOCK_BYTES = 4096;
/** Superblock: size, generations, flags, magic and layout (`superblock.ts`). */
const FIELDS_END = 96;
/** Where the activity log lies on flexible metadata, and its blocks. */
const LOG_OFFSET = 4096;
const LOG_BLOCKS = 8;

/** A write that only the node that was alone has. */
const WRITES = [0, 3, 1, 4, 2, 0, 3].map((extent, turn) => ({
  offset: extent * 4 * 1024 * 1024 + turn * 3 * BLOCK_BYTES,
  data: new Uint8Array(2 * BLOCK_BYTES).fill(turn + 1),
}));

function newNet(): string {
  const part = () => 1 + Math.floor(Math.random() * 253);
  return `127.${part()}.${part()}`;
}

/** Any byte of the activity log, that of its newest transaction as often. */
async function inLog(dir: string, random: Random): Promise<number> {
  const meta = await Deno.readFile(`${dir}/crashed-a.meta`);
  const numbers = Array.from({ length: LOG_BLOCKS }, (_, block) => {
    const at = LOG_OFFSET + block * BLOCK_BYTES;
    const decoded = decodeAlBlock(meta.subarray(at, at + BLOCK_BYTES));
    return decoded.kind === "update" ? decoded.transaction.number : -1;
  });
  const newest = numbers.indexOf(Math.max(...numbers));
  const block = random.next() < 0.5
    ? newest
    : random.between(0, LOG_BLOCKS - 1);
  return LOG_OFFSET + block * BLOCK_BYTES + random.between(0, BLOCK_BYTES - 1);
}

/** Disks of a Primary that crashed alone, and of its peer. */
async function crashedAlone(dir: string): Promise<void> {
  const pair = { net: newNet(), dir };
  makeEqualDisks(pair);
  using a = new LocalNode("a", pair);
  await a.must({ kind: "attach" });
  await a.must({ kind: "primary", force: false });
  for (const { offset, data } of WRITES) ok(await a.write(offset, data));
  ok(await a.flush());
  for (const name of ["a.data", "a.meta", "b.data", "b.meta"]) {
    await Deno.copyFile(`${dir}/${name}`, `${dir}/crashed-${name}`);
  }
}

/** Start both on the crashed disks, with one bit of `a.meta` changed. */
async function withFlip(
  dir: string,
  at: number,
  bit: number,
): Promise<"refused" | "alone" | "equal"> {
  const pair = { net: newNet(), dir };
  for (const name of ["a.data", "a.meta", "b.data", "b.meta"]) {
    await Deno.copyFile(`${dir}/crashed-${name}`, `${dir}/${name}`);
  }
  const meta = await Deno.readFile(`${dir}/a.meta`);
  meta[at] = (meta[at] ?? 0) ^ (1 << bit);
  await Deno.writeFile(`${dir}/a.meta`, meta);
  using a = new LocalNode("a", pair);
  if ((await a.command({ kind: "attach" })).code !== 1) return "refused";
  using b = new LocalNode("b", pair);
  await b.must({ kind: "attach" });
  await Promise.all([a.connect(), b.connect()]);
  const isAlone = () =>
    [a, b].some(({ state }) => state.connection === "StandAlone");
  const isEqual = () =>
    [a, b].every(({ state }) =>
      state.connection === "Connected" && state.disk === "UpToDate"
    );
  await eventually(() => isAlone() || isEqual(), { what: "a decision" });
  if (isAlone()) return "alone";
  const [left, right] = await Promise.all([
    dataOf(`${dir}/a.data`, LOCAL_BYTES),
    dataOf(`${dir}/b.data`, LOCAL_BYTES),
  ]);
  deepEqual(differingBlocks(left, right), [], "connected, and not equal");
  for (const { offset, data } of WRITES) {
    deepEqual(left.subarray(offset, offset + data.length), data);
  }
  return "equal";
}

Deno.test("S66 one bit of a superblock or an activity log flips", async () => {
  await using scope = new Scope();
  const dir = await memoryDir(scope);
  await crashedAlone(dir);
  const random = new Random(seedOfRun("S66"));
  equal(await withFlip(dir, 4095, 0), "equal"); // a byte that says nothing
  const seen = new Map<string, number>();
  for (let flip = 0; flip < FLIPS; flip++) {
    const isOfLog = random.next() < 0.5;
    const at = isOfLog
      ? await inLog(dir, random)
      : random.between(0, FIELDS_END - 1);
    const bit = random.between(0, 7);
    const what = await withFlip(dir, at, bit).catch((error) => {
      const where = `bit ${bit} of byte ${at}`;
      throw new Error(`${where}: ${error.message}`, { cause: error });
    });
    if (!isOfLog) equal(what, "refused", `bit ${bit} of byte ${at}`);
    seen.set(what, (seen.get(what) ?? 0) + 1);
  }
  say(`S66: ${JSON.stringify(Object.fromEntries(seen))}`);
});

Deno.test("S66 the disk of another volume is not taken for the peer's", async () => {
  await using scope = new Scope();
  const one = await MirrorLife.start(scope, "S66 other", { protocol: "C" });
  const { a, b } = one.pair;
  await one.write(a, 50);
  const other = await MirrorLife.start(scope, "S66 foreign", { protocol: "C" });
  await other.write(other.pair.a, 20);
  await other.pair.b.stop();
  await b.stop();
  await Deno.copyFile(other.pair.b.disk, b.disk);
  const foreign = await dataOf(b.disk, one.model.sizeBytes);
  await b.start();
  await b.create();
  await b.must({ kind: "attach" });
  await b.connect();
  await eventually(async () => {
    const states = [await a.volume(), await b.volume()];
    return states.some(({ state }) => state.connection === "StandAlone");
  }, { what: "the refusal" });
  const said = [...a.child.err, ...b.child.err].join("\n");
  match(said, /Unrelated data|Split-Brain detected/);
  deepEqual(await dataOf(b.disk, one.model.sizeBytes), foreign);
  await one.nothingIsLost(a);
});

Deno.test("S66 a new disk that is too small is refused", async () => {
  await using scope = new Scope();
  const life = await MirrorLife.start(scope, "S66 small", { protocol: "C" });
  const { a, b } = life.pair;
  await life.write(a, 50);
  await b.stop();
  await Deno.truncate(b.disk, 16 * 1024 * 1024);
  createMeta(b.disk);
  await b.start();
  await b.create();
  await b.must({ kind: "attach" });
  await b.connect();
  await eventually(async () => {
    const states = [await a.volume(), await b.volume()];
    return states.some(({ state }) => state.connection === "StandAlone");
  }, { what: "the refusal" });
  match([...a.child.err, ...b.child.err].join("\n"), /too small/);
  await life.write(a, 20);
  await life.nothingIsLost(a);
  equal((await a.volume()).state.disk, "UpToDate");
});
