/**
 * A volume on a real file: what its end leaves on the disk.
 *
 * @module
 */

import assert from "node:assert/strict";
import { HARDENED } from "../decisions/hardenings_core.ts";
import { RESYNC_DEFAULTS } from "../decisions/resync_controller_core.ts";
import { SPLIT_BRAIN_DEFAULTS } from "../decisions/split_brain_core.ts";
import type { VolumeConfig } from "../core/volume_types.ts";
import { createMetadata } from "../meta/create_metadata.ts";
import { openDevices } from "../meta/open_disk.ts";
import { BackingDisk, type BackingPaths } from "./backing_disk.ts";
import type { PeerConnection } from "../link/peer_connection.ts";
import type { VolumeSurroundings } from "./surroundings.ts";
import { Volume } from "./volume.ts";

const BLOCK_BYTES = 4096;

const CONFIG: VolumeConfig = {
  protocol: "C",
  alExtents: 67,
  onIoError: "detach",
  fencing: "dont-care",
  onNoData: "io-error",
  splitBrain: SPLIT_BRAIN_DEFAULTS,
  verifyAlgorithm: "",
  checksumAlgorithm: "",
  checksumAfterCrashOnly: false,
  onCongestion: "block",
  congestionFillBytes: 0,
  congestionExtents: 1237,
  maxEpochWrites: 2048,
  peerTimeoutMs: 42_000,
  fencedByRegister: false,
  handlers: new Set(),
  resync: RESYNC_DEFAULTS,
  hardenings: HARDENED,
};

/** A disk of 8 MiB with new metadata. */
async function withDisk(
  work: (paths: BackingPaths) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-volume-" });
  try {
    const disk = `${dir}/disk`;
    await Deno.writeFile(disk, new Uint8Array(0));
    await Deno.truncate(disk, 8 * 1024 * 1024);
    const placement = { kind: "internal" } as const;
    const devices = openDevices({ dataPath: disk, placement });
    assert.ok(!("problem" in devices));
    const created = createMetadata(devices.source, { isConfirmed: true });
    assert.equal(created.kind, "created");
    devices.close();
    await work({ disk, metaDisk: disk, placement });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Nobody that a volume talks to. */
function around(): VolumeSurroundings {
  return {
    seekPeer: () => {},
    runHelper: () => {},
    identity: undefined,
    changeRegister: () => {},
    sizeChanged: () => {},
    stateChanged: () => {},
    undo: undefined,
    log: () => {},
  };
}

function attached(paths: BackingPaths): Volume {
  const volume = new Volume(CONFIG, around());
  let code = 0;
  volume.attach(paths, (result) => code = result.code);
  assert.equal(code, 1);
  return volume;
}

function written(volume: Volume, offset: number): Promise<boolean> {
  return new Promise((resolve) => {
    const data = new Uint8Array(BLOCK_BYTES).fill(7);
    volume.core.writes.write(offset, data, resolve);
    volume.settle();
  });
}

/** Blocks that are out of sync by the disk alone, its log applied. */
function marked(paths: BackingPaths): number[] {
  const disk = BackingDisk.open(paths);
  try {
    const { bitmap } = disk.describe();
    const blocks = [...bitmap.entries()].flatMap(([at, bits]) =>
      [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (bits >> bit & 1) === 1)
        .map((bit) => at * 8 + bit)
    );
    return blocks;
  } finally {
    disk.close(false);
  }
}

Deno.test("a Primary that is ended remembers what its peer lacks", async () => {
  await withDisk(async (paths) => {
    const volume = attached(paths);
    let code = 0;
    volume.core.roles.primary(true, (result) => code = result.code);
    assert.equal(code, 1);
    assert.equal(await written(volume, 5 * BLOCK_BYTES), true);
    assert.equal(volume.core.bitmap?.has(5), true);
    volume.close();
    assert.ok(marked(paths).includes(5), "block 5 is out of sync no more");
  });
});

Deno.test("a peer that takes nothing does not keep a connection that is to end", () => {
  const volume = new Volume(CONFIG, around());
  const ended = Promise.withResolvers<void>();
  const why: string[] = [];
  const peer = {
    out: { queuedBytes: 1, flush() {} },
    send() {},
    tick() {},
    run: () => ended.promise,
    close(reason: string) {
      why.push(reason);
      ended.resolve();
    },
  };
  const { now } = performance;
  try {
    const how = { discardMyData: false, tentative: false };
    volume.core.roles.connect(how, () => {});
    const connection = peer as unknown as PeerConnection;
    assert(volume.connected(connection, { resolveConflicts: true }));
    volume.core.roles.dropConnection("it is another volume");
    volume.settle();
    assert.deepEqual(why, [], "its last word may still be on its way");
    performance.now = () => now.call(performance) + 5001;
    volume.settle();
    assert.equal(why.length, 1);
  } finally {
    performance.now = now;
    volume.close();
  }
});

Deno.test("a disk whose flush does not end is detached, and asked nothing more", async () => {
  await withDisk(async (paths) => {
    const volume = attached(paths);
    volume.core.roles.primary(true, () => {});
    assert.equal(await written(volume, 0), true);
    const endless = Promise.withResolvers<boolean>();
    const { flush } = BackingDisk.prototype;
    BackingDisk.prototype.flush = () => endless.promise;
    try {
      volume.watch.timeoutMs = 50;
      const answer = new Promise<boolean>((resolve) => {
        volume.core.writes.flush(resolve);
        volume.settle();
      });
      assert.equal(await answer, false, "the only disk is gone");
      assert.equal(volume.core.state.disk, "Diskless");
    } finally {
      BackingDisk.prototype.flush = flush;
      volume.close();
    }
    const disk = BackingDisk.open(paths);
    const flushed = disk.flush();
    disk.abandon();
    assert.equal(disk.write(0, new Uint8Array(512)), false);
    disk.close(false); // waits for the flush
    assert.equal(await flushed, true);
    assert.equal(await disk.flush(), false, "it is closed now");
  });
});
