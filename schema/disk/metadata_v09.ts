/**
 * The v09 metadata: DRBD 9's, with a bitmap per peer.
 *
 * We run on v08. This module reads and writes v09's layouts for those who come
 * from DRBD 9, and as a check of our understanding.
 *
 * ```text
 * offset  size   field
 *      0     8   effective size, sectors
 *      8     8   current UUID
 *     16    32   reserved
 *     48     8   device UUID
 *     56     4   flags               as v08; peer states are in the peers' flags
 *     60     4   magic               0x8374026D
 *     64     4   metadata size, sectors
 *     68     4   log offset          signed, sectors, from the superblock
 *     72     4   log extents
 *     76     4   bitmap offset       signed, sectors, from the superblock
 *     80     4   bytes per bit
 *     84     4   peers' largest I/O, bytes
 *     88     4   most peers          how many bitmaps there are
 *     92     4   own node ID         signed
 *     96     4   log stripes
 *    100     4   log stripe size     blocks of 4 KiB
 *    112   32·i  peers 0 to 31: u64 bitmap UUID, u64 dagtag, u32 flags,
 *                s32 bitmap index, 8 reserved
 *   1136   8·i   history UUIDs 0 to 31
 * ```
 *
 * Source: reference of DRBD, §4.8.
 *
 * @module
 */

import { MAGIC_V09 } from "./superblock.ts";
import { META_BLOCK_BYTES } from "./units.ts";

/** Peers that a superblock has room for. */
export const V09_PEERS = 32;
/** Old UUIDs that a superblock has room for. */
export const V09_HISTORY = 32;

const AT_PEERS = 112;
const PEER_BYTES = 32;
const AT_HISTORY = 1136;

/** What is known of one peer. */
export interface V09Peer {
  /** The data that the peer had when its bitmap began to count. */
  readonly bitmapUuid: bigint;
  /** Position in the order of writes, in sectors. */
  readonly dagtag: bigint;
  /** The flags word. */
  readonly flags: number;
  /** Which of the bitmaps is its; −1: none. */
  readonly bitmapIndex: number;
}

/** A v09 superblock. Words of flags are left as they are. */
export interface V09Superblock {
  /** Size of the data, in sectors. */
  readonly effectiveSizeSectors: number;
  /** The data that we have. */
  readonly currentUuid: bigint;
  /** Name of this device. */
  readonly deviceUuid: bigint;
  /** The flags word. */
  readonly flags: number;
  /** Sectors of the whole metadata. */
  readonly mdSizeSectors: number;
  /** Activity log, in sectors from the superblock. */
  readonly alOffsetSectors: number;
  /** How many extents may be active. */
  readonly alNrExtents: number;
  /** Bitmaps, in sectors from the superblock. */
  readonly bmOffsetSectors: number;
  /** What a bit stands for, in bytes. */
  readonly bmBytesPerBit: number;
  /** Largest I/O of the peers, in bytes. */
  readonly laPeerMaxBioBytes: number;
  /** How many bitmaps there are. */
  readonly maxPeers: number;
  /** Our own node ID. */
  readonly nodeId: number;
  /** Stripes of the activity log. */
  readonly alStripes: number;
  /** Blocks of 4 KiB in a stripe. */
  readonly alStripeSize4k: number;
  /** By node ID, at most 32. Those that are missing are unknown peers. */
  readonly peers: readonly V09Peer[];
  /** Older UUIDs, youngest first, at most 32. */
  readonly history: readonly bigint[];
}

const PEER_UNKNOWN: V09Peer = {
  bitmapUuid: 0n,
  dagtag: 0n,
  flags: 0,
  bitmapIndex: -1,
};

/** Write a v09 superblock: 4096 bytes. */
export function encodeV09(superblock: V09Superblock): Uint8Array {
  const block = new Uint8Array(META_BLOCK_BYTES);
  const view = new DataView(block.buffer);
  view.setBigUint64(0, BigInt(superblock.effectiveSizeSectors));
  view.setBigUint64(8, superblock.currentUuid);
  view.setBigUint64(48, superblock.deviceUuid);
  view.setUint32(56, superblock.flags);
  view.setUint32(60, MAGIC_V09);
  view.setUint32(64, superblock.mdSizeSectors);
  view.setInt32(68, superblock.alOffsetSectors);
  view.setUint32(72, superblock.alNrExtents);
  view.setInt32(76, superblock.bmOffsetSectors);
  view.setUint32(80, superblock.bmBytesPerBit);
  view.setUint32(84, superblock.laPeerMaxBioBytes);
  view.setUint32(88, superblock.maxPeers);
  view.setInt32(92, superblock.nodeId);
  view.setUint32(96, superblock.alStripes);
  view.setUint32(100, superblock.alStripeSize4k);
  for (let id = 0; id < V09_PEERS; id++) {
    encodePeer(view, id, superblock.peers[id] ?? PEER_UNKNOWN);
  }
  for (let at = 0; at < V09_HISTORY; at++) {
    view.setBigUint64(AT_HISTORY + 8 * at, superblock.history[at] ?? 0n);
  }
  return block;
}

/** Read a v09 superblock of 4096 bytes; `undefined` when it is none. */
export function decodeV09(block: Uint8Array): V09Superblock | undefined {
  if (block.length !== META_BLOCK_BYTES) return undefined;
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const maxPeers = view.getUint32(88);
  if (view.getUint32(60) !== MAGIC_V09) return undefined;
  if (maxPeers < 1 || maxPeers > V09_PEERS) return undefined;
  return {
    effectiveSizeSectors: Number(view.getBigUint64(0)),
    currentUuid: view.getBigUint64(8),
    deviceUuid: view.getBigUint64(48),
    flags: view.getUint32(56),
    mdSizeSectors: view.getUint32(64),
    alOffsetSectors: view.getInt32(68),
    alNrExtents: view.getUint32(72),
    bmOffsetSectors: view.getInt32(76),
    bmBytesPerBit: view.getUint32(80),
    laPeerMaxBioBytes: view.getUint32(84),
    maxPeers,
    nodeId: view.getInt32(92),
    alStripes: view.getUint32(96),
    alStripeSize4k: view.getUint32(100),
    peers: Array.from({ length: V09_PEERS }, (_, id) => decodePeer(view, id)),
    history: Array.from(
      { length: V09_HISTORY },
      (_, at) => view.getBigUint64(AT_HISTORY + 8 * at),
    ),
  };
}

/** Bytes of the bitmaps of all peers together, in whole blocks. */
export function v09BitmapBytes(bits: number, maxPeers: number): number {
  const bytes = Math.ceil(bits / 64) * 8 * maxPeers;
  return Math.ceil(bytes / META_BLOCK_BYTES) * META_BLOCK_BYTES;
}

/** Where a peer's bit is: the bitmaps alternate every 32 bits. */
export function v09BitAt(
  bit: number,
  slot: number,
  maxPeers: number,
): { readonly byte: number; readonly mask: number } {
  const word = Math.floor(bit / 32) * maxPeers + slot;
  return { byte: word * 4 + ((bit & 31) >>> 3), mask: 1 << (bit & 7) };
}

function encodePeer(view: DataView, id: number, peer: V09Peer): void {
  const at = AT_PEERS + PEER_BYTES * id;
  view.setBigUint64(at, peer.bitmapUuid);
  view.setBigUint64(at + 8, peer.dagtag);
  view.setUint32(at + 16, peer.flags);
  view.setInt32(at + 20, peer.bitmapIndex);
}

function decodePeer(view: DataView, id: number): V09Peer {
  const at = AT_PEERS + PEER_BYTES * id;
  return {
    bitmapUuid: view.getBigUint64(at),
    dagtag: view.getBigUint64(at + 8),
    flags: view.getUint32(at + 16),
    bitmapIndex: view.getInt32(at + 20),
  };
}
