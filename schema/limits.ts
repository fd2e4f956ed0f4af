/**
 * Every limit of the system, in one place, with the relations between them.
 *
 * A limit that is only a number invites the question "why"; each one here says
 * where it comes from. The relations at the end run when the module loads, so a
 * change that breaks one stops every program and every test at once.
 *
 * @module
 */

/** One kibibyte, in bytes. */
export const KIB = 1024;
/** One mebibyte, in bytes. */
export const MIB: number = 1024 * KIB;
/** One gibibyte, in bytes. */
export const GIB: number = 1024 * MIB;

/** Largest value that Deno KV accepts, in bytes. Source: denokv limits. */
export const KV_VALUE_BYTES_MAX: number = 64 * KIB;

/** Most members of one group. Source: FastDFS allows 32, a KV value fewer. */
export const GROUP_NODES_MAX = 16;

/** Budget for one member in a group record, in bytes of JSON. */
export const GROUP_MEMBER_BYTES_MAX: number = 2 * KIB;

/** Largest node ID: a file ID holds 24 bits. Source: fastdfs-protocol.md §6. */
export const NODE_ID_MAX: number = 2 ** 24 - 1;
/** As the maker of a file: a storage of FastDFS. No node has this number. */
export const NOBODY: number = NODE_ID_MAX;

/**
 * Lowest version of a file that was taken in with its ID and may come again: no
 * file is changed so often. Its tombstone is never forgotten.
 */
export const KEPT_VERSION_MIN: number = 2 ** 24;

/**
 * Highest epoch that a node may report. Sums with steps of `force` stay far
 * below what a frame and a JSON number hold, whatever a hostile node says.
 */
export const EPOCH_REPORTED_MAX: number = 2 ** 47;

/** Most store paths of a node: two hexadecimal digits. Source: FastDFS. */
export const STORE_PATHS_MAX = 256;

/**
 * Bodies up to this size, in bytes, travel with their change record: in the
 * agent's database transaction, and in one frame to a peer. Larger ones are
 * staged as files first.
 */
export const INLINE_BODY_BYTES_MAX: number = 64 * KIB;

/**
 * New files up to this size, in bytes, may travel with their change record too:
 * over {@linkcode INLINE_BODY_BYTES_MAX} their bytes lie in a journal of the
 * store path instead of the database. From here on a file of its own costs less.
 */
export const RECORD_BODY_BYTES_MAX: number = 256 * KIB;

/** Largest body of a frame between agents, in bytes. */
export const FRAME_BODY_BYTES_MAX: number = MIB;

/** Unit of the block checksums of a stored file, in bytes. */
export const CHECKSUM_BLOCK_BYTES: number = MIB;

/** Longest life of a capability, in milliseconds: 15 minutes. */
export const CAPABILITY_LIFE_MS_MAX: number = 15 * 60 * 1000;

/** Longest user metadata name, in bytes. Source: FastDFS. */
export const META_NAME_BYTES_MAX = 64;
/** Longest user metadata value, in bytes. Source: FastDFS. */
export const META_VALUE_BYTES_MAX = 256;
/** Most metadata entries of one file. */
export const META_ENTRIES_MAX = 64;
/** Longest original file name kept as data, in bytes. Source: users.md §7. */
export const FILE_NAME_BYTES_MAX = 1024;

/** Longest JSON request body that a tracker or agent reads, in bytes. */
export const JSON_BODY_BYTES_MAX: number = 64 * KIB;

/** Most parts in one multi-range answer. */
export const RANGES_MAX = 32;

/** How long an `Idempotency-Key` is remembered, in ms: a day. */
export const IDEMPOTENCY_KEY_LIFE_MS: number = 24 * 60 * 60 * 1000;

/** How long a change may wait for the flush at levels A and B, in ms. */
export const FLUSH_DELAY_MS = 50;

relation(
  "a full group record fits one KV value",
  GROUP_NODES_MAX * GROUP_MEMBER_BYTES_MAX <= KV_VALUE_BYTES_MAX,
);
relation(
  "an inline body travels in one frame",
  INLINE_BODY_BYTES_MAX <= RECORD_BODY_BYTES_MAX &&
    RECORD_BODY_BYTES_MAX * 3 <= FRAME_BODY_BYTES_MAX,
);

function relation(claim: string, holds: boolean): void {
  if (!holds) throw new Error(`limits.ts contradicts itself: ${claim}`);
}
