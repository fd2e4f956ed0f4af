import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { AL_FREE } from "@kedge/schema/disk/activity-log";
import { BIT_SECTORS } from "@kedge/schema/disk/units";
import { DeviceError } from "../raw_device.ts";
import { MemoryDevice } from "../memory_device.ts";
import { createMetadata } from "./create_metadata.ts";
import { type MetaDevice, type MetaRefusal, openMeta } from "./meta_device.ts";
import { applyActivityLog, invalidate, outdate } from "./recover.ts";

const MIB = 1024 * 1024;

function sourceOf(device: MemoryDevice) {
  const placement = { kind: "internal" as const };
  return { device, dataDeviceBytes: device.sizeBytes, placement };
}

function create(
  sizeBytes = 32 * MIB,
): { device: MemoryDevice; meta: MetaDevice } {
  const device = new MemoryDevice(sizeBytes);
  const result = createMetadata(sourceOf(device));
  if (result.kind !== "created") throw new Error(result.kind);
  return { device, meta: result.meta };
}

function open(device: MemoryDevice): MetaDevice {
  const meta = openMeta(sourceOf(device));
  if ("problem" in meta) throw new Error(meta.problem.detail);
  return meta;
}

function codeOf(result: MetaDevice | MetaRefusal): number | undefined {
  return "problem" in result ? result.problem.code : undefined;
}

Deno.test("new metadata is found again, clean, and just created", () => {
  const { device } = create();
  const meta = open(device.crash(() => false));
  equal(meta.superblock.uuids.current, 4n);
  ok(!meta.needsActivityLog);
  equal(meta.loadBitmap().file.bitmap.setBits, 0);
  equal(meta.attachProblem(), undefined);
});

Deno.test("what is no metadata is refused by its number", () => {
  equal(codeOf(openMeta(sourceOf(new MemoryDevice(MIB)))), 119);
  equal(codeOf(openMeta(sourceOf(new MemoryDevice(2048)))), 112);
  const { device } = create(600 * MIB);
  // The metadata of a larger disk, at the end of a smaller one.
  const cut = new MemoryDevice(device.bytes.slice(-32 * MIB));
  equal(codeOf(openMeta(sourceOf(cut))), 112);
  device.faults = (operation) => operation === "read";
  equal(codeOf(openMeta(sourceOf(device))), 118);
});

Deno.test("a disk that is smaller than its consistent data is refused", () => {
  const { meta } = create();
  const { usableSectors } = meta.geometry;
  equal(meta.attachProblem(usableSectors), undefined);
  equal(meta.attachProblem(usableSectors + 1)?.code, 111);
  const laSizeSectors = usableSectors + BIT_SECTORS;
  meta.writeSuperblock({ laSizeSectors });
  equal(meta.attachProblem(), undefined); // Nothing there to lose yet.
  const flags = new Set(meta.superblock.flags).add("Consistent");
  meta.writeSuperblock({ flags });
  equal(meta.attachProblem()?.code, 111);
});

Deno.test("a killed user leaves metadata that asks for its log", () => {
  const { device, meta } = create();
  const log = meta.attach();
  log.stage(0, 3);
  log.stage(1, 7);
  log.commit();
  deepEqual([...log.map.subarray(0, 3)], [3, 7, AL_FREE]);
  const after = open(device.crash(() => false));
  equal(after.attachProblem()?.code, 165);
  throws(() => after.attach());
  // Extent 7 reaches into the metadata: only a part of it is data.
  const { bits } = after.loadBitmap().file.bitmap;
  deepEqual(applyActivityLog(after), {
    kind: "applied",
    extents: 2,
    markedBits: 1024 + bits - 7 * 1024,
  });
  equal(applyActivityLog(after).kind, "not-needed");
  equal(after.attachProblem(), undefined);
});

Deno.test("a detached disk is clean, whatever its ring still says", () => {
  const { device, meta } = create();
  const log = meta.attach();
  log.stage(0, 3);
  log.commit();
  meta.detach();
  const after = open(device.crash(() => false));
  equal(applyActivityLog(after).kind, "not-needed");
  equal(after.attach().map[0], AL_FREE);
});

Deno.test("an unreadable log or bitmap is a full resync, never nothing", () => {
  for (const part of ["alOffset", "bmOffset"] as const) {
    const { device, meta } = create();
    meta.attach();
    const after = open(device);
    device.faults = (operation, offset) =>
      operation === "read" && offset === after.geometry[part];
    const result = applyActivityLog(after);
    equal(result.kind, "full-sync", part);
    device.faults = () => false;
    const { file, fullBecause } = open(device).loadBitmap();
    ok(fullBecause !== undefined);
    equal(file.bitmap.setBits, file.bitmap.bits);
  }
});

Deno.test("a full resync that was asked for is on disk once applied", () => {
  const damages: readonly ((device: MemoryDevice, meta: MetaDevice) => void)[] =
    [
      (_, meta) => invalidate(meta),
      (device, meta) => {
        device.faults = (operation, offset) =>
          operation === "read" && offset === meta.geometry.bmOffset;
      },
    ];
  for (const damage of damages) {
    const { device, meta } = create();
    damage(device, meta);
    equal(applyActivityLog(meta).kind, "full-sync");
    ok(meta.superblock.flags.has("FullSync"));
    device.faults = () => false;
    // Somebody takes the flag away and writes nothing else.
    const flags = new Set(meta.superblock.flags);
    flags.delete("FullSync");
    meta.writeSuperblock({ flags });
    const after = open(device.crash(() => false)).loadBitmap();
    equal(after.fullBecause, undefined);
    equal(after.file.bitmap.setBits, after.file.bitmap.bits);
  }
});

Deno.test("a full resync that cannot be written down is still asked for", () => {
  const { device, meta } = create();
  meta.attach();
  const { alOffset, bmOffset } = meta.geometry;
  device.faults = (operation, offset) =>
    operation === "read" && offset === alOffset ||
    operation === "write" && offset === bmOffset;
  throws(() => applyActivityLog(open(device)), DeviceError);
  const after = open(device.crash(() => false));
  ok(after.superblock.flags.has("FullSync"));
  ok(after.needsActivityLog);
});

Deno.test("a bitmap that cannot be read is all ones, until it is settled", () => {
  const { device, meta } = create();
  device.faults = (operation, offset) =>
    operation === "read" && offset === meta.geometry.bmOffset;
  const { file, fullBecause } = meta.loadBitmap();
  ok(fullBecause?.includes("cannot be read"));
  equal(file.bitmap.setBits, file.bitmap.bits);
  meta.settleFullSync(file);
  device.faults = () => false;
  const after = open(device.crash(() => false));
  ok(!after.superblock.flags.has("FullSync"));
  const again = after.loadBitmap();
  equal(again.fullBecause, undefined);
  equal(again.file.bitmap.setBits, again.file.bitmap.bits);
});

Deno.test("a Primary without a log differs everywhere after a crash", () => {
  const { device, meta } = create();
  meta.attach();
  const flags = new Set(meta.superblock.flags);
  meta.writeSuperblock({ flags: flags.add("AlDisabled").add("PrimaryInd") });
  equal(applyActivityLog(open(device)).kind, "full-sync");
});

Deno.test("after a failed write or flush nothing is written any more", () => {
  for (const failing of ["write", "flush"] as const) {
    const { device, meta } = create();
    const log = meta.attach();
    const { file } = meta.loadBitmap();
    device.faults = (operation) => operation === failing;
    log.stage(0, 1);
    throws(() => log.commit(), DeviceError);
    ok(meta.hasFailed);
    equal(log.map[0], AL_FREE);
    device.faults = () => false;
    const { length } = device.done;
    throws(() => log.commit(), DeviceError);
    throws(() => meta.writeSuperblock({}), DeviceError);
    file.setAll();
    throws(() => file.writeDirty(), DeviceError);
    throws(() => meta.detach(), DeviceError);
    equal(device.done.length, length);
  }
});

Deno.test("the superblock in memory is the one that is on disk", () => {
  const { device, meta } = create();
  device.faults = (operation) => operation === "flush";
  throws(() => meta.writeSuperblock({ laSizeSectors: 8 }), DeviceError);
  equal(meta.superblock.laSizeSectors, 0);
});

Deno.test("invalidate asks for all, outdate for nothing below it", () => {
  const { meta } = create();
  ok(!outdate(meta));
  const flags = new Set(["Consistent", "WasUpToDate", "AlClean"] as const);
  meta.writeSuperblock({ flags });
  ok(outdate(meta));
  deepEqual(meta.superblock.flags, new Set(["Consistent", "AlClean"]));
  invalidate(meta);
  deepEqual(meta.superblock.flags, new Set(["AlClean", "FullSync"]));
  ok(meta.loadBitmap().fullBecause !== undefined);
});

Deno.test("pages of a foreign bitmap are written where they belong", () => {
  const { device, meta } = create(600 * MIB);
  const { file } = meta.loadBitmap();
  const bytes = new Uint8Array(file.bitmap.bytes.length);
  for (const page of [0, 1, 3]) bytes[page * 4096 + 9] = 1 << page;
  const writes = () =>
    device.done.filter((d) => d.operation === "write").length;
  const before = writes();
  file.savePages(bytes, [0, 1, 3]);
  equal(writes() - before, 2); // 0 and 1 together
  const { bitmap } = open(device.crash(() => false)).loadBitmap().file;
  deepEqual(bitmap.bytes, bytes);
});

Deno.test("an extent that leaves takes only its page along", () => {
  const { device, meta } = create(600 * MIB);
  const { file } = meta.loadBitmap();
  file.bitmap.set({ from: 0, to: 1 });
  file.bitmap.set({ from: 33 * 1024, to: 33 * 1024 + 1 });
  ok(file.writeExtent(33));
  ok(!file.writeExtent(34));
  file.flush();
  const { bitmap } = open(device.crash(() => false)).loadBitmap().file;
  equal(bitmap.setBits, 1);
  equal(bitmap.nextSet(0), 33 * 1024);
});
