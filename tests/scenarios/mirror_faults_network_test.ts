/**
 * The cable between two hosts is cut: in the middle of a handshake with writes
 * under way, and while both sides go on alone.
 *
 * Scenarios S53 (real loss under protocol A), S58 and S59.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { crc32 } from "node:zlib";
import { eventually } from "../helpers/eventually.ts";
import { Cable } from "../helpers/mirror_pair_cable.ts";
import { dataOf } from "../helpers/mirror_pair_images.ts";
import { lossesAreReported } from "../helpers/mirror_pair_losses.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import type { BlockModel } from "../helpers/mirror_pair_model.ts";
import type { MirrorSide } from "../helpers/mirror_pair_side.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const CUTS = Number(Deno.env.get("KEDGE_HANDSHAKE_CUTS") ?? 12);
const SPLITS = Number(Deno.env.get("KEDGE_SPLIT_BRAINS") ?? 20);

Deno.test({
  name: "S58 the cable is cut in handshakes, with writes in flight",
  async fn() {
    await using scope = new Scope();
    const cable = Cable.lay(scope);
    const { hosts, dials } = cable;
    const options = { protocol: "C", hosts, dials } as const;
    const life = await MirrorLife.start(scope, "S58", options);
    const { a, b } = life.pair;
    for (let round = 0; round < CUTS; round++) {
      const load = await life.load(a, { depth: 16, piecesMax: 4 });
      await load.until(20);
      cable.cut();
      await load.until(load.acknowledged + 20);
      cable.heal();
      // Greeting, reports and bitmaps are a few KiB; then the resync begins.
      cable.cutAfter(2 ** life.random.between(7, 16));
      await eventually(() => !cable.willCut, { what: "the cut", pauseMs: 5 });
      await load.stop();
      life.wasGood(load);
      await Promise.all([a.untilEqual(), b.untilEqual()]);
      // Each time: soon everything would be marked, and hide what is not.
      await life.disksAreEqual();
    }
    ok(cable.connections > CUTS);
    await life.nothingIsLost(a);
  },
});

// 1 s
Deno.test("a bit that flips on the line reaches no disk", async () => {
  await using scope = new Scope();
  const cable = Cable.lay(scope);
  const { hosts, dials } = cable;
  const options = { protocol: "C", hosts, dials } as const;
  const life = await MirrorLife.start(scope, "flip", options);
  const { a, b } = life.pair;
  const load = await life.load(a, { depth: 4, piecesMax: 128, reads: 0 });
  await load.until(50);
  cable.corrupt("b");
  await b.child.line(/Connection ended: damaged body/);
  equal(cable.willCorrupt, false);
  await load.until(load.acknowledged + 50);
  await load.stop();
  life.wasGood(load);
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await life.nothingIsLost(a);
  await life.disksAreEqual();
});

Deno.test({
  name: "S53 protocol A: what was not sent yet is lost, in order",
  async fn() {
    await using scope = new Scope();
    const cable = Cable.lay(scope);
    const { hosts, dials } = cable;
    const options = { protocol: "A", hosts, dials } as const;
    const life = await MirrorLife.start(scope, "S53 A", options);
    const { a, b } = life.pair;
    const load = await life.load(a, { flushEvery: 10 });
    await load.until(100);
    cable.deafen("b");
    await load.until(load.acknowledged + 60);
    await a.kill();
    await load.ended;
    cable.cut();
    await b.until(
      "the loss of its peer",
      ({ state }) => state.connection === "WFConnection",
    );
    await b.promote();
    const taken = await life.read(b);
    const { problem, lost } = life.model.prefixOf(taken);
    equal(problem, undefined);
    ok(lost.length > 0, "nothing was lost: the fault did not happen");
    life.model.settle(taken);
    cable.heal();
    await a.up();
    const { outOfSyncBytes } = await a.volume();
    say(`S53 A: ${lost.length} pieces lost, ${outOfSyncBytes} bytes to copy`);
    await Promise.all([a.untilEqual(), b.untilEqual()]);
    await lossesAreReported(a, lost);
    await life.nothingIsLost(b);
    await life.disksAreEqual();
  },
});

/** Cut, let both sides write, mend; both must find out. */
async function split(life: MirrorLife, cable: Cable): Promise<BlockModel> {
  const { pair: { a, b }, model, random } = life;
  cable.cut();
  await b.until(
    "to be alone",
    ({ state }) => state.connection === "WFConnection",
  );
  await b.promote();
  const other = model.fork();
  await Promise.all([
    life.write(a, random.between(1, 30)),
    life.write(b, random.between(1, 30), { model: other }),
  ]);
  for (const side of [a, b]) {
    if (random.next() < 0.5) await side.demote();
  }
  const before = await contents(life);
  const seen = verdicts(life);
  cable.heal();
  await isDetected(life);
  ok(verdicts(life) > seen, "nobody said what it is");
  deepEqual(await contents(life), before, "something was overwritten");
  return other;
}

async function contents({ pair: { a, b }, model }: MirrorLife) {
  const disks = [a, b].map((side) => dataOf(side.disk, model.sizeBytes));
  return (await Promise.all(disks)).map((bytes) => crc32(bytes));
}

async function isDetected({ pair: { a, b } }: MirrorLife): Promise<void> {
  await eventually(async () => {
    const [ofA, ofB] = await Promise.all([a.volume(), b.volume()]);
    const words = [ofA.state.connection, ofB.state.connection];
    return words.includes("StandAlone") &&
      words.every((word) => ["StandAlone", "WFConnection"].includes(word));
  }, { what: "the split brain to be seen" });
}

/** How often the daemons said that they see a split brain. */
function verdicts({ pair: { a, b } }: MirrorLife): number {
  const lines = [...a.child.err, ...b.child.err];
  return lines.filter((line) => line.includes("Split-Brain detected")).length;
}

/** Throw the changes of one side away; the other one is Primary then. */
async function discard(
  loser: MirrorSide,
  winner: MirrorSide,
): Promise<void> {
  await loser.demote();
  for (const side of [loser, winner]) {
    const { state } = await side.volume();
    if (state.connection !== "StandAlone") {
      await side.must({ kind: "disconnect", force: false });
    }
  }
  await loser.connect(true);
  await winner.connect();
  await Promise.all([loser.untilEqual(), winner.untilEqual()]);
  await winner.promote();
}

Deno.test({
  name: "S59 every split brain is seen, and can be repaired",
  async fn() {
    await using scope = new Scope();
    const cable = Cable.lay(scope);
    const { hosts, dials } = cable;
    const options = { protocol: "C", hosts, dials } as const;
    const life = await MirrorLife.start(scope, "S59", options);
    const { a, b } = life.pair;
    for (let round = 0; round < SPLITS; round++) {
      const other = await split(life, cable);
      const isBLucky = life.random.next() < 0.5;
      if (isBLucky) {
        life.model = other;
        await discard(a, b);
        await b.demote();
        await a.promote();
      } else {
        await discard(b, a);
      }
      await life.nothingIsLost(a);
      await life.disksAreEqual();
    }
    say(`S59: ${SPLITS} split brains, all seen`);
  },
});
