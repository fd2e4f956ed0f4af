/**
 * What `/proc/drbd` counts, per volume. Plain numbers: they cost nothing.
 *
 * @module
 */

/** Counters since the volume was brought up. */
export class Counters {
  /** Bytes sent to the peer (`ns`). */
  sentBytes = 0;
  /** Bytes received from the peer (`nr`). */
  receivedBytes = 0;
  /** Bytes written to the disk (`dw`). */
  writtenBytes = 0;
  /** Bytes read from the disk (`dr`). */
  readBytes = 0;
  /** Activity-log transactions (`al`). */
  logWrites = 0;
  /** Bitmap pages written (`bm`). */
  bitmapWrites = 0;
}
