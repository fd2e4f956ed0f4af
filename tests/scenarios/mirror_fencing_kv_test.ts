/**
 * The volume register is in a KV that stops, hangs, or goes back in time: the
 * table of promises.md §6.2, with real daemons and a real tracker.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import {
  bothInSync,
  fenced,
  healed,
  namesInSync,
  nothingIsAcknowledged,
  refusalOf,
  untilAlone,
} from "../helpers/mirror_fenced_pair.ts";
import { Cable } from "../helpers/mirror_pair_cable.ts";
import { Scope } from "../helpers/scope.ts";

Deno.test("without the KV writes go on, until the peer dies, too", async () => {
  await using scope = new Scope();
  const { tracker, life, a, b } = await fenced(scope, "KV down");
  const load = await life.load(a);
  await load.until(100);
  await tracker.stop();
  await load.until(load.acknowledged + 300);

  // Also while one copy is replaced: both have every write.
  await b.must({ kind: "pause-sync" });
  await a.must({ kind: "invalidate-remote" });
  await load.until(load.acknowledged + 100);
  equal((await a.volume()).state.connection, "PausedSyncS");
  await b.must({ kind: "resume-sync" });
  await Promise.all([a.untilEqual(), b.untilEqual()]);

  await b.kill();
  await untilAlone(a);
  await nothingIsAcknowledged(load);
  equal((await a.volume()).state.role, "Primary");

  await tracker.start();
  await load.until(load.acknowledged + 100);
  deepEqual(await namesInSync(tracker), ["a"]);
  await b.up();
  await healed({ tracker, a, b });
  await life.endsWell(load, a);
});

Deno.test("without KV and cable both freeze; the cable alone heals", async () => {
  await using scope = new Scope();
  const cable = Cable.lay(scope);
  const { hosts, dials } = cable;
  const { tracker, life, a, b } = await fenced(scope, "both", { hosts, dials });
  const load = await life.load(a);
  await load.until(100);
  await tracker.stop();
  cable.cut();
  await untilAlone(a);
  await nothingIsAcknowledged(load);
  match(await refusalOf(b), /no tracker answers/);

  cable.heal();
  await load.until(load.acknowledged + 100);
  await tracker.start();
  await bothInSync(tracker);
  await life.endsWell(load, a);
});

Deno.test("a tracker that hangs is no answer: writes wait for one", async () => {
  await using scope = new Scope();
  const { tracker, life, a, b } = await fenced(scope, "KV hangs");
  const load = await life.load(a);
  await load.until(100);
  tracker.freeze();
  await b.kill();
  await untilAlone(a);
  await nothingIsAcknowledged(load);
  tracker.thaw();
  await load.until(load.acknowledged + 100);
  // The request that hung and the one that was repeated are one change.
  equal((await tracker.register())?.epoch, 2);
  await load.stop();
  life.wasGood(load);
  await life.nothingIsLost(a);
});

Deno.test("S31: a KV that went back freezes roles until a person decides", async () => {
  await using scope = new Scope();
  const { tracker, life, a, b } = await fenced(scope, "S31");
  const load = await life.load(a);
  await load.until(50);
  await tracker.backUp();
  await b.kill();
  await load.until(load.acknowledged + 50);
  await b.up();
  await healed({ tracker, a, b });
  await load.until(load.acknowledged + 50);
  const { epoch } = await bothInSync(tracker);
  await tracker.restore();
  equal((await tracker.register())?.epoch, 1);

  await load.until(load.acknowledged + 50); // the peer is enough
  await b.kill();
  await untilAlone(a);
  await nothingIsAcknowledged(load);
  await a.child.line(
    /the register of .* went back|The register of .* went back/,
  );
  await b.up();
  await b.must({ kind: "disconnect", force: true });
  match(await refusalOf(b), /went back: it is at epoch 1/);

  await a.must({ kind: "primary", force: true });
  await load.until(load.acknowledged + 50);
  const confirmed = await tracker.register();
  equal(confirmed?.epoch, epoch + 1000);
  equal(confirmed?.note, "forced, lossy");
  await load.stop();
  life.wasGood(load);
  await b.connect();
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await life.nothingIsLost(a);
  await life.disksAreEqual();
});
