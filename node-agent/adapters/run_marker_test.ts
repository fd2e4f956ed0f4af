import assert from "node:assert/strict";
import { RunMarker } from "./run_marker.ts";

Deno.test("RunMarker suspects lost writes only after an unclean reboot", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kedge-run-" });
  try {
    const boot = `${folder}/boot_id`;
    const begin = async (bootId: string, isNew = false) => {
      await Deno.writeTextFile(boot, `${bootId}\n`);
      const marker = new RunMarker(folder, boot);
      return { marker, ...await marker.begin(isNew) };
    };
    assert.equal((await begin("boot-1", true)).mayHaveLost, false, "new");
    await Deno.remove(`${folder}/agent.run`);
    const unmarked = await begin("boot-1");
    assert.equal(unmarked.mayHaveLost, true, "a database without a marker");
    await unmarked.marker.trust();
    const killed = await begin("boot-1");
    assert.equal(killed.mayHaveLost, false, "killed, same boot");
    assert.equal((await begin("boot-2")).mayHaveLost, true, "rebooted");
    const again = await begin("boot-2");
    assert.equal(again.mayHaveLost, true, "killed before it was mended");
    await again.marker.endCleanly();
    const rebooted = await begin("boot-2");
    assert.equal(rebooted.mayHaveLost, true, "stopped before it was mended");
    await rebooted.marker.trust();
    assert.equal((await begin("boot-2")).mayHaveLost, false, "mended");
    await rebooted.marker.endCleanly();
    assert.equal((await begin("boot-3")).mayHaveLost, false, "clean stop");
    const failed = await begin("boot-3");
    await failed.marker.failed();
    await failed.marker.endCleanly();
    assert.equal((await begin("boot-3")).mayHaveLost, true, "a write failed");
    await Deno.remove(boot);
    const unknown = await new RunMarker(folder, boot).begin(false);
    assert.equal(unknown.mayHaveLost, true, "boot ID cannot be read");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
