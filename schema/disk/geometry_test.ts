import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import {
  bitmapBytesOfBits,
  bitsOfSectors,
  type GeometryInput,
  layOut,
  type MetaGeometry,
} from "./geometry.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;

const striping = fc.record({
  stripes: fc.integer({ min: 1, max: 8 }),
  stripeSize4k: fc.integer({ min: 2, max: 32 }),
});
const sizes = fc.oneof(
  fc.integer({ min: 68 * KIB, max: 4 * MIB }),
  fc.integer({ min: MIB, max: 16 * GIB }),
  fc.integer({ min: GIB, max: 1024 * TIB }),
);
const inputs: fc.Arbitrary<GeometryInput> = fc.record({
  placement: fc.oneof(
    fc.constant({ kind: "internal" as const }),
    fc.constant({ kind: "flexible" as const }),
    fc.record({ kind: fc.constant("indexed" as const), index: fc.nat(3) }),
  ),
  dataDeviceBytes: sizes,
  metaDeviceBytes: sizes,
  striping,
});

/** Where each part begins and ends, in bytes. */
function partsOf(geometry: MetaGeometry): (readonly [number, number])[] {
  const { superblockOffset, alOffset, alBytes, bmOffset, bmRoomBytes } =
    geometry;
  const parts: (readonly [number, number])[] = [
    [superblockOffset, superblockOffset + 4096],
    [alOffset, alOffset + alBytes],
    [bmOffset, bmOffset + bmRoomBytes],
  ];
  if (geometry.placement.kind === "internal") {
    parts.push([0, geometry.usableSectors * 512]);
  }
  return parts.sort(([a], [b]) => a - b);
}

Deno.test("parts never overlap, are aligned, and lie on the device", () => {
  fc.assert(fc.property(inputs, (input) => {
    const geometry = layOut(input);
    if ("problem" in geometry) return;
    const size = input.placement.kind === "internal"
      ? input.dataDeviceBytes
      : input.metaDeviceBytes ?? 0;
    let end = 0;
    for (const [from, to] of partsOf(geometry)) {
      ok(from >= end && to <= size);
      equal(from % 4096, 0);
      end = to;
    }
  }));
});

Deno.test("the bitmap has a bit for all that can be used", () => {
  fc.assert(fc.property(inputs, (input) => {
    const geometry = layOut(input);
    if ("problem" in geometry) return;
    ok(geometry.usableSectors * 512 <= input.dataDeviceBytes);
    const bits = bitsOfSectors(geometry.usableSectors);
    ok(bits * 8 >= geometry.usableSectors);
    ok(bitmapBytesOfBits(bits) <= geometry.bmRoomBytes);
  }));
});

Deno.test("a 2 GiB volume keeps 2097052 KiB, as in the tutorial", () => {
  const geometry = layOut({
    placement: { kind: "internal" },
    dataDeviceBytes: 2 * GIB,
  });
  ok(!("problem" in geometry));
  equal(geometry.mdSizeSectors, 200);
  equal(geometry.usableSectors / 2, 2_097_052);
});

Deno.test("what does not fit is refused with the reason", () => {
  const kinds = ([
    [{ kind: "internal" }, 64 * KIB, 0],
    [{ kind: "flexible" }, 16 * GIB, 128 * KIB],
    [{ kind: "flexible" }, GIB, 32 * KIB],
    [{ kind: "indexed", index: 2 }, GIB, 300 * MIB],
    [{ kind: "indexed", index: 0 }, 5 * TIB, 128 * MIB],
    [{ kind: "flexible" }, 0, 128 * MIB],
  ] as const).map(([placement, dataDeviceBytes, metaDeviceBytes]) => {
    const result = layOut({ placement, dataDeviceBytes, metaDeviceBytes });
    return "problem" in result ? result.problem.kind : "fits";
  });
  deepEqual(kinds, [
    "data-too-small",
    "meta-too-small",
    "meta-too-small",
    "meta-too-small",
    "meta-too-small",
    "data-too-small",
  ]);
});
