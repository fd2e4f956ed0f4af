/**
 * The units that DRBD's metadata counts in.
 *
 * Everything on disk is in sectors, blocks or extents; everything in our
 * programs is in bytes until it meets these layouts.
 *
 * Source: reference of DRBD, §4.1.
 *
 * @module
 */

/** One sector: the unit of every size and offset in a superblock, in bytes. */
export const SECTOR_BYTES = 512;

/** One metadata block: superblock, log transaction, bitmap page; in bytes. */
export const META_BLOCK_BYTES = 4096;

/** Sectors of one metadata block. */
export const META_BLOCK_SECTORS: number = META_BLOCK_BYTES / SECTOR_BYTES;

/** What one bit of the bitmap stands for, in bytes. */
export const BIT_BYTES = 4096;

/** Sectors of one bit. */
export const BIT_SECTORS: number = BIT_BYTES / SECTOR_BYTES;

/** One extent of the activity log, in bytes: 4 MiB. */
export const AL_EXTENT_BYTES: number = 4 * 1024 * 1024;

/** Bits of the bitmap in one extent of the activity log. */
export const AL_EXTENT_BITS: number = AL_EXTENT_BYTES / BIT_BYTES;

/** Extents that may be in the activity log unless configured otherwise. */
export const AL_EXTENTS_DEFAULT = 1237;

/** Fewest extents that `al-extents` allows. */
export const AL_EXTENTS_MIN = 67;

/** Most extents that `al-extents` allows. */
export const AL_EXTENTS_MAX = 65_534;

/** Blocks of one stripe of the activity log unless configured otherwise. */
export const AL_STRIPE_BLOCKS_DEFAULT = 8;

/** Largest device, in sectors: 1 PiB. */
export const DEVICE_SECTORS_MAX: number = 2 ** 41;

/** One slot of an indexed external metadata device, in sectors: 128 MiB. */
export const INDEXED_SLOT_SECTORS: number = 128 * 1024 * 1024 / SECTOR_BYTES;
