/** Where a disk is flushed: in the event loop, or beside it. */

import assert from "node:assert/strict";
import { createMetadata } from "../meta/create_metadata.ts";
import { openDevices } from "../meta/open_disk.ts";
import { BackingDisk } from "./backing_disk.ts";
import { DiskWatch } from "./disk_watch.ts";
import { FlushPace } from "./flush_pace_core.ts";

/** As of a disk that was quick often enough. */
function quickPace(): FlushPace {
  const pace = new FlushPace();
  for (let count = 0; !pace.isInline(4096); count++) {
    assert.ok(count < 1_000);
    pace.took({ ms: 0.01, bytes: 4096, wasInline: false });
  }
  return pace;
}

/** Flush a quick disk; whether that was in the event loop. */
async function isInline(watch: DiskWatch): Promise<boolean> {
  const dataPath = Deno.makeTempFileSync();
  const { prototype } = Deno.FsFile;
  const { syncDataSync } = prototype;
  let count = 0;
  try {
    Deno.truncateSync(dataPath, 4 * 1024 * 1024);
    const placement = { kind: "internal" } as const;
    const devices = openDevices({ dataPath, placement });
    assert.ok(!("problem" in devices));
    assert.equal(createMetadata(devices.source).kind, "created");
    devices.close();
    const disk = BackingDisk.open(
      { disk: dataPath, metaDisk: dataPath, placement },
      { mustHaveIdentity: false, watch, pace: quickPace() },
    );
    assert.ok(disk.write(0, new Uint8Array(4096)));
    prototype.syncDataSync = function () {
      count++;
      syncDataSync.call(this);
    };
    assert.equal(await disk.flush(), true);
    disk.close(false);
  } finally {
    prototype.syncDataSync = syncDataSync;
    Deno.removeSync(dataPath);
  }
  return count === 1;
}

Deno.test("a disk that is known to be quick is flushed in the loop", async () => {
  assert.equal(await isInline(new DiskWatch(undefined)), true);
});

Deno.test("with disk-timeout no flush is made in the loop", async () => {
  const watch = new DiskWatch(undefined);
  watch.timeoutMs = 30_000;
  assert.equal(await isInline(watch), false);
});
