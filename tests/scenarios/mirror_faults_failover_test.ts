/**
 * The Primary dies under load, the peer takes over, the old Primary returns:
 * what every protocol promised is kept, and both disks end up equal.
 *
 * Scenarios S52 (protocol C) and S53 (A and B).
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { lossesAreReported } from "../helpers/mirror_pair_losses.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import type { MirrorSide } from "../helpers/mirror_pair_side.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const ROUNDS = Number(Deno.env.get("KEDGE_FAILOVERS") ?? 3);

/** Kill `from` under load, go on at `to`, let `from` return. */
async function failOver(
  life: MirrorLife,
  protocol: "A" | "B" | "C",
  [from, to]: readonly [MirrorSide, MirrorSide],
): Promise<void> {
  const { model, random } = life;
  const load = await life.load(from, { region: life.extent() });
  await load.until(random.between(100, 400));
  await from.kill();
  await load.ended;
  life.wasGood(load);

  await to.promote();
  const taken = await life.read(to);
  const { problem, lost } = model.prefixOf(taken);
  equal(problem, undefined);
  if (protocol !== "A") deepEqual(model.wrongIn(taken), []);
  const writes = load.acknowledged;
  say(`protocol ${protocol}: ${writes} writes, ${lost.length} pieces lost`);
  model.settle(taken);

  const next = await life.load(to, { region: life.extent() });
  await next.until(50);
  await from.up();
  await next.until(150);
  await Promise.all([from.untilEqual(), to.untilEqual()]);
  await next.stop();
  if (protocol === "A") await lossesAreReported(from, lost);
  life.wasGood(next);
  await life.nothingIsLost(to);
  await life.disksAreEqual();
}

const PROTOCOLS = [["S52", "C"], ["S53", "B"], ["S53", "A"]] as const;

for (const [scenario, protocol] of PROTOCOLS) {
  Deno.test({
    name: `${scenario} protocol ${protocol}: the Primary is killed under load`,
    async fn() {
      await using scope = new Scope();
      const name = `${scenario} ${protocol}`;
      const life = await MirrorLife.start(scope, name, { protocol });
      const { a, b } = life.pair;
      for (let round = 0; round < ROUNDS; round++) {
        await failOver(life, protocol, round % 2 === 0 ? [a, b] : [b, a]);
      }
    },
  });
}
