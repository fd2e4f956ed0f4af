/** Metadata moves with the end of its disk, whole, whatever happens meanwhile. */

import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { DeviceError } from "../raw_device.ts";
import { MemoryDevice } from "../memory_device.ts";
import type { ActivityLogFile } from "./activity_log_file.ts";
import { bitsOfExtent } from "./bitmap_file.ts";
import { createMetadata } from "./create_metadata.ts";
import { type MetaDevice, openMeta } from "./meta_device.ts";
import { findMeta, moveMetadata } from "./move_metadata.ts";
import { applyActivityLog } from "./recover.ts";

const KIB = 1024;
const OLD_BYTES = 8 * 1024 * KIB;
const BITS = [0, 5, 63, 64, 90];
/** Its bits are in the log only. */
const EXTENT = 1;

function sourceOf(device: MemoryDevice) {
  const placement = { kind: "internal" as const };
  return { device, dataDeviceBytes: device.sizeBytes, placement };
}

/** A disk in use that has grown by so many bytes, its metadata where it was. */
function grown(byBytes: number): MemoryDevice {
  const device = new MemoryDevice(OLD_BYTES);
  const created = createMetadata(sourceOf(device));
  if (created.kind !== "created") throw new Error(created.kind);
  const { meta } = created;
  meta.writeSuperblock({
    uuids: { current: 99n, bitmap: 0n, history: [1n, 2n] },
    laSizeSectors: meta.geometry.usableSectors,
  });
  const { file } = meta.loadBitmap();
  for (const bit of BITS) file.bitmap.set({ from: bit, to: bit + 1 });
  file.writeDirty();
  file.flush();
  const log = meta.attach();
  log.stage(0, EXTENT);
  log.commit();
  const larger = new Uint8Array(OLD_BYTES + byBytes).fill(0xdd, OLD_BYTES);
  larger.set(device.bytes);
  return new MemoryDevice(larger);
}

function find(device: MemoryDevice): { meta: MetaDevice; isBehind: boolean } {
  const found = findMeta(sourceOf(device), OLD_BYTES);
  if ("problem" in found) throw new Error(found.problem.detail);
  return found;
}

function move(device: MemoryDevice): MetaDevice {
  const moved = moveMetadata(find(device).meta, sourceOf(device));
  if ("problem" in moved) throw new Error(moved.problem.detail);
  return moved;
}

/** Everything that must be marked is, and nothing else unless `isMore`. */
function checkBits(meta: MetaDevice, isMore: boolean): void {
  applyActivityLog(meta);
  const { bitmap } = meta.loadBitmap().file;
  const logged = bitsOfExtent(EXTENT);
  const end = Math.min(logged.to, bitmap.bits);
  ok(BITS.every((bit) => bitmap.has(bit)));
  const count = bitmap.count({ from: logged.from, to: end });
  equal(count, end - logged.from);
  if (!isMore) equal(bitmap.setBits, BITS.length + count);
}

Deno.test("names, size, bits and log move to the new end", () => {
  for (const byBytes of [4 * KIB, 40 * KIB, 20_000 * KIB]) {
    const device = grown(byBytes);
    equal(find(device).isBehind, true);
    move(device);
    const { meta, isBehind } = find(device.crash(() => false));
    equal(isBehind, false);
    equal(meta.superblock.uuids.current, 99n);
    ok(!meta.superblock.flags.has("FullSync"));
    ok(meta.geometry.usableSectors > meta.superblock.laSizeSectors);
    ok(meta.needsActivityLog);
    checkBits(meta, false);
  }
});

Deno.test("what was metadata is zeroed", () => {
  const device = grown(2000 * KIB);
  const { bmOffset } = find(device).meta.geometry;
  move(device);
  ok(device.bytes.subarray(bmOffset, OLD_BYTES).every((byte) => byte === 0));
  ok(
    device.bytes.subarray(OLD_BYTES, OLD_BYTES + KIB).every((b) => b === 0xdd),
  );
});

Deno.test("where it is already nothing is written", () => {
  const device = grown(64 * KIB);
  move(device);
  const before = device.done.length;
  move(device);
  ok(device.done.slice(before).every((d) => d.operation === "read"));
});

Deno.test("a disk that has shrunk keeps everything where it is", () => {
  const device = grown(2000 * KIB);
  const meta = move(device);
  const smaller = new MemoryDevice(device.bytes.slice(0, OLD_BYTES));
  const moved = moveMetadata(meta, sourceOf(smaller));
  equal("problem" in moved ? moved.problem.code : 0, 111);
  equal(smaller.done.length, 0);
});

Deno.test("the log goes on in the new place", () => {
  const device = grown(2000 * KIB);
  const { meta } = find(device);
  applyActivityLog(meta);
  const log: ActivityLogFile = meta.attach();
  log.stage(0, 0);
  log.commit();
  const moved = moveMetadata(meta, sourceOf(device));
  if ("problem" in moved) throw new Error(moved.problem.detail);
  log.movedTo(moved.device, moved.geometry);
  log.stage(1, 2);
  log.commit();
  const after = find(device.crash(() => false)).meta;
  applyActivityLog(after);
  const { bitmap } = after.loadBitmap().file;
  const count = (extent: number) => {
    const { from, to } = bitsOfExtent(extent);
    return bitmap.count({ from, to: Math.min(to, bitmap.bits) });
  };
  deepEqual([count(0), count(2) > 0], [1024, true]);
});

Deno.test("without the size of before, or with a wrong one, it is not found", () => {
  const device = grown(64 * KIB);
  for (const last of [undefined, OLD_BYTES - 4096, OLD_BYTES * 2]) {
    const found = findMeta(sourceOf(device), last);
    equal("problem" in found ? found.problem.code : 0, 119);
  }
  ok(device.done.every((d) => d.operation === "read"));
});

Deno.test("what an earlier life left at the end does not count", () => {
  const device = grown(20_000 * KIB);
  const created = createMetadata(sourceOf(device), { isConfirmed: true });
  equal(created.kind, "created");
  equal(find(device).meta.superblock.uuids.current, 99n);
});

Deno.test("what somebody else moved to the end counts", () => {
  for (const isNewGeneration of [false, true]) {
    const device = grown(20_000 * KIB);
    const stale = device.bytes.slice(OLD_BYTES - 4096, OLD_BYTES);
    const moved = move(device);
    moved.writeSuperblock({
      laSizeSectors: moved.geometry.usableSectors,
      ...isNewGeneration
        ? { uuids: { current: 201n, bitmap: 98n, history: [1n, 2n] } }
        : {},
    });
    device.writeAt(stale, OLD_BYTES - 4096);
    equal(find(device).isBehind, false);
  }
});

/** How many writes and flushes a whole move takes. */
function operations(byBytes: number): number {
  const device = grown(byBytes);
  const before = device.done.length;
  move(device);
  const done = device.done.slice(before);
  return done.filter(({ operation }) => operation !== "read").length;
}

Deno.test("cut short at any write: the old or the new, and no bit is lost", () => {
  const sizes = [4 * KIB, 12 * KIB, 36 * KIB, 400 * KIB, 20_000 * KIB];
  const keeps = fc.infiniteStream(fc.boolean());
  for (const byBytes of sizes) {
    const isApart = byBytes > 100 * KIB;
    const last = operations(byBytes);
    ok(last >= 7);
    for (let cut = 0; cut <= last; cut++) {
      fc.assert(
        fc.property(keeps, (stream) => {
          const device = grown(byBytes);
          let left = cut;
          device.faults = (operation) => operation !== "read" && left-- <= 0;
          attempt(() => void move(device));
          const after = device.crash(() => stream.next().value === true);
          // What is found is whole, even before anything is repaired.
          const { meta } = find(after);
          equal(meta.superblock.uuids.current, 99n);
          const isFull = meta.superblock.flags.has("FullSync");
          ok(!isApart || !isFull);
          checkBits(move(after), isFull);
          const source = sourceOf(after);
          const end = openMeta(source);
          ok(!("problem" in end));
        }),
        { numRuns: 4 },
      );
    }
  }
});

function attempt(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
  }
}
