/**
 * Metadata as `drbdmeta` prints it: `get-gi`, `dstate`, `dump-md`.
 *
 * `dump-md` of drbdmeta 9.22 shows flags of 0 always; we show what is there, as
 * 9.34 does.
 *
 * @module
 */

import {
  bitmapBytesOfBits,
  bitsOfSectors,
  type MetaGeometry,
} from "./geometry.ts";
import {
  flagsWord,
  type MetaFlag,
  type MetaSuperblock,
  needsActivityLog,
} from "./superblock.ts";
import { BIT_BYTES, META_BLOCK_BYTES } from "./units.ts";

/** Flags in the order of `get-gi`, after the UUIDs. */
const GI_FLAGS: readonly MetaFlag[] = [
  "Consistent",
  "WasUpToDate",
  "PrimaryInd",
  "ConnectedInd",
  "FullSync",
  "PeerOutDated",
  "CrashedPrimary",
];

/** Words of one line of a bitmap. */
const LINE_WORDS = 4;
/** Words between two remarks about the place. */
const REMARK_WORDS = 32;
/** What a word stands for, in KiB. */
const WORD_KIB = 64 * BIT_BYTES / 1024;

/** `get-gi`: UUIDs and flags in one line, without its end. */
export function generationText(superblock: MetaSuperblock): string {
  const { current, bitmap, history } = superblock.uuids;
  const uuids = [current, bitmap, ...history].map((uuid) => hex(uuid));
  const flags = GI_FLAGS.map((flag) => superblock.flags.has(flag) ? 1 : 0);
  return [...uuids, ...flags].join(":");
}

/** `dstate`: what the data is, as far as this side alone can tell. */
export function dataState(
  { flags }: MetaSuperblock,
): "Inconsistent" | "Outdated" | "Consistent" | "UpToDate" {
  if (!flags.has("Consistent")) return "Inconsistent";
  if (!flags.has("WasUpToDate")) return "Outdated";
  return flags.has("PeerOutDated") ? "UpToDate" : "Consistent";
}

/** Bytes of the bitmap that a dump shows: those of the agreed size. */
export function dumpedBitmapBytes(superblock: MetaSuperblock): number {
  const bits = bitsOfSectors(superblock.laSizeSectors);
  const bytes = bitmapBytesOfBits(bits);
  return Math.ceil(bytes / META_BLOCK_BYTES) * META_BLOCK_BYTES;
}

/** What `dump-md` shows. */
export interface Dump {
  /** The superblock. */
  readonly superblock: MetaSuperblock;
  /** Where everything is. */
  readonly geometry: MetaGeometry;
  /** {@linkcode dumpedBitmapBytes} bytes of the bitmap. */
  readonly bitmap: Uint8Array;
  /** When, as in the second line, after `# `. */
  readonly date: string;
  /** Where and by which command, as in the third line, after `# `. */
  readonly command: string;
}

/** `dump-md`: everything, in lines. */
export function dumpText(dump: Dump): string {
  const { superblock, geometry, bitmap } = dump;
  const { uuids, flags, unknownFlags } = superblock;
  const word = flagsWord(flags, unknownFlags).toString(16).padStart(8, "0");
  const names = [uuids.current, uuids.bitmap, ...uuids.history]
    .map((uuid) => `0x${hex(uuid)};`).join(" ");
  return `# DRBD meta data dump
# ${dump.date}
# ${dump.command}
#

version "v08";

${
    needsActivityLog(superblock)
      ? UNCLEAN
      : ""
  }# md_size_sect ${geometry.mdSizeSectors}
# md_offset ${geometry.superblockOffset}
# al_offset ${geometry.alOffset}
# bm_offset ${geometry.bmOffset}

uuid {
    ${names}
    flags 0x${word};
}
# al-extents ${superblock.alNrExtents};
la-size-sect ${superblock.laSizeSectors};
bm-byte-per-bit ${superblock.bmBytesPerBit};
device-uuid 0x${hex(superblock.deviceUuid)};
la-peer-max-bio-size ${superblock.laPeerMaxBioBytes};
al-stripes ${superblock.alStripes};
al-stripe-size-4k ${superblock.alStripeSize4k};
# bm-bytes ${bitmap.length};
${bitmapText(bitmap)}`;
}

const UNCLEAN = `This_is_an_unclean_meta_data_dump._Don't_trust_the_bitmap.
# You should "apply-al" first, if you plan to restore this.

`;

function bitmapText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = bytes.length / 8;
  const lines = ["bm {"];
  let setBits = 0;
  for (let at = 0; at < words;) {
    if (at % REMARK_WORDS === 0) lines.push(`   # at ${at * WORD_KIB}kB`);
    const word = view.getBigUint64(at * 8, true);
    let end = at + 1;
    while (end < words && view.getBigUint64(end * 8, true) === word) end++;
    const run = Math.floor((end - at) / LINE_WORDS) * LINE_WORDS;
    if (run > LINE_WORDS) {
      lines.push(`    ${run} times 0x${hex(word)};`);
      setBits += run * bitsIn(word);
      at += run;
      continue;
    }
    const four = [0, 1, 2, 3].map((n) => view.getBigUint64((at + n) * 8, true));
    lines.push(`    ${four.map((each) => `0x${hex(each)};`).join(" ")}`);
    setBits += four.reduce((sum, each) => sum + bitsIn(each), 0);
    at += LINE_WORDS;
  }
  return [...lines, "}", `# bits-set ${setBits};`, ""].join("\n");
}

function bitsIn(word: bigint): number {
  return word.toString(2).replaceAll("0", "").length;
}

function hex(value: bigint): string {
  return value.toString(16).padStart(16, "0").toUpperCase();
}
