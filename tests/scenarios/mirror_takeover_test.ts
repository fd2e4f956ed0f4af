/**
 * A Secondary that takes over by itself, as far as the volume register lets it.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { fenced, healed, namesInSync } from "../helpers/mirror_fenced_pair.ts";
import { Cable } from "../helpers/mirror_pair_cable.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const AUTO = { KEDGE_MIRROR_AUTO_PROMOTE: "on" };

Deno.test("a Secondary takes over by itself, and is asked for nothing", async () => {
  await using scope = new Scope();
  const { tracker, life, a, b } = await fenced(scope, "auto", {}, AUTO);
  const load = await life.load(a);
  await load.until(100);
  const began = performance.now();
  await a.kill();
  await load.ended;
  await b.until("to be Primary", ({ state }) => state.role === "Primary");
  say(`took over after ${Math.round(performance.now() - began)} ms`);
  await life.nothingIsLost(b);
  await a.up();
  await healed({ tracker, a, b });
  equal((await a.volume()).state.role, "Secondary");
  await life.disksAreEqual();
});

Deno.test("a cut cable does not move the role: the Primary asks first", async () => {
  await using scope = new Scope();
  const cable = Cable.lay(scope);
  const { hosts, dials } = cable;
  const { tracker, life, a, b } = await fenced(
    scope,
    "auto cut",
    { hosts, dials },
    AUTO,
  );
  const load = await life.load(a);
  await load.until(100);
  cable.cut();
  await b.child.line(/cannot take over: .*may not be Primary/);
  await load.until(load.acknowledged + 50);
  deepEqual(await namesInSync(tracker), ["a"]);
  cable.heal();
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await load.stop();
  life.wasGood(load);
  equal((await b.volume()).state.role, "Secondary");
  await life.nothingIsLost(a);
});
