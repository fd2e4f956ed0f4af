/**
 * Where the parts of the metadata lie, and how much of the device is left.
 *
 * ```text
 * internal   data … │ bitmap │ log │ superblock │  (last whole 4 KiB block)
 * flexible   superblock │ log │ bitmap …           (a device of its own)
 * indexed    128 MiB per resource, each laid out as flexible
 * ```
 *
 * Source: reference of DRBD, §4.1 and §4.8.
 *
 * @module
 */

import {
  AL_STRIPE_BLOCKS_DEFAULT,
  BIT_BYTES,
  BIT_SECTORS,
  DEVICE_SECTORS_MAX,
  INDEXED_SLOT_SECTORS,
  META_BLOCK_BYTES,
  META_BLOCK_SECTORS,
  SECTOR_BYTES,
} from "./units.ts";
import { AL_BLOCKS_MAX, type MetaSuperblock } from "./superblock.ts";

/** Where the metadata of a resource is kept. */
export type MetaPlacement =
  /** `meta-disk internal`: at the end of the data's own device. */
  | { readonly kind: "internal" }
  /** `flexible-meta-disk`, `meta-disk DEVICE`: a whole device. */
  | { readonly kind: "flexible" }
  /** `meta-disk DEVICE [N]`: the N-th 128 MiB of a device. */
  | { readonly kind: "indexed"; readonly index: number };

/** How the activity log is spread over a RAID. */
export interface AlStriping {
  /** `al-stripes`. */
  readonly stripes: number;
  /** `al-stripe-size`, in blocks of 4 KiB. */
  readonly stripeSize4k: number;
}

/** What a layout is computed from. Sizes are bytes of whole devices. */
export interface GeometryInput {
  /** Where the metadata is. */
  readonly placement: MetaPlacement;
  /** The device that holds the data. */
  readonly dataDeviceBytes: number;
  /** The device that holds the metadata; not used for internal. */
  readonly metaDeviceBytes?: number;
  /** Default: one stripe of 32 KiB. */
  readonly striping?: AlStriping;
  /** External metadata that exists offers what it has room for; new one is refused. */
  readonly exists?: boolean;
}

/** Where everything is, in bytes of the device that holds the metadata. */
export interface MetaGeometry {
  /** Where the metadata is. */
  readonly placement: MetaPlacement;
  /** Data that a volume can offer, in sectors. */
  readonly usableSectors: number;
  /** The superblock: 4 KiB. */
  readonly superblockOffset: number;
  /** The activity log. */
  readonly alOffset: number;
  /** Length of the activity log. */
  readonly alBytes: number;
  /** The bitmap. */
  readonly bmOffset: number;
  /** Room for the bitmap, as stored in whole blocks of 4 KiB. */
  readonly bmRoomBytes: number;
  /** As in the superblock: whole metadata, in sectors. */
  readonly mdSizeSectors: number;
  /** As in the superblock: log from the superblock, in sectors. */
  readonly alOffsetSectors: number;
  /** As in the superblock: bitmap from the superblock, in sectors. */
  readonly bmOffsetSectors: number;
  /** How the log is spread. */
  readonly striping: AlStriping;
}

/** Why no layout fits. */
export interface GeometryProblem {
  /** Which device is too small, too large, or which option is wrong. */
  readonly kind: "data-too-small" | "meta-too-small" | "bad-striping";
  /** One sentence with the numbers. */
  readonly detail: string;
}

/** Smallest device that `drbdmeta` accepts, in bytes. */
export const DEVICE_BYTES_MIN: number = 68 * 1024;

/** The striping when none is configured. */
export const STRIPING_DEFAULT: AlStriping = {
  stripes: 1,
  stripeSize4k: AL_STRIPE_BLOCKS_DEFAULT,
};

/** Bits that cover `sectors` of data; the last may cover less than 4 KiB. */
export function bitsOfSectors(sectors: number): number {
  return Math.ceil(sectors / BIT_SECTORS);
}

/** Bytes of a bitmap of `bits`, in whole 64-bit words. */
export function bitmapBytesOfBits(bits: number): number {
  return Math.ceil(bits / 64) * 8;
}

/** Where the superblock of a placement is, in bytes of its device. */
export function superblockOffsetOf(
  placement: MetaPlacement,
  metaDeviceBytes: number,
): number {
  switch (placement.kind) {
    case "internal":
      return (Math.floor(metaDeviceBytes / META_BLOCK_BYTES) - 1) *
        META_BLOCK_BYTES;
    case "flexible":
      return 0;
    case "indexed":
      return placement.index * INDEXED_SLOT_SECTORS * SECTOR_BYTES;
  }
}

/** The layout that new metadata gets. */
export function layOut(
  input: GeometryInput,
): MetaGeometry | { readonly problem: GeometryProblem } {
  const striping = input.striping ?? STRIPING_DEFAULT;
  const problem = stripingProblem(striping) ?? sizeProblem(input);
  if (problem !== undefined) return { problem };
  return input.placement.kind === "internal"
    ? layOutInternal(input.dataDeviceBytes, striping)
    : layOutExternal(input, striping);
}

/** The layout that a stored superblock tells, if its device can hold it. */
export function layoutOf(
  superblock: MetaSuperblock,
  input: GeometryInput,
): MetaGeometry | { readonly problem: GeometryProblem } {
  const striping = {
    stripes: superblock.alStripes,
    stripeSize4k: superblock.alStripeSize4k,
  };
  // A device for metadata alone may have grown: nothing moves in it.
  const { placement, metaDeviceBytes = 0 } = input;
  const toldBytes = superblock.mdSizeSectors * SECTOR_BYTES;
  const wanted = layOut({
    ...input,
    striping,
    exists: true,
    ...(placement.kind === "flexible" && toldBytes < metaDeviceBytes
      ? { metaDeviceBytes: toldBytes }
      : {}),
  });
  if ("problem" in wanted) return wanted;
  const mismatch = MISPLACED.find(([, of]) => of(superblock) !== of(wanted));
  if (mismatch === undefined) return wanted;
  const [name, of] = mismatch;
  return refuse(
    "meta-too-small",
    `the superblock says ${name} ${of(superblock)}, the device asks for ` +
      `${of(wanted)}: it was resized, or this is another device's metadata`,
  );
}

/** The fields of a superblock that follow from the device. */
const MISPLACED: readonly (readonly [
  string,
  (
    at: Pick<
      MetaSuperblock,
      "alOffsetSectors" | "bmOffsetSectors" | "mdSizeSectors"
    >,
  ) => number,
])[] = [
  ["al_offset", (at) => at.alOffsetSectors],
  ["bm_offset", (at) => at.bmOffsetSectors],
  ["md_size_sect", (at) => at.mdSizeSectors],
];

function layOutInternal(
  deviceBytes: number,
  striping: AlStriping,
): MetaGeometry | { readonly problem: GeometryProblem } {
  const placement: MetaPlacement = { kind: "internal" };
  const alSectors = alSectorsOf(striping);
  const deviceSectors = Math.floor(deviceBytes / SECTOR_BYTES);
  // Counted for the whole device: some bits are for the metadata itself.
  const bmSectors = bmSectorsOf(deviceSectors);
  const superblockOffset = superblockOffsetOf(placement, deviceBytes);
  const bmOffsetSectors = -(alSectors + bmSectors);
  const bmOffset = superblockOffset + bmOffsetSectors * SECTOR_BYTES;
  if (bmOffset < META_BLOCK_BYTES) {
    return refuse(
      "data-too-small",
      `${deviceBytes} bytes leave no room for data beside the metadata`,
    );
  }
  return {
    placement,
    usableSectors: bmOffset / SECTOR_BYTES,
    superblockOffset,
    alOffset: superblockOffset - alSectors * SECTOR_BYTES,
    alBytes: alSectors * SECTOR_BYTES,
    bmOffset,
    bmRoomBytes: bmSectors * SECTOR_BYTES,
    mdSizeSectors: META_BLOCK_SECTORS + alSectors + bmSectors,
    alOffsetSectors: -alSectors,
    bmOffsetSectors,
    striping,
  };
}

function layOutExternal(
  input: GeometryInput,
  striping: AlStriping,
): MetaGeometry | { readonly problem: GeometryProblem } {
  const { placement, dataDeviceBytes, metaDeviceBytes = 0 } = input;
  const superblockOffset = superblockOffsetOf(placement, metaDeviceBytes);
  const alSectors = alSectorsOf(striping);
  const bmOffsetSectors = META_BLOCK_SECTORS + alSectors;
  const mdSizeSectors = placement.kind === "indexed"
    ? INDEXED_SLOT_SECTORS
    : Math.floor(metaDeviceBytes / SECTOR_BYTES);
  const bmRoomSectors = mdSizeSectors - bmOffsetSectors;
  const end = superblockOffset + mdSizeSectors * SECTOR_BYTES;
  const dataSectors = Math.floor(dataDeviceBytes / SECTOR_BYTES);
  const usableSectors = input.exists === true
    ? Math.min(dataSectors, sectorsOfBitmap(bmRoomSectors))
    : dataSectors;
  if (end > metaDeviceBytes || bmSectorsOf(usableSectors) > bmRoomSectors) {
    return refuse(
      "meta-too-small",
      `${metaDeviceBytes} bytes hold no metadata for ${usableSectors} sectors`,
    );
  }
  return {
    placement,
    usableSectors,
    superblockOffset,
    alOffset: superblockOffset + META_BLOCK_BYTES,
    alBytes: alSectors * SECTOR_BYTES,
    bmOffset: superblockOffset + bmOffsetSectors * SECTOR_BYTES,
    bmRoomBytes: bmSectorsOf(usableSectors) * SECTOR_BYTES,
    mdSizeSectors,
    alOffsetSectors: META_BLOCK_SECTORS,
    bmOffsetSectors,
    striping,
  };
}

function alSectorsOf({ stripes, stripeSize4k }: AlStriping): number {
  return stripes * stripeSize4k * META_BLOCK_SECTORS;
}

/** A bitmap is kept in whole blocks of 4 KiB. */
function bmSectorsOf(deviceSectors: number): number {
  const bytes = Math.ceil(deviceSectors / BIT_SECTORS / 8);
  return Math.ceil(bytes / META_BLOCK_BYTES) * META_BLOCK_SECTORS;
}

/** Data that a bitmap in so much room can stand for. */
function sectorsOfBitmap(roomSectors: number): number {
  const blocks = Math.floor(roomSectors / META_BLOCK_SECTORS);
  return blocks * META_BLOCK_BYTES * 8 * BIT_SECTORS;
}

function stripingProblem(
  { stripes, stripeSize4k }: AlStriping,
): GeometryProblem | undefined {
  const blocks = stripes * stripeSize4k;
  // Fewer than two blocks cannot hold a torn transaction and a whole one.
  if (blocks >= 2 && blocks <= AL_BLOCKS_MAX) return undefined;
  return {
    kind: "bad-striping",
    detail: `an activity log has 2 to ${AL_BLOCKS_MAX} blocks, not ${blocks}`,
  };
}

function sizeProblem(input: GeometryInput): GeometryProblem | undefined {
  const { placement, dataDeviceBytes, metaDeviceBytes = 0 } = input;
  const sectors = dataDeviceBytes / SECTOR_BYTES;
  if (sectors > DEVICE_SECTORS_MAX) {
    return {
      kind: "meta-too-small",
      detail: `${dataDeviceBytes} bytes are over 1 PiB`,
    };
  }
  if (placement.kind === "internal") {
    if (dataDeviceBytes >= DEVICE_BYTES_MIN) return undefined;
    return {
      kind: "data-too-small",
      detail: `${dataDeviceBytes} bytes are under ${DEVICE_BYTES_MIN}`,
    };
  }
  if (dataDeviceBytes < BIT_BYTES) {
    return {
      kind: "data-too-small",
      detail: `${dataDeviceBytes} bytes of data are under ${BIT_BYTES}`,
    };
  }
  if (metaDeviceBytes >= DEVICE_BYTES_MIN) return undefined;
  return {
    kind: "meta-too-small",
    detail: `${metaDeviceBytes} bytes are under ${DEVICE_BYTES_MIN}`,
  };
}

function refuse(
  kind: GeometryProblem["kind"],
  detail: string,
): { readonly problem: GeometryProblem } {
  return { problem: { kind, detail } };
}
