/**
 * A disk grows under metadata that is in use: `drbdmeta` reads what was moved,
 * and finds the same as we.
 *
 * @module
 */

import { equal, match, ok } from "node:assert/strict";
import { openMeta } from "../../node-agent/mirror/meta/meta_device.ts";
import { openFileDevice } from "../../node-agent/mirror/meta/file_device.ts";
import { moveMetadata } from "../../node-agent/mirror/meta/move_metadata.ts";
import { Scope } from "../helpers/scope.ts";
import { sound } from "../helpers/sound.ts";
import {
  canRun,
  disk,
  drbdmeta,
  INTERNAL,
  MIB,
  run,
  sourceOf,
  withMeta,
} from "./drbdmeta.ts";

const GI = "1111111111111110:2222222222222222:3333333333333332:" +
  "4444444444444444:1:1:0:1:0:0:0";
const ignore = !await canRun();

// 2 s
Deno.test(
  { name: "drbdmeta reads metadata that has moved", ignore },
  async () => {
    await using scope = new Scope();
    const { image, device } = await disk(scope, 64 * MIB);
    const force = { placement: INTERNAL, isForced: true };
    equal((await drbdmeta(device, force, "create-md")).code, 0);
    equal((await drbdmeta(device, force, "set-gi", GI)).code, 0);
    let agreed = 0;
    let oldSuperblock = 0;
    withMeta(device, (meta) => {
      agreed = meta.geometry.usableSectors;
      oldSuperblock = meta.geometry.superblockOffset;
      meta.writeSuperblock({ laSizeSectors: agreed });
      const { file } = meta.loadBitmap();
      file.bitmap.set({ from: 7, to: 11 });
      file.writeDirty();
      file.flush();
    });
    const raw = openFileDevice(device);
    scope.defer(() => raw.close());
    const durable = raw.openDurable();
    const source = () => ({ ...sourceOf(raw, INTERNAL), device: durable });
    const old = sound(openMeta(source()));
    const flags = new Set(old.superblock.flags).add("PrimaryInd");
    old.writeSuperblock({ flags });
    const log = old.attach();
    log.stage(0, 3);
    log.commit();

    await Deno.truncate(image, 200 * MIB);
    equal((await run("losetup", "-c", device)).code, 0);
    raw.refresh();
    equal(durable.sizeBytes, 200 * MIB);
    const moved = sound(moveMetadata(old, source()));
    log.movedTo(moved.device, moved.geometry);
    log.stage(1, 5);
    log.commit();
    raw.close();

    const dump = await drbdmeta(device, force, "dump-md");
    match(dump.stderr, /unclean/);
    const applied = await drbdmeta(device, force, "apply-al");
    equal(applied.code, 0, applied.stderr);
    // Two extents of 4 MiB, from both places of the log.
    match(applied.stdout + applied.stderr, /Marked additional 8192 KB/);
    const gi = await drbdmeta(device, force, "get-gi");
    equal(gi.stdout.trim().slice(0, 67), GI.slice(0, 67));
    const after = await drbdmeta(device, force, "dump-md");
    match(after.stdout, new RegExp(`la-size-sect ${agreed};`));
    withMeta(device, (meta) => {
      ok(meta.geometry.superblockOffset > oldSuperblock);
      const { bitmap } = meta.loadBitmap().file;
      equal(bitmap.setBits, 4 + 2 * 1024);
      equal(bitmap.count({ from: 7, to: 11 }), 4);
    });
  },
);
