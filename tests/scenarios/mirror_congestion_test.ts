/**
 * A slow line under protocol A with `on-congestion pull-ahead`: the application
 * does not wait for it, and both sides become equal again by themselves.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { Cable } from "../helpers/mirror_pair_cable.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;
/** A line that no writer on this machine is slower than. */
const LINE_BYTES_PER_S = MIB;

Deno.test({
  name: "a congested Primary runs ahead, and comes back by itself",
  async fn() {
    await using scope = new Scope();
    const cable = Cable.lay(scope);
    const { hosts, dials } = cable;
    const life = await MirrorLife.start(scope, "congestion", {
      protocol: "A",
      net: "on-congestion pull-ahead; congestion-fill 1M;",
      hosts,
      dials,
    });
    const { a, b } = life.pair;
    cable.pace(LINE_BYTES_PER_S);
    const load = await life.load(a, { depth: 16, piecesMax: 16 });
    await a.until("Ahead", ({ state }) => state.connection === "Ahead");
    const ahead = load.acknowledged;
    // None of these waits for the line.
    await load.until(ahead + 500);
    ok((await a.volume()).outOfSyncBytes > 0);
    await load.stop();
    life.wasGood(load);
    cable.heal();
    await Promise.all([a.untilEqual(), b.untilEqual()]);
    await life.nothingIsLost(a);
    await life.disksAreEqual();
    say(`congestion: Ahead after ${ahead} writes`);
  },
});
