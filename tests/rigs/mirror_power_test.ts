/**
 * The power goes at any moment, on one host or on both: what a client was told
 * is flushed is on the disks that its protocol names, each disk is a prefix in
 * the order of flushes, and both hosts come to agree.
 *
 * Scenarios S54 and S63.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { MirrorLoad, readExport } from "../helpers/mirror_pair_client.ts";
import { hasPluginDisks } from "../helpers/mirror_pair_disk.ts";
import { dataOf, differingBlocks } from "../helpers/mirror_pair_images.ts";
import { BlockModel } from "../helpers/mirror_pair_model.ts";
import {
  makePair,
  memoryDir,
  type MirrorPair,
  RESOURCE,
  startPair,
} from "../helpers/mirror_pair.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { type Moment, RecordedPair } from "./mirror_power.ts";

const ignore = !await hasPluginDisks("tests/rigs/mirror_power");
const MIB = 1024 * 1024;
const DISK_BYTES = 16 * MIB;
const CUTS = Number(Deno.env.get("KEDGE_MIRROR_CUTS") ?? 20);
const RETURNS = Number(Deno.env.get("KEDGE_MIRROR_RETURNS") ?? 3);
const FLUSHES = 25;

/** A moment, and how many flushes had been answered. */
interface Known {
  readonly moment: Moment;
  readonly flushes: number;
}

/** A run that is over: its record, and what its client was told when. */
interface Run {
  readonly disks: RecordedPair;
  readonly pair: MirrorPair;
  readonly model: BlockModel;
  readonly random: Random;
  readonly known: readonly Known[];
}

/** Write and flush under record, then kill the Primary in the middle. */
async function record(
  scope: Scope,
  protocol: "A" | "B" | "C",
): Promise<Run> {
  const random = new Random(seedOfRun(`power loss ${protocol}`));
  const dir = await memoryDir(scope);
  const disks = await RecordedPair.make(scope, dir, DISK_BYTES);
  const pair = await startPair(scope, {
    protocol,
    disks: disks.disks,
    metadata: "equal",
  });
  const { a } = pair;
  const { sizeBytes } = await a.volume();
  const model = new BlockModel(sizeBytes);
  const known: Known[] = [];
  const note = () =>
    known.push({ moment: disks.moment(), flushes: model.epoch });
  note();
  const load = await MirrorLoad.start(a.exportSocket, RESOURCE, {
    model,
    random,
    flushEvery: 12,
    // A flush covers what other connections were told is written.
    flushesApart: protocol !== "B",
    onAnswer: note,
  });
  await load.untilFlushes(FLUSHES);
  await a.kill();
  await load.ended;
  deepEqual([load.errors, load.wrong], [[], []]);
  return { disks, pair, model, random, known };
}

/** Some of the moments, in order. */
function someOf(run: Run, count: number): Known[] {
  const { random, known } = run;
  return Array.from({ length: count }, () => random.pick(known))
    .sort((one, other) => one.moment.a - other.moment.a);
}

/** Every image of one disk is a prefix, and has what it must have. */
async function checkDisk(
  run: Run,
  side: "a" | "b",
  hasFlushed: boolean,
): Promise<void> {
  const cuts = someOf(run, CUTS);
  const moments = cuts.map(({ moment }) => moment);
  let cut = 0;
  for await (const bytes of run.disks.after(side, moments, run.random)) {
    const { flushes = 0 } = cuts[cut++] ?? {};
    const data = bytes.subarray(0, run.model.sizeBytes);
    const what = `disk ${side} after ${flushes} flushes`;
    equal(run.model.prefixOf(data).problem, undefined, what);
    if (!hasFlushed) continue;
    deepEqual(run.model.olderThan(data, flushes).slice(0, 3), [], what);
  }
  equal(cut, CUTS);
}

/** Write what a disk holds after a power loss into a file. */
async function imageOf(
  run: Run,
  side: "a" | "b",
  moment: Moment,
): Promise<string> {
  const path = `${run.disks.dir}/after-${side}`;
  for await (const bytes of run.disks.after(side, [moment], run.random)) {
    await Deno.writeFile(path, bytes);
  }
  return path;
}

async function areEqual({ a, b }: MirrorPair, sizeBytes: number) {
  const [left, right] = await Promise.all([
    dataOf(a.disk, sizeBytes),
    dataOf(b.disk, sizeBytes),
  ]);
  deepEqual(differingBlocks(left, right).slice(0, 5), []);
}

/** Both hosts start again; they agree, and nothing flushed is lost. */
async function bothReturn(
  run: Run,
  protocol: "A" | "B" | "C",
  { moment, flushes }: Known,
): Promise<void> {
  await using scope = new Scope();
  const disks = {
    a: await imageOf(run, "a", moment),
    b: await imageOf(run, "b", moment),
  };
  const pair = await makePair(scope, { protocol, disks, metadata: "kept" });
  const { a, b } = pair;
  await Promise.all([a.up(), b.up()]);
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await areEqual(pair, run.model.sizeBytes);
  await b.promote();
  const { sizeBytes } = run.model;
  const data = await readExport(b.exportSocket, RESOURCE, sizeBytes);
  deepEqual(run.model.olderThan(data, flushes).slice(0, 3), []);
}

for (const protocol of ["A", "B", "C"] as const) {
  Deno.test({
    name: `S63 power loss of both hosts, protocol ${protocol}`,
    ignore,
    async fn() {
      await using scope = new Scope();
      const run = await record(scope, protocol);
      ok(run.known.length > FLUSHES);
      await checkDisk(run, "a", true);
      await checkDisk(run, "b", protocol === "C");
      await run.pair.b.kill();
      for (const known of someOf(run, RETURNS)) {
        await bothReturn(run, protocol, known);
      }
      const acks = run.model.acknowledged;
      say(`S63 ${protocol}: ${acks} writes, ${CUTS} cuts of each disk`);
    },
  });
}

/**
 * A lost power at that moment, and returns to B, which has become Primary and
 * goes on writing.
 *
 * @param survivor What B's disk holds; as of that moment when missing.
 */
async function primaryReturns(
  run: Run,
  { moment, flushes }: Known,
  survivor?: Uint8Array,
): Promise<void> {
  await using scope = new Scope();
  const { sizeBytes } = run.model;
  const disks = {
    a: await imageOf(run, "a", moment),
    b: `${run.disks.dir}/kept`,
  };
  await Deno.writeFile(disks.b, survivor ?? await run.disks.at("b", moment));
  const pair = await makePair(scope, {
    protocol: "C",
    disks,
    metadata: "kept",
  });
  const { a, b } = pair;
  await b.up();
  await b.promote();
  const taken = await readExport(b.exportSocket, RESOURCE, sizeBytes);
  deepEqual(run.model.olderThan(taken, flushes).slice(0, 3), []);
  const model = run.model.fork();
  model.settle(taken);
  const options = { model, random: run.random };
  const load = await MirrorLoad.start(b.exportSocket, RESOURCE, options);
  await load.until(20);
  await a.up();
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await load.stop();
  deepEqual([load.errors, load.wrong], [[], []]);
  await areEqual(pair, sizeBytes);
  const data = await dataOf(a.disk, sizeBytes);
  deepEqual(model.wrongIn(data).slice(0, 3), []);
}

Deno.test({
  name: "S54 power loss of the Primary, which returns to the new one",
  ignore,
  async fn() {
    await using scope = new Scope();
    const run = await record(scope, "C");
    const { pair: { b }, model, disks } = run;
    const end = disks.moment();
    await b.promote();
    const { sizeBytes } = model;
    const taken = await readExport(b.exportSocket, RESOURCE, sizeBytes);
    deepEqual(model.wrongIn(taken).slice(0, 3), []);
    await b.kill();
    const survivor = await Deno.readFile(`${disks.dir}/recorded-b/image`);
    const last = { moment: end, flushes: model.epoch };
    await primaryReturns(run, last, survivor);
    for (const known of someOf(run, RETURNS)) await primaryReturns(run, known);
  },
});
