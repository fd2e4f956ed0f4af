import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  decodeSuperblock,
  encodeSuperblock,
  flagsOfWord,
  flagsWord,
  META_FLAGS,
  type MetaFlag,
  type MetaSuperblock,
  needsActivityLog,
} from "./superblock.ts";

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const flagNames = Object.keys(META_FLAGS) as MetaFlag[];

const superblocks: fc.Arbitrary<MetaSuperblock> = fc.record({
  uuids: fc.record({
    current: uint64,
    bitmap: uint64,
    history: fc.tuple(uint64, uint64),
  }),
  flags: fc.subarray(flagNames).map((names) => new Set(names)),
  unknownFlags: fc.constantFrom(0, 0x80000000, 0x600),
  isClean: fc.boolean(),
  laSizeSectors: fc.maxSafeNat(),
  deviceUuid: uint64,
  registerEpoch: fc.maxSafeNat(),
  isSealed: fc.boolean(),
  mdSizeSectors: uint32,
  alOffsetSectors: int32,
  bmOffsetSectors: int32,
  alNrExtents: uint32,
  bmBytesPerBit: fc.constant(4096),
  laPeerMaxBioBytes: uint32,
  alStripes: fc.integer({ min: 1, max: 64 }),
  alStripeSize4k: fc.integer({ min: 1, max: 64 }),
});

Deno.test("a superblock survives its 4 KiB", () => {
  fc.assert(fc.property(superblocks, (superblock) => {
    deepEqual(decodeSuperblock(encodeSuperblock(superblock)), superblock);
  }));
});

Deno.test("a bit that flips in a sealed superblock is noticed", () => {
  const bits = fc.nat(512 * 8 - 1);
  fc.assert(fc.property(superblocks, bits, (superblock, bit) => {
    const block = encodeSuperblock({ ...superblock, isSealed: true });
    const at = bit >> 3;
    block[at] = (block[at] ?? 0) ^ 1 << (bit & 7);
    const result = decodeSuperblock(block);
    const isNoticed = "problem" in result;
    // Without the checksum, the rest is what it was.
    const isHarmless = block.subarray(484, 488).every((byte) => byte === 0);
    ok(isNoticed || isHarmless);
  }));
});

Deno.test("without a checksum nothing is checked, as DRBD has it", () => {
  fc.assert(fc.property(superblocks, (superblock) => {
    const block = encodeSuperblock({ ...superblock, isSealed: false });
    const isZero = block.subarray(484, 488).every((byte) => byte === 0);
    ok(isZero);
    block[8] = (block[8] ?? 0) ^ 1;
    ok(!("problem" in decodeSuperblock(block)));
  }));
});

Deno.test("all of it lies in the sector that a disk writes whole", () => {
  fc.assert(fc.property(superblocks, (superblock) => {
    const rest = encodeSuperblock(superblock).subarray(512);
    ok(rest.every((byte) => byte === 0));
  }));
});

Deno.test("any 4 KiB are read without a crash", () => {
  const bytes = fc.uint8Array({ minLength: 4096, maxLength: 4096 });
  fc.assert(fc.property(bytes, fc.boolean(), (block, hasMagic) => {
    if (hasMagic) block.set([0x83, 0x74, 0x02, 0x6b], 60);
    const result = decodeSuperblock(block);
    if (!hasMagic) ok("problem" in result);
  }));
});

Deno.test("what is not a v08 superblock is named", () => {
  const block = new Uint8Array(4096);
  deepEqual(decodeSuperblock(block), {
    problem: { kind: "no-signature", magic: 0 },
  });
  block.set([0x83, 0x74, 0x02, 0x6d], 60);
  deepEqual(decodeSuperblock(block), {
    problem: { kind: "other-version", version: "v09" },
  });
  block.set([0x83, 0x74, 0x02, 0x6b], 60);
  const noUnit = decodeSuperblock(block);
  ok("problem" in noUnit && noUnit.problem.kind === "bad-field");
  throws(() => decodeSuperblock(new Uint8Array(4095)), RangeError);
});

Deno.test("a log of absurd length is refused before anybody allocates it", () => {
  fc.assert(fc.property(superblocks, (superblock) => {
    const block = encodeSuperblock({
      ...superblock,
      alStripes: 0xffffffff,
      alStripeSize4k: 0xffffffff,
    });
    const result = decodeSuperblock(block);
    ok("problem" in result && result.problem.kind === "bad-field");
  }));
});

Deno.test("unknown flags and names do not mix", () => {
  equal(flagsWord(["Consistent", "AlClean"], 0x80000000), 0x80000081);
  deepEqual(flagsOfWord(0x80000081), new Set(["Consistent", "AlClean"]));
});

Deno.test("the log is applied unless magic and flag both say clean", () => {
  fc.assert(fc.property(superblocks, (superblock) => {
    const isClean = superblock.isClean && superblock.flags.has("AlClean");
    equal(needsActivityLog(superblock), !isClean);
  }));
});
