import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { DeviceError } from "../raw_device.ts";
import { MemoryDevice } from "../memory_device.ts";
import { createMetadata } from "./create_metadata.ts";
import { type MetaDevice, type MetaRefusal, openMeta } from "./meta_device.ts";
import { moveMetadata } from "./move_metadata.ts";
import { applyActivityLog } from "./recover.ts";

const KIB = 1024;
const OLD_BYTES = 512 * KIB;
const BITS = [0, 5, 63, 64, 90];

function sourceOf(device: MemoryDevice) {
  const placement = { kind: "internal" as const };
  return { device, dataDeviceBytes: device.sizeBytes, placement };
}

/** A disk that has grown by so many bytes, its metadata where it was. */
function grown(
  byBytes: number,
  prepare: (meta: MetaDevice) => void = () => {},
) {
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
  prepare(meta);
  const larger = new Uint8Array(OLD_BYTES + byBytes);
  larger.set(device.bytes);
  return new MemoryDevice(larger);
}

function codeOf(result: MetaDevice | MetaRefusal): number | undefined {
  return "problem" in result ? result.problem.code : undefined;
}

function open(device: MemoryDevice): MetaDevice {
  const meta = openMeta(sourceOf(device));
  if ("problem" in meta) throw new Error(meta.problem.detail);
  return meta;
}

Deno.test("names, size and bits move to the new end", () => {
  for (const byBytes of [4 * KIB, 40 * KIB, 2000 * KIB]) {
    const device = grown(byBytes);
    equal(codeOf(openMeta(sourceOf(device))), 119);
    equal(codeOf(moveMetadata(device, OLD_BYTES)), undefined);
    const meta = open(device.crash(() => false));
    equal(meta.superblock.uuids.current, 99n);
    ok(!meta.superblock.flags.has("FullSync"));
    ok(meta.geometry.usableSectors > meta.superblock.laSizeSectors);
    const { bitmap } = meta.loadBitmap().file;
    equal(bitmap.setBits, BITS.length);
    ok(BITS.every((bit) => bitmap.has(bit)));
    const before = device.done.length;
    equal(codeOf(moveMetadata(device, OLD_BYTES)), undefined);
    ok(device.done.slice(before).every((d) => d.operation === "read"));
  }
});

Deno.test("what may not be moved stays where it is", () => {
  const inUse = grown(64 * KIB, (meta) => void meta.attach());
  equal(codeOf(moveMetadata(inUse, OLD_BYTES)), 165);
  const device = grown(64 * KIB);
  equal(codeOf(moveMetadata(device, OLD_BYTES - 4096)), 119);
  equal(codeOf(moveMetadata(device, OLD_BYTES * 2)), 111);
  device.faults = (_, offset) => offset === device.sizeBytes - 4096;
  equal(codeOf(moveMetadata(device, OLD_BYTES)), 118);
  ok(device.done.every((d) => d.operation === "read"));
});

Deno.test("cut short anywhere, no bit is lost", () => {
  const sizes = fc.constantFrom(4 * KIB, 12 * KIB, 36 * KIB, 400 * KIB);
  const fates = fc.tuple(sizes, fc.nat(14), fc.infiniteStream(fc.boolean()));
  fc.assert(
    fc.property(fates, ([byBytes, failsAfter, keeps]) => {
      const device = grown(byBytes);
      let left = failsAfter;
      device.faults = () => left-- <= 0;
      try {
        moveMetadata(device, OLD_BYTES);
      } catch (error) {
        if (!(error instanceof DeviceError)) throw error;
      }
      const after = device.crash(() => keeps.next().value === true);
      const meta = moveMetadata(after, OLD_BYTES);
      if ("problem" in meta) throw new Error(meta.problem.detail);
      applyActivityLog(meta);
      equal(meta.superblock.uuids.current, 99n);
      const { bitmap } = open(after).loadBitmap().file;
      ok(BITS.every((bit) => bitmap.has(bit)));
    }),
    { numRuns: 200 },
  );
});
