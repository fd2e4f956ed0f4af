/**
 * The v08 superblock: who this replica is and what it knows.
 *
 * ```text
 * offset  size  field                notes
 *      0     8  last agreed size     sectors of data; 0 before the first peer
 *      8  4 × 8 generation UUIDs     current, bitmap, history 0, history 1
 *     40     8  device UUID
 *     48     8  reserved             0
 *     56     4  flags                see META_FLAGS
 *     60     4  magic                0x8374026B clean, 0x8374026C unclean
 *     64     4  metadata size        sectors: superblock + log + bitmap
 *     68     4  log offset           signed, sectors, from the superblock
 *     72     4  log extents          how many may be active
 *     76     4  bitmap offset        signed, sectors, from the superblock
 *     80     4  bytes per bit        4096
 *     84     4  peer's largest I/O   bytes; 0 when unknown
 *     88     4  log stripes
 *     92     4  log stripe size      blocks of 4 KiB
 *    480     4  "KDGE"               ours: only when one of the next is not 0
 *    484     4  checksum             of this sector without it; 0: there is none
 *    488     8  register epoch       highest epoch of the volume's register
 * ```
 *
 * Big-endian; the rest of the 4 KiB is zero. All fields lie in the first
 * sector, which a disk writes whole or not at all: a torn superblock is the old
 * one or the new one.
 *
 * v08 has no checksum, so a bit that flips in a name or a flag would let old
 * data pass for good ones. What our daemon writes has one. DRBD and `drbdmeta`
 * write zeroes where ours is: then nothing is checked.
 *
 * The layout is DRBD's, so that its own `drbdmeta` reads our disks and we read
 * those that it wrote. Source: reference of DRBD, §4.8.
 *
 * @module
 */

import { crc32cDrbd } from "./crc32c.ts";
import { BIT_BYTES, META_BLOCK_BYTES } from "./units.ts";

/** Bits of the flags word. Source: reference of DRBD, §2.8. */
export const META_FLAGS = {
  /** The data is consistent in itself: better than Inconsistent. */
  Consistent: 1 << 0,
  /** This node is Primary, or was when it crashed. */
  PrimaryInd: 1 << 1,
  /** Connected to the peer when last written. */
  ConnectedInd: 1 << 2,
  /** The bitmap must be taken as all ones. */
  FullSync: 1 << 3,
  /** The data was better than Outdated. */
  WasUpToDate: 1 << 4,
  /** The peer's data is Outdated or Inconsistent. */
  PeerOutDated: 1 << 5,
  /** A Primary that crashed and has not seen its peer since. */
  CrashedPrimary: 1 << 6,
  /** The activity log was applied to the bitmap, or was never used. */
  AlClean: 1 << 7,
  /** The activity log was switched off: after a crash everything may differ. */
  AlDisabled: 1 << 8,
} as const;

/** The name of a flag. */
export type MetaFlag = keyof typeof META_FLAGS;

/** The four names of data that one replica remembers (64 bits each). */
export interface GenerationUuids {
  /** The data that we have; 4 is "just created". */
  readonly current: bigint;
  /** The data that the peer had when our bitmap began to count; 0 is none. */
  readonly bitmap: bigint;
  /** Older names, the younger one first. */
  readonly history: readonly [bigint, bigint];
}

/** A superblock, decoded. Its size and offsets are as stored: see geometry. */
export interface MetaSuperblock {
  /** Names of our data. */
  readonly uuids: GenerationUuids;
  /** What holds for our data. */
  readonly flags: ReadonlySet<MetaFlag>;
  /** Bits of the flags word that we have no name for; kept as they are. */
  readonly unknownFlags: number;
  /** The magic: `false` while attached, and after a crash. */
  readonly isClean: boolean;
  /** Data size that both sides agreed on, in sectors; 0 before that. */
  readonly laSizeSectors: number;
  /** Name of this device, or 0. */
  readonly deviceUuid: bigint;
  /**
   * Highest epoch of the volume's register that was acted on; 0 is none. Ours:
   * DRBD itself does not keep it.
   */
  readonly registerEpoch: number;
  /** Whether it has our checksum. */
  readonly isSealed: boolean;
  /** Sectors of the whole metadata. */
  readonly mdSizeSectors: number;
  /** Activity log, in sectors from the superblock; may be negative. */
  readonly alOffsetSectors: number;
  /** Bitmap, in sectors from the superblock; may be negative. */
  readonly bmOffsetSectors: number;
  /** How many extents may be active. */
  readonly alNrExtents: number;
  /** What a bit stands for, in bytes. */
  readonly bmBytesPerBit: number;
  /** Largest I/O of the peer, in bytes; 0 when unknown. */
  readonly laPeerMaxBioBytes: number;
  /** Stripes of the activity log. */
  readonly alStripes: number;
  /** Blocks of 4 KiB in a stripe of the activity log. */
  readonly alStripeSize4k: number;
}

/** Why a block is not a superblock that we can use. */
export type SuperblockProblem =
  /** No magic that we know: nothing, or something else, is here. */
  | { readonly kind: "no-signature"; readonly magic: number }
  /** DRBD's, of another version than v08. */
  | { readonly kind: "other-version"; readonly version: "v07" | "v09" }
  /** A field that cannot be. */
  | { readonly kind: "bad-field"; readonly detail: string };

/** Current UUID of data that was just created. */
export const UUID_JUST_CREATED = 4n;

/** Magic of a superblock whose activity log needs no replay. */
export const MAGIC_V08_CLEAN = 0x8374026b;
/** Magic of a superblock that is, or was when it crashed, attached. */
export const MAGIC_V08_UNCLEAN = 0x8374026c;
/** Magic of the version before. */
export const MAGIC_V07 = 0x8374026a;
/** Magic of the version after, clean or not. */
export const MAGIC_V09 = 0x8374026d;

/** Most blocks of an activity log: 16 MiB. Bounds what a reader allocates. */
export const AL_BLOCKS_MAX = 4096;

/** Where our own fields begin: the end of the first sector. */
const AT_OURS = 480;
/** "KDGE". */
const OURS = 0x4b444745;
const AT_CHECKSUM = 484;
const AT_EPOCH = 488;
const SECTOR_BYTES = 512;

const FLAG_NAMES = Object.keys(META_FLAGS) as MetaFlag[];
const FLAGS_KNOWN = FLAG_NAMES.reduce((all, n) => all | META_FLAGS[n], 0);

/** The word of a set of flags. */
export function flagsWord(flags: Iterable<MetaFlag>, unknown = 0): number {
  let word = unknown;
  for (const name of flags) word |= META_FLAGS[name];
  return word >>> 0;
}

/** The named flags of a word. */
export function flagsOfWord(word: number): Set<MetaFlag> {
  return new Set(FLAG_NAMES.filter((name) => (word & META_FLAGS[name]) !== 0));
}

/**
 * Whether the activity log must be applied before anybody trusts the bitmap.
 * The kernel's rule: the magic says so, or the flag is missing.
 */
export function needsActivityLog(superblock: MetaSuperblock): boolean {
  return !superblock.isClean || !superblock.flags.has("AlClean");
}

/**
 * Write a superblock.
 *
 * @param superblock Taken as it is; `geometry.ts` makes sensible ones.
 * @param into 4096 bytes, all of which are written. Default: fresh ones.
 */
export function encodeSuperblock(
  superblock: MetaSuperblock,
  into: Uint8Array = new Uint8Array(META_BLOCK_BYTES),
): Uint8Array {
  const view = viewOf(into);
  into.fill(0);
  const { uuids } = superblock;
  view.setBigUint64(0, BigInt(superblock.laSizeSectors));
  view.setBigUint64(8, uuids.current);
  view.setBigUint64(16, uuids.bitmap);
  view.setBigUint64(24, uuids.history[0]);
  view.setBigUint64(32, uuids.history[1]);
  view.setBigUint64(40, superblock.deviceUuid);
  view.setUint32(56, flagsWord(superblock.flags, superblock.unknownFlags));
  view.setUint32(60, superblock.isClean ? MAGIC_V08_CLEAN : MAGIC_V08_UNCLEAN);
  view.setUint32(64, superblock.mdSizeSectors);
  view.setInt32(68, superblock.alOffsetSectors);
  view.setUint32(72, superblock.alNrExtents);
  view.setInt32(76, superblock.bmOffsetSectors);
  view.setUint32(80, superblock.bmBytesPerBit);
  view.setUint32(84, superblock.laPeerMaxBioBytes);
  view.setUint32(88, superblock.alStripes);
  view.setUint32(92, superblock.alStripeSize4k);
  const { registerEpoch, isSealed } = superblock;
  if (registerEpoch !== 0 || isSealed) view.setUint32(AT_OURS, OURS);
  view.setBigUint64(AT_EPOCH, BigInt(registerEpoch));
  if (isSealed) view.setUint32(AT_CHECKSUM, checksumOf(into));
  return into;
}

/** Of the first sector, its own place left out; never 0. */
function checksumOf(block: Uint8Array): number {
  const before = crc32cDrbd(block.subarray(0, AT_CHECKSUM), OURS);
  return crc32cDrbd(block.subarray(AT_EPOCH, SECTOR_BYTES), before) || 1;
}

/**
 * Read a superblock. Whether its offsets fit the device is for
 * `geometry.ts` to judge.
 *
 * @param block 4096 bytes.
 */
export function decodeSuperblock(
  block: Uint8Array,
): MetaSuperblock | { readonly problem: SuperblockProblem } {
  const view = viewOf(block);
  const magic = view.getUint32(60);
  const problem = magicProblem(magic);
  if (problem !== undefined) return { problem };
  const isOurs = view.getUint32(AT_OURS) === OURS;
  // Also where our signature is what rotted: the epoch is gone with it.
  const checksum = view.getUint32(AT_CHECKSUM);
  if (checksum !== 0 && checksum !== checksumOf(block)) {
    return { problem: { kind: "bad-field", detail: "its checksum is wrong" } };
  }
  const word = view.getUint32(56);
  const superblock: MetaSuperblock = {
    uuids: {
      current: view.getBigUint64(8),
      bitmap: view.getBigUint64(16),
      history: [view.getBigUint64(24), view.getBigUint64(32)],
    },
    flags: flagsOfWord(word),
    unknownFlags: (word & ~FLAGS_KNOWN) >>> 0,
    isClean: magic === MAGIC_V08_CLEAN,
    laSizeSectors: Number(view.getBigUint64(0)),
    deviceUuid: view.getBigUint64(40),
    registerEpoch: isOurs ? Number(view.getBigUint64(AT_EPOCH)) : 0,
    isSealed: checksum !== 0,
    mdSizeSectors: view.getUint32(64),
    alOffsetSectors: view.getInt32(68),
    bmOffsetSectors: view.getInt32(76),
    alNrExtents: view.getUint32(72),
    bmBytesPerBit: view.getUint32(80),
    laPeerMaxBioBytes: view.getUint32(84),
    // Zero stands for the layout from before stripes could be chosen.
    alStripes: view.getUint32(88) || 1,
    alStripeSize4k: view.getUint32(92) || 8,
  };
  const detail = badField(superblock);
  if (detail === undefined) return superblock;
  return { problem: { kind: "bad-field", detail } };
}

function viewOf(block: Uint8Array): DataView {
  if (block.length !== META_BLOCK_BYTES) {
    throw new RangeError(
      `Cannot use ${block.length} bytes as a superblock: it has 4096`,
    );
  }
  return new DataView(block.buffer, block.byteOffset, block.byteLength);
}

function magicProblem(magic: number): SuperblockProblem | undefined {
  switch (magic) {
    case MAGIC_V08_CLEAN:
    case MAGIC_V08_UNCLEAN:
      return undefined;
    case MAGIC_V07:
      return { kind: "other-version", version: "v07" };
    case MAGIC_V09:
      return { kind: "other-version", version: "v09" };
    default:
      return { kind: "no-signature", magic };
  }
}

function badField(superblock: MetaSuperblock): string | undefined {
  const { bmBytesPerBit, laSizeSectors, alStripes, alStripeSize4k } =
    superblock;
  if (bmBytesPerBit !== BIT_BYTES) {
    return `bm-byte-per-bit is ${bmBytesPerBit}, must be ${BIT_BYTES}`;
  }
  if (!Number.isSafeInteger(laSizeSectors)) {
    return "la-size-sect is beyond any device";
  }
  if (!Number.isSafeInteger(superblock.registerEpoch)) {
    return "the epoch of the register is beyond any epoch";
  }
  if (alStripes * alStripeSize4k > AL_BLOCKS_MAX) {
    return `al-stripes ${alStripes} × al-stripe-size-4k ${alStripeSize4k} is ` +
      `over ${AL_BLOCKS_MAX} blocks`;
  }
  return undefined;
}
