/**
 * The port below the mirror: a disk that is read, written and flushed.
 *
 * Calls are synchronous. They run in a volume's Worker or in a command, never
 * in the isolate that sends heartbeats: a slow disk would stop them. A test
 * puts a faulty disk behind the same interface.
 *
 * @module
 */

/** What a device was asked for when it failed. */
export type DeviceOperation = "open" | "read" | "write" | "flush";

/** A disk, or a file that stands for one. Offsets and lengths are bytes. */
export interface RawDevice {
  /** What it is called in messages. */
  readonly path: string;
  /** Its size when it was opened, or when its owner last looked. */
  readonly sizeBytes: number;
  /**
   * Fill all of `buffer`.
   *
   * @throws {DeviceError} When any part could not be read.
   */
  readAt(buffer: Uint8Array, offset: number): void;
  /**
   * Write all of `buffer`. It is durable after the next {@link flush}.
   *
   * @throws {DeviceError} When any part could not be written; which part is
   * then unknown.
   */
  writeAt(buffer: Uint8Array, offset: number): void;
  /**
   * Make every write before this call durable.
   *
   * @throws {DeviceError} Nothing is known about writes since the last flush
   * that worked. The device refuses every write and flush from now on: a
   * second flush could succeed although the system has dropped the data.
   */
  flush(): void;
  /** Let go of it. More than once is fine. */
  close(): void;
}

/** What the system says of errors that people cause. Source: errno(3). */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EPERM: "Operation not permitted",
  ENXIO: "No such device or address",
  EROFS: "Read-only file system",
};

/** A device did not do what it was asked for. Never try the same again. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  /** What was asked for. */
  readonly operation: DeviceOperation;
  /** Which device. */
  readonly path: string;
  /** The system's name of the error (`EIO`), or one of ours. */
  readonly code: string;

  /** Say that `operation` on `path` failed. */
  constructor(
    operation: DeviceOperation,
    path: string,
    options: { code: string; detail?: string; cause?: unknown },
  ) {
    const { code, detail, cause } = options;
    const words = WORDS[code];
    const known = words === undefined ? "" : ` (${words})`;
    const more = detail === undefined ? "" : `, ${detail}`;
    super(`Cannot ${operation} "${path}": ${code}${known}${more}`, { cause });
    this.operation = operation;
    this.path = path;
    this.code = code;
  }
}
