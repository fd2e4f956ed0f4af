/**
 * The Primary dies under load, the peer takes over, the old Primary returns:
 * what every protocol promised is kept, and both disks end up equal.
 *
 * Scenarios S52 (protocol C) and S53 (A and B).
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { MirrorLoad, readExport } from "../helpers/mirror_pair_client.ts";
import { dataOf, differingBlocks } from "../helpers/mirror_pair_images.ts";
import { BlockModel } from "../helpers/mirror_pair_model.ts";
import type { MirrorSide } from "../helpers/mirror_pair_side.ts";
import {
  type MirrorPair,
  RESOURCE,
  startPair,
} from "../helpers/mirror_pair.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const ROUNDS = Number(Deno.env.get("KEDGE_FAILOVERS") ?? 3);

/** One life of a pair: its Primary, its Secondary, its client's memory. */
interface Life {
  readonly pair: MirrorPair;
  readonly model: BlockModel;
  readonly random: Random;
  readonly protocol: "A" | "B" | "C";
}

/** Kill `from` under load, go on at `to`, let `from` return. */
async function failOver(
  life: Life,
  from: MirrorSide,
  to: MirrorSide,
): Promise<void> {
  const { model, random, protocol } = life;
  const options = { model, random, flushEvery: 40, reads: 0.2 };
  const load = await MirrorLoad.start(from.exportSocket, RESOURCE, options);
  await load.until(random.between(100, 400));
  await from.kill();
  await load.ended;
  deepEqual([load.errors, load.wrong], [[], []]);

  await to.promote();
  const taken = await readExport(to.exportSocket, RESOURCE, model.sizeBytes);
  const { problem, lost } = model.prefixOf(taken);
  equal(problem, undefined);
  if (protocol !== "A") deepEqual(model.wrongIn(taken), []);
  const writes = load.acknowledged;
  say(`protocol ${protocol}: ${writes} writes, ${lost} pieces lost`);
  model.settle(taken);

  const next = await MirrorLoad.start(to.exportSocket, RESOURCE, options);
  await next.until(50);
  await from.up();
  await next.until(150);
  await Promise.all([from.untilEqual(), to.untilEqual()]);
  await next.stop();
  deepEqual([next.errors, next.wrong], [[], []]);
  const after = await readExport(to.exportSocket, RESOURCE, model.sizeBytes);
  deepEqual(model.wrongIn(after), []);
}

async function disksAreEqual({ pair, model }: Life): Promise<void> {
  const [a, b] = await Promise.all([
    dataOf(pair.a.disk, model.sizeBytes),
    dataOf(pair.b.disk, model.sizeBytes),
  ]);
  deepEqual(differingBlocks(a, b), []);
  deepEqual(model.wrongIn(a), []);
}

const PROTOCOLS = [["S52", "C"], ["S53", "B"], ["S53", "A"]] as const;

for (const [scenario, protocol] of PROTOCOLS) {
  Deno.test({
    name: `${scenario} protocol ${protocol}: the Primary is killed under load`,
    async fn() {
      await using scope = new Scope();
      const pair = await startPair(scope, { protocol });
      const { sizeBytes } = await pair.a.volume();
      const random = new Random(seedOfRun(`${scenario} ${protocol}`));
      const model = new BlockModel(sizeBytes);
      const life = { pair, model, random, protocol };
      for (let round = 0; round < ROUNDS; round++) {
        const [from, to] = round % 2 === 0
          ? [pair.a, pair.b]
          : [pair.b, pair.a];
        await failOver(life, from, to);
        await disksAreEqual(life);
      }
      ok(model.acknowledged > 0);
    },
  });
}
