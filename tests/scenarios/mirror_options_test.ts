/**
 * Options that change under load: the application does not notice, and the
 * connection stays.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import { Scope } from "../helpers/scope.ts";

Deno.test({
  name: "protocol, activity log, timeouts and policies change under load",
  async fn() {
    await using scope = new Scope();
    const life = await MirrorLife.start(scope, "options", { protocol: "C" });
    const { a, b } = life.pair;
    const load = await life.load(a, { depth: 16, piecesMax: 4 });
    await load.until(100);
    for (const [alExtents, protocol] of [[257, "B"], [67, "C"]] as const) {
      for (const side of [a, b]) {
        const reply = await side.configure((config) =>
          changed(config, alExtents, protocol)
        );
        equal(reply.code, 1, JSON.stringify(reply));
        await load.until(load.acknowledged + 200);
      }
    }
    await load.stop();
    life.wasGood(load);
    equal((await a.volume()).protocol, "C");
    for (const side of [a, b]) {
      equal(/Connection ended/.test(side.log), false, side.log);
    }
    // The log was made anew while it was in use: it still covers a crash.
    const more = await life.load(a, { depth: 16 });
    await more.until(200);
    await a.kill();
    await more.ended;
    await a.up();
    await Promise.all([a.untilEqual(), b.untilEqual()]);
    await a.promote();
    await life.nothingIsLost(a);
    await life.disksAreEqual();
  },
});

// 3 s
Deno.test("options of the greeting are taken by a new connection under load", async () => {
  await using scope = new Scope();
  const life = await MirrorLife.start(scope, "greeting", { protocol: "C" });
  const { a, b } = life.pair;
  const load = await life.load(a, { depth: 16, piecesMax: 4 });
  await load.until(100);
  for (const side of [a, b]) {
    const { code } = await side.configure(
      greeting({ dataIntegrityAlg: "md5" }),
    );
    equal(code, 1);
    deepEqual(await side.pending(), ["data-integrity-alg"]);
  }
  const { code } = await a.reconnect();
  equal(code, 1);
  deepEqual([await a.pending(), await b.pending()], [[], []]);
  // Frozen while it was alone.
  match(a.log, /susp\( 0 -> 1 \)[^]* -> StandAlone[^]*Connected[^]*1 -> 0 \)/);
  await load.until(load.acknowledged + 100);
  equal((await a.volume()).state.suspendedByUser, false);
  // A peer that has other options: the application goes on without it.
  await a.configure(greeting({ cramHmacAlg: "md5", sharedSecret: "x" }));
  const refused = await a.reconnect();
  equal(refused.code, 20, JSON.stringify(refused));
  await load.until(load.acknowledged + 100);
  await load.stop();
  life.wasGood(load);
  await life.nothingIsLost(a);
});

function greeting(changes: Partial<ResourceConfig["net"]>) {
  return (config: ResourceConfig): ResourceConfig => ({
    ...config,
    peers: config.peers.map((peer) => ({
      ...peer,
      net: { ...peer.net, ...changes },
    })),
  });
}

function changed(
  config: ResourceConfig,
  alExtents: number,
  protocol: "B" | "C",
): ResourceConfig {
  const [first, ...others] = config.volumes;
  const net = { ...config.net, protocol, timeoutMs: 7_000, pingIntMs: 2_000 };
  return {
    ...config,
    net,
    peers: config.peers.map((peer) => ({ ...peer, net })),
    volumes: [
      { ...first, options: { ...first.options, alExtents } },
      ...others,
    ],
  };
}
