/**
 * A disk that says of every flush that it is done, and has it in a cache: a loss
 * of power takes any sectors of any writes. What an activity log then says.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import fc from "fast-check";
import { AL_FREE } from "@kedge/schema/disk/activity-log";
import { replayRing } from "@kedge/schema/disk/activity-log-replay";
import { MemoryDevice } from "../memory_device.ts";
import { createMetadata } from "./create_metadata.ts";

const SLOTS = 67;

class LyingDevice extends MemoryDevice {
  lies = false;

  override flush(): void {
    if (!this.lies) super.flush();
  }
}

const transactions = fc.array(
  fc.uniqueArray(
    fc.record({ slot: fc.nat(6), extent: fc.nat(30) }),
    { selector: ({ slot }) => slot, minLength: 1, maxLength: 4 },
  ),
  { maxLength: 20 }, // the ring has eight blocks
);

Deno.test("a log that lost transactions is an earlier one, or unusable", () => {
  let earlier = 0;
  let unusable = 0;
  // Mostly one way: else hardly any block is whole.
  const keeps = fc.infiniteStream(
    fc.oneof({ weight: 30, arbitrary: fc.constant(true) }, fc.boolean()),
  );
  fc.assert(
    fc.property(transactions, keeps, (all, keeps) => {
      const device = new LyingDevice(128 * 1024);
      const created = createMetadata({
        device,
        dataDeviceBytes: 160 * 1024 * 1024,
        placement: { kind: "flexible" },
      }, { alNrExtents: SLOTS });
      if (created.kind !== "created") throw new Error(created.kind);
      const { meta } = created;
      const log = meta.attach();
      device.lies = true;
      const stories = [new Set<number>()];
      const slots = new Map<number, number>();
      for (const updates of all) {
        const before = extentsOf(slots);
        for (const { slot, extent } of updates) {
          log.stage(slot, extent);
          slots.set(slot, extent);
        }
        log.commit();
        // In flight its block may be made again: then both count.
        const added = updates.map(({ extent }) => extent);
        stories.push(new Set([...before, ...added]), extentsOf(slots));
      }
      const after = device.crash(() => keeps.next().value === true);
      const { alBytes, alOffset, striping } = meta.geometry;
      const ring = after.bytes.subarray(alOffset, alOffset + alBytes);
      const replay = replayRing(ring, striping);
      if (replay.kind === "unusable") {
        unusable++;
        return;
      }
      const found = new Set(replay.extents);
      ok(stories.some((each) => isSame(each, found)), [...found].join());
      if (!isSame(extentsOf(slots), found)) earlier++;
    }),
    { numRuns: 200 },
  );
  ok(earlier > 0 && unusable > 0, `${earlier} earlier, ${unusable} unusable`);
});

function extentsOf(slots: ReadonlyMap<number, number>): Set<number> {
  return new Set([...slots.values()].filter((extent) => extent !== AL_FREE));
}

function isSame(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  return a.size === b.size && [...a].every((each) => b.has(each));
}
