/**
 * What one client may cost, and what all of them together may.
 *
 * @module
 */

/** Limits of an NBD server. */
export interface NbdLimits {
  /** Longest data of one option, in bytes. A name takes 4096, queries more. */
  readonly optionBytesMax: number;
  /** Most options on one connection; nbdkit allows 32. */
  readonly optionsMax: number;
  /** Longest time from the greeting to transmission, in milliseconds. */
  readonly handshakeMs: number;
  /** Most connections in transmission on one export. */
  readonly exportConnectionsMax: number;
  /** Most connections of the server, handshakes included. */
  readonly connectionsMax: number;
  /** Most calls of the device that one connection waits for. */
  readonly flightCallsMax: number;
  /** Most bytes of writes of one connection that wait for the device. */
  readonly flightBytesMax: number;
  /** Most buffers for replies of one connection; each holds 256 KiB of data. */
  readonly replyBuffersMax: number;
  /** A client that takes nothing of a reply for so long is cut, in milliseconds. */
  readonly stallMs: number;
  /** How long a client may go on asking after its export closed, in milliseconds. */
  readonly closeGraceMs: number;
}

/** Limits that serve every known client. */
export const NBD_LIMITS: NbdLimits = {
  optionBytesMax: 64 * 1024,
  optionsMax: 128,
  handshakeMs: 30_000,
  exportConnectionsMax: 32,
  connectionsMax: 128,
  flightCallsMax: 1024,
  flightBytesMax: 8 * 1024 * 1024,
  replyBuffersMax: 32,
  stallMs: 60_000,
  closeGraceMs: 1_000,
};

/**
 * Longest READ or WRITE, in bytes: what clients use that do not ask, and the
 * most that qemu and libnbd send. Source: the NBD protocol, block sizes.
 */
export const NBD_PAYLOAD_BYTES_MAX: number = 32 * 1024 * 1024;
