/**
 * Byte layouts of NBD's transmission phase, compact headers.
 *
 * ```text
 * request  0x25609513(4) command flags(2) type(2) cookie(8) offset(8) length(4)
 *          [WRITE: data[length]]
 * simple   0x67446698(4) error(4) cookie(8) [READ without error: data[length]]
 * chunk    0x668e33ef(4) flags(2) type(2) cookie(8) length(4) payload[length]
 *   NONE          no payload
 *   OFFSET_DATA   offset(8) data
 *   BLOCK_STATUS  context id(4), n × (length(4) status(4))
 *   ERROR         error(4) message length(2) message
 *   ERROR_OFFSET  error(4) message length(2) message offset(8)
 * ```
 *
 * All integers are big-endian. Everything is written into the caller's buffer
 * at a given place: the transmission loop allocates nothing per reply. Source:
 * the NBD protocol document.
 *
 * @module
 */

/** Types of requests. */
export const NbdCommand = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
} as const;

/** Bits of the command flags. */
export const CommandFlag = {
  FUA: 1 << 0,
  NO_HOLE: 1 << 1,
  DF: 1 << 2,
  REQ_ONE: 1 << 3,
  FAST_ZERO: 1 << 4,
} as const;

/** Length of a request without its data, in bytes. */
export const REQUEST_BYTES = 28;
/** Length of a simple reply without data, in bytes. */
export const SIMPLE_REPLY_BYTES = 16;
/** Length of a chunk's header, in bytes. */
export const CHUNK_HEADER_BYTES = 20;
/** What stands before the data of an OFFSET_DATA chunk, in bytes. */
export const DATA_CHUNK_BYTES: number = CHUNK_HEADER_BYTES + 8;
/** Length of an ERROR_OFFSET chunk without a message, in bytes. */
export const ERROR_OFFSET_CHUNK_BYTES: number = CHUNK_HEADER_BYTES + 14;
/** Length of an ERROR chunk without a message, in bytes. */
export const ERROR_CHUNK_BYTES: number = CHUNK_HEADER_BYTES + 6;
/** Length of a BLOCK_STATUS chunk with one extent, in bytes. */
export const STATUS_CHUNK_BYTES: number = CHUNK_HEADER_BYTES + 12;

const REQUEST_MAGIC = 0x2560_9513;
const SIMPLE_MAGIC = 0x6744_6698;
const CHUNK_MAGIC = 0x668e_33ef;
const FLAG_DONE = 1;
const TWO_32 = 2 ** 32;
const Chunk = {
  NONE: 0,
  OFFSET_DATA: 1,
  BLOCK_STATUS: 5,
  ERROR: 0x8001,
  ERROR_OFFSET: 0x8002,
} as const;

/** A request as it came. */
export interface NbdRequest {
  readonly flags: number;
  readonly type: number;
  /** Both halves of the client's opaque mark, echoed in the reply. */
  readonly cookieHigh: number;
  readonly cookieLow: number;
  /**
   * In bytes. Not exact from 2^53 on, but never rounded below that: every
   * comparison with the size of a device comes out right.
   */
  readonly offset: number;
  readonly lengthBytes: number;
}

/**
 * Read a request.
 *
 * @param view Of the input; {@linkcode REQUEST_BYTES} from `at` on are there.
 * @returns The request, or undefined when the magic is wrong.
 */
export function decodeRequest(
  view: DataView,
  at: number,
): NbdRequest | undefined {
  if (view.getUint32(at) !== REQUEST_MAGIC) return undefined;
  return {
    flags: view.getUint16(at + 4),
    type: view.getUint16(at + 6),
    cookieHigh: view.getUint32(at + 8),
    cookieLow: view.getUint32(at + 12),
    offset: view.getUint32(at + 16) * TWO_32 + view.getUint32(at + 20),
    lengthBytes: view.getUint32(at + 24),
  };
}

/** The client's mark of a request. */
export type Cookie = Pick<NbdRequest, "cookieHigh" | "cookieLow">;

/** Write a simple reply; {@linkcode SIMPLE_REPLY_BYTES}. */
export function putSimpleReply(
  view: DataView,
  at: number,
  cookie: Cookie,
  errno: number,
): void {
  view.setUint32(at, SIMPLE_MAGIC);
  view.setUint32(at + 4, errno);
  view.setUint32(at + 8, cookie.cookieHigh);
  view.setUint32(at + 12, cookie.cookieLow);
}

/** Write what stands before a chunk of data; {@linkcode DATA_CHUNK_BYTES}. */
export function putDataChunk(
  view: DataView,
  at: number,
  cookie: Cookie,
  data: {
    readonly offset: number;
    readonly lengthBytes: number;
    readonly isLast: boolean;
  },
): void {
  putChunk(view, at, cookie, {
    type: Chunk.OFFSET_DATA,
    lengthBytes: 8 + data.lengthBytes,
    isLast: data.isLast,
  });
  put64(view, at + CHUNK_HEADER_BYTES, data.offset);
}

/** Write the chunk that ends a reply without content; {@linkcode CHUNK_HEADER_BYTES}. */
export function putNoneChunk(view: DataView, at: number, cookie: Cookie): void {
  putChunk(view, at, cookie, {
    type: Chunk.NONE,
    lengthBytes: 0,
    isLast: true,
  });
}

/** Write the error that ends a reply; {@linkcode ERROR_CHUNK_BYTES}. */
export function putErrorChunk(
  view: DataView,
  at: number,
  cookie: Cookie,
  errno: number,
): void {
  putChunk(view, at, cookie, {
    type: Chunk.ERROR,
    lengthBytes: 6,
    isLast: true,
  });
  view.setUint32(at + CHUNK_HEADER_BYTES, errno);
  view.setUint16(at + CHUNK_HEADER_BYTES + 4, 0);
}

/** Write the error at an offset that ends a reply; {@linkcode ERROR_OFFSET_CHUNK_BYTES}. */
export function putErrorOffsetChunk(
  view: DataView,
  at: number,
  cookie: Cookie,
  error: { readonly errno: number; readonly offset: number },
): void {
  putChunk(view, at, cookie, {
    type: Chunk.ERROR_OFFSET,
    lengthBytes: 14,
    isLast: true,
  });
  view.setUint32(at + CHUNK_HEADER_BYTES, error.errno);
  view.setUint16(at + CHUNK_HEADER_BYTES + 4, 0);
  put64(view, at + CHUNK_HEADER_BYTES + 6, error.offset);
}

/** Write the status of one extent as a whole reply; {@linkcode STATUS_CHUNK_BYTES}. */
export function putStatusChunk(
  view: DataView,
  at: number,
  cookie: Cookie,
  extent: {
    readonly contextId: number;
    readonly lengthBytes: number;
    readonly status: number;
  },
): void {
  putChunk(view, at, cookie, {
    type: Chunk.BLOCK_STATUS,
    lengthBytes: 12,
    isLast: true,
  });
  view.setUint32(at + CHUNK_HEADER_BYTES, extent.contextId);
  view.setUint32(at + CHUNK_HEADER_BYTES + 4, extent.lengthBytes);
  view.setUint32(at + CHUNK_HEADER_BYTES + 8, extent.status);
}

function putChunk(
  view: DataView,
  at: number,
  cookie: Cookie,
  chunk: {
    readonly type: number;
    readonly lengthBytes: number;
    readonly isLast: boolean;
  },
): void {
  view.setUint32(at, CHUNK_MAGIC);
  view.setUint16(at + 4, chunk.isLast ? FLAG_DONE : 0);
  view.setUint16(at + 6, chunk.type);
  view.setUint32(at + 8, cookie.cookieHigh);
  view.setUint32(at + 12, cookie.cookieLow);
  view.setUint32(at + 16, chunk.lengthBytes);
}

function put64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / TWO_32));
  view.setUint32(at + 4, value % TWO_32);
}
