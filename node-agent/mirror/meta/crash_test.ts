/**
 * Crashes anywhere: what was promised to be in the log or the bitmap is found
 * again, or everything is.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { AL_FREE } from "@kedge/schema/disk/activity-log";
import type { Bitmap } from "@kedge/schema/disk/bitmap";
import { DeviceError } from "../raw_device.ts";
import { MemoryDevice } from "../memory_device.ts";
import type { ActivityLogFile } from "./activity_log_file.ts";
import { type BitmapFile, bitsOfExtent } from "./bitmap_file.ts";
import { createMetadata } from "./create_metadata.ts";
import { type MetaDevice, openMeta } from "./meta_device.ts";
import { applyActivityLog } from "./recover.ts";

/** On a device of its own, so that a run copies little. */
const META_BYTES = 128 * 1024;
const DATA_BYTES = 160 * 1024 * 1024;
const EXTENTS = 40;
const SLOTS = 67;

/** What a volume does to its metadata. */
const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("activate" as const),
      slots: fc.uniqueArray(fc.nat(9), { minLength: 1, maxLength: 5 }),
      extent: fc.nat(EXTENTS - 1),
    }),
    fc.record({ do: fc.constant("dirty" as const), bit: fc.nat(39_000) }),
    fc.record({ do: fc.constant("save" as const) }),
    fc.record({ do: fc.constant("superblock" as const), size: fc.nat(1000) }),
  ),
  { maxLength: 25 },
);

/** When it fails, when recovery fails, and what the disk keeps. */
const fates = fc.record({
  failsAfter: fc.nat(60),
  recoveryFailsAfter: fc.nat(12),
  keeps: fc.infiniteStream(fc.boolean()),
});

/** The protocol of a volume, with what may be relied on so far. */
class Volume {
  /** Bits that were durable, and are never cleared here. */
  readonly durable = new Set<number>();
  readonly #dirty = new Set<number>();
  /**
   * Extents that a commit lets go. When it fails nobody knows whether it is on
   * disk; they may be gone, since their bits were saved and nobody wrote to them.
   */
  #leaving: readonly number[] = [];

  constructor(
    readonly meta: MetaDevice,
    readonly log: ActivityLogFile,
    readonly file: BitmapFile,
  ) {}

  run(step: CaseOf<typeof steps>[number]): void {
    switch (step.do) {
      case "activate":
        for (const [n, slot] of step.slots.entries()) {
          const old = this.log.map[slot] ?? AL_FREE;
          if (old !== AL_FREE) this.file.writeExtent(old);
          this.log.stage(slot, (step.extent + n) % EXTENTS);
        }
        this.file.flush();
        this.#leaving = step.slots.map((slot) => this.log.map[slot] ?? AL_FREE);
        this.log.commit();
        this.#leaving = [];
        return;
      case "dirty":
        this.file.bitmap.set({ from: step.bit, to: step.bit + 1 });
        this.#dirty.add(step.bit);
        return;
      case "save":
        this.file.writeDirty();
        this.file.flush();
        for (const bit of this.#dirty) this.durable.add(bit);
        return;
      case "superblock":
        return this.meta.writeSuperblock({ laSizeSectors: step.size });
    }
  }

  /** Everything that must be found again. */
  isIn(bitmap: Bitmap): boolean {
    const extents = [...this.log.map].filter((extent) =>
      extent !== AL_FREE && !this.#leaving.includes(extent)
    );
    return extents.every((extent) => {
      const { from, to } = bitsOfExtent(extent);
      const end = Math.min(to, bitmap.bits);
      return bitmap.count({ from, to: end }) === end - from;
    }) && [...this.durable].every((bit) => bitmap.has(bit));
  }
}

type CaseOf<T> = T extends fc.Arbitrary<infer U> ? U : never;

Deno.test("a crash anywhere loses nothing that was durable", () => {
  fc.assert(
    fc.property(steps, fates, (all, fate) => {
      const device = new MemoryDevice(META_BYTES);
      const created = createMetadata(sourceOf(device), { alNrExtents: SLOTS });
      if (created.kind !== "created") throw new Error(created.kind);
      const { meta } = created;
      const volume = new Volume(meta, meta.attach(), meta.loadBitmap().file);
      device.faults = failingAfter(fate.failsAfter);
      attempt(() => all.forEach((step) => volume.run(step)));

      const keepsNew = () => fate.keeps.next().value === true;
      // Recovery is cut short as well, then done again.
      const first = device.crash(keepsNew);
      const found = open(first);
      first.faults = failingAfter(fate.recoveryFailsAfter);
      attempt(() => void applyActivityLog(found));
      const second = open(first.crash(keepsNew));
      applyActivityLog(second);
      equal(second.needsActivityLog, false);
      ok(volume.isIn(second.loadBitmap().file.bitmap));
    }),
    { numRuns: 400 },
  );
});

Deno.test("a failed commit that is on disk all the same lets its extents go", () => {
  const device = new MemoryDevice(META_BYTES);
  const created = createMetadata(sourceOf(device), { alNrExtents: SLOTS });
  if (created.kind !== "created") throw new Error(created.kind);
  const { meta } = created;
  const volume = new Volume(meta, meta.attach(), meta.loadBitmap().file);
  volume.run({ do: "activate", slots: [0], extent: 0 });
  volume.run({ do: "dirty", bit: 0 });
  device.faults = failingAfter(2); // the bitmap is saved, the log is not
  attempt(() => volume.run({ do: "activate", slots: [0], extent: 1 }));
  const after = open(device.crash(() => true));
  applyActivityLog(after);
  const { bitmap } = after.loadBitmap().file;
  ok(bitmap.has(0));
  ok(volume.isIn(bitmap));
});

Deno.test("create-md cut short: all of the old, none, or all of the new", () => {
  fc.assert(
    fc.property(fates, ({ failsAfter, keeps }) => {
      const device = new MemoryDevice(META_BYTES);
      createMetadata(sourceOf(device));
      const old = open(device);
      old.writeSuperblock({
        uuids: { current: 99n, bitmap: 98n, history: [0n, 0n] },
      });
      const { file } = old.loadBitmap();
      file.bitmap.set({ from: 5, to: 500 });
      file.writeDirty();
      file.flush();
      device.faults = failingAfter(failsAfter % 10);
      attempt(() =>
        void createMetadata(sourceOf(device), { isConfirmed: true })
      );
      const after = openMeta(
        sourceOf(device.crash(() => keeps.next().value === true)),
      );
      if ("problem" in after) return equal(after.problem.code, 119);
      const { setBits } = after.loadBitmap().file.bitmap;
      equal(setBits, after.superblock.uuids.current === 99n ? 495 : 0);
    }),
    { numRuns: 100 },
  );
});

function sourceOf(device: MemoryDevice) {
  const placement = { kind: "flexible" as const };
  return { device, dataDeviceBytes: DATA_BYTES, placement };
}

function open(device: MemoryDevice): MetaDevice {
  const meta = openMeta(sourceOf(device));
  if ("problem" in meta) throw new Error(meta.problem.detail);
  return meta;
}

/** The device fails from the n-th operation on. */
function failingAfter(operations: number): () => boolean {
  let left = operations;
  return () => left-- <= 0;
}

function attempt(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
  }
}
