/**
 * A disk fails under load: the client sees nothing of it, and when the disk is
 * back both are made equal.
 *
 * Scenarios S61 (Secondary) and S62 (Primary).
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { FaultDisk, hasPluginDisks } from "../helpers/mirror_pair_disk.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import { DISK_BYTES, memoryDir } from "../helpers/mirror_pair.ts";
import { Scope } from "../helpers/scope.ts";

const ignore = !await hasPluginDisks("tests/scenarios/mirror_faults_disk");

/** A pair where one side's disk can fail. */
async function startLife(scope: Scope, name: string, side: "a" | "b") {
  const dir = await memoryDir(scope);
  const disk = await FaultDisk.make(scope, `${dir}/faulty`, DISK_BYTES);
  const disks = { [side]: disk.path };
  // Equal from the start: what was never read is in no cache.
  const options = { protocol: "C", disks, metadata: "equal" } as const;
  const life = await MirrorLife.start(scope, name, options);
  life.stores[side] = disk.image;
  return { life, disk };
}

for (const fault of ["write", "flush"] as const) {
  Deno.test({
    name: `S61 the Secondary's disk fails: ${fault}`,
    ignore,
    async fn() {
      await using scope = new Scope();
      const { life, disk } = await startLife(scope, `S61 ${fault}`, "b");
      const { a, b } = life.pair;
      const load = await life.load(a);
      await load.until(100);
      await disk.set(fault);
      await b.until("a lost disk", ({ state }) => state.disk === "Diskless");
      await load.until(load.acknowledged + 50);
      // What only a has must be known after a crash, too.
      await a.kill();
      await load.ended;
      life.wasGood(load);
      await disk.heal();
      await a.start();
      await a.create();
      await a.must({ kind: "attach" });
      ok((await a.volume()).outOfSyncBytes > 0);
      await a.promote();
      await life.nothingIsLost(a);
      await a.connect();
      await b.must({ kind: "attach" });
      await Promise.all([a.untilEqual(), b.untilEqual()]);
      await life.disksAreEqual();
    },
  });
}

for (const fault of ["read", "write", "flush"] as const) {
  Deno.test({
    name: `S62 the Primary's disk fails: ${fault}`,
    ignore,
    async fn() {
      await using scope = new Scope();
      const { life, disk } = await startLife(scope, `S62 ${fault}`, "a");
      const { a, b } = life.pair;
      const load = await life.load(a, { reads: 0.5 });
      await load.until(100);
      await disk.set(fault);
      await a.until("a lost disk", ({ state }) => state.disk === "Diskless");
      await load.until(load.acknowledged + 100);
      equal((await a.volume()).state.role, "Primary");
      await disk.heal();
      await a.must({ kind: "attach" });
      await Promise.all([a.untilEqual(), b.untilEqual()]);
      await load.until(load.acknowledged + 50);
      await life.endsWell(load, a);
    },
  });
}
