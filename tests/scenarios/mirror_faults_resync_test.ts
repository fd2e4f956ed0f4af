/**
 * A resync is interrupted again and again, or runs against writes at full rate:
 * its target serves nobody before the end, nothing is lost at its source, and
 * at the end both disks are equal.
 *
 * Scenarios S56 and S57.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { pause } from "../helpers/eventually.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import type { MirrorSide } from "../helpers/mirror_pair_side.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

/** Kills in the middle of a resync, of a source and of a target together. */
const KILLS = Number(Deno.env.get("KEDGE_RESYNC_KILLS") ?? 50);
/** Kills that may be made for one that meets a resync. */
const TRIES = 4;
/** The latest moment of a kill after the resync was seen, in milliseconds. */
const KILL_MS = 400;

/** A resync slow enough to be hit. */
const SLOW = { protocol: "C", disk: "resync-rate 40M;" } as const;

/** Wait for a resync towards `b`; begin one when there is none. */
async function untilSyncing({ pair }: MirrorLife): Promise<void> {
  const { a, b } = pair;
  const { state } = await a.until(
    "a connection",
    ({ state }) => ["Connected", "SyncSource"].includes(state.connection),
  );
  if (state.connection === "Connected") {
    await a.must({ kind: "invalidate-remote" });
  }
  await b.until(
    "a resync",
    ({ state }) =>
      state.connection === "SyncTarget" || state.connection === "Connected",
  );
}

/** A disk in the middle of a resync cannot become Primary. */
async function isRefused(side: MirrorSide): Promise<boolean> {
  const { state } = await side.volume();
  if (state.disk !== "Inconsistent") return false;
  const { code } = await side.command({ kind: "primary", force: false });
  ok(code < 0, `an ${state.disk} disk became Primary: ${code}`);
  return true;
}

async function killTarget(life: MirrorLife): Promise<boolean> {
  const { b } = life.pair;
  await b.kill();
  await b.start();
  await b.create();
  await b.must({ kind: "attach" });
  const wasHit = await isRefused(b);
  await b.connect();
  return wasHit;
}

async function killSource(life: MirrorLife): Promise<boolean> {
  const { a, b } = life.pair;
  await a.kill();
  await b.until(
    "the loss of its source",
    ({ state }) => state.connection === "WFConnection",
  );
  const wasHit = await isRefused(b);
  await a.start();
  await a.create();
  await a.must({ kind: "attach" });
  await a.promote();
  await life.nothingIsLost(a);
  await a.connect();
  return wasHit;
}

/** Kill one side of a resync again and again. */
async function killAgainAndAgain(victim: "target" | "source"): Promise<void> {
  await using scope = new Scope();
  const life = await MirrorLife.start(scope, `S56 ${victim}`, SLOW);
  const { a, b } = life.pair;
  let [hits, kills] = [0, 0];
  const wanted = Math.ceil(KILLS / 2);
  for (; hits < wanted && kills < wanted * TRIES; kills++) {
    const load = await life.load(a, { depth: 4 });
    await untilSyncing(life);
    await pause(life.random.between(0, KILL_MS));
    if (victim === "target") {
      if (await killTarget(life)) hits++;
      await load.stop();
    } else {
      if (await killSource(life)) hits++;
      await load.ended;
    }
    life.wasGood(load);
  }
  say(`S56 ${victim}: ${kills} kills, ${hits} in the middle of a resync`);
  equal(hits, wanted, `${hits} of ${kills} kills met a resync`);
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await life.nothingIsLost(a);
  await life.disksAreEqual();
}

Deno.test("S56 the target, and the source, of a resync are killed", async () => {
  await Promise.all([
    killAgainAndAgain("target"),
    killAgainAndAgain("source"),
  ]);
});

Deno.test({
  name: "S57 a resync runs against writes at full rate on the same blocks",
  async fn() {
    await using scope = new Scope();
    const life = await MirrorLife.start(scope, "S57", SLOW);
    const { a, b } = life.pair;
    const region = { first: 0, count: life.model.pieces / 4 };
    const load = await life.load(a, { depth: 32, region });
    for (let round = 0; round < 6; round++) {
      await b.must({ kind: "disconnect", force: false });
      await a.until(
        "to be alone",
        ({ state }) => state.connection !== "Connected",
      );
      await load.until(load.acknowledged + 300);
      const { state } = await a.volume();
      if (state.connection === "StandAlone") await a.connect();
      await b.connect();
      await b.until(
        "a resync",
        ({ state }) => state.connection === "SyncTarget",
      );
      await load.until(load.acknowledged + 300);
      await Promise.all([a.untilEqual(), b.untilEqual()]);
      equal((await a.volume()).outOfSyncBytes, 0);
    }
    await life.endsWell(load, a);
  },
});
