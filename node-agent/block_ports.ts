/**
 * What the block export (`nbd/`) needs of a block device, in the export's own
 * terms. The mirror implements it (`mirror/`), a plain file does too (tests,
 * local benchmark). Both run in one volume Worker, so calls are synchronous
 * and completions are callbacks: no promise per request on the hot path.
 *
 * @module
 */

/**
 * An error as NBD puts it on the wire (reference: NBD protocol, error values).
 * 0 means success.
 */
export const BlockErrno = {
  OK: 0,
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** One of the numbers of {@link BlockErrno}. */
export type BlockErrno = typeof BlockErrno[keyof typeof BlockErrno];

/**
 * Called exactly once per request, with 0 or the error. It may be called
 * before the request method returns, and in any order among requests.
 */
export type BlockDone = (errno: BlockErrno) => void;

/** How a range shall be zeroed. */
export interface ZeroOptions {
  /** Durable before `done`. */
  readonly fua: boolean;
  /** A hole may be punched. */
  readonly mayPunch: boolean;
  /** Fail with ENOTSUP at once instead of writing zeroes slowly. */
  readonly fastOnly: boolean;
}

/**
 * An open device. Offsets and lengths are bytes; the caller has checked that
 * they lie inside `sizeBytes` (read again before each check: it may grow).
 *
 * Between two calls of {@link BlockDevice.settle} the device may hold back
 * what it can send together (peer frames, activity-log transactions).
 */
export interface BlockDevice {
  /** Size of the export in bytes; may grow while it is open. */
  readonly sizeBytes: number;
  /**
   * Fill `into` with what is at `offset`. The device may keep `into` until
   * `done`; the caller does not touch it meanwhile.
   */
  read(offset: number, into: Uint8Array, done: BlockDone): void;
  /**
   * Write `data`, at most {@link MAX_PIECE_BYTES} long. `data` is only valid
   * during the call: a device that must wait copies it. Of a longer request with
   * FUA the pieces come without it, and one `flush` follows them.
   */
  write(
    offset: number,
    data: Uint8Array,
    fua: boolean,
    done: BlockDone,
  ): void;
  /** Make the range read back as zeroes. */
  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: ZeroOptions,
    done: BlockDone,
  ): void;
  /** Drop the range's content if that is possible; a hint. */
  trim(
    offset: number,
    lengthBytes: number,
    fua: boolean,
    done: BlockDone,
  ): void;
  /** `done` when every write answered before this call is stable, as far as the protocol promises. */
  flush(done: BlockDone): void;
  /**
   * The end of a batch of requests: send and submit what was held back. Also
   * follows a call that the export made between two batches.
   */
  settle(): void;
  /**
   * Undefined while more requests are welcome; otherwise a promise that
   * resolves when they are again. Asked after each batch.
   */
  pressure(): Promise<void> | undefined;
}

/** The longest `data` of one {@link BlockDevice.write}; longer requests are split by the caller. */
export const MAX_PIECE_BYTES = 128 * 1024;

/** Why an export cannot be opened now: told to the client in words. */
export interface BlockRefusal {
  /** One sentence: the cause and the next step. */
  readonly why: string;
}

/** An export that was found and may be opened. */
export interface BlockExport {
  /** Its canonical name. */
  readonly name: string;
  /** One line for people (`nbdinfo`). */
  readonly description: string;
  readonly readOnly: boolean;
  /** Whether a flush on one connection covers all of them. */
  readonly multiConn: boolean;
  readonly device: BlockDevice;
  /**
   * The unit of requests, a power of two: offsets and lengths that are no
   * multiple of it are refused before the device sees them. 1 takes any.
   */
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes: number;
}

/** The exports of one Worker. */
export interface BlockExports {
  /** Names for LIST, with their descriptions. */
  list(): readonly { readonly name: string; readonly description: string }[];
  /** Look an export up without opening it; "" is the default export. Undefined: no such name. */
  find(name: string): BlockExport | BlockRefusal | undefined;
  /**
   * A client enters transmission on `name`. From now on the device counts as
   * open, until the returned function is called.
   *
   * @param close Ends the client's connection: after the replies that are due,
   *   with ESHUTDOWN for what comes later. Called when the export goes away.
   */
  open(name: string, close: () => void): (() => void) | BlockRefusal;
}
