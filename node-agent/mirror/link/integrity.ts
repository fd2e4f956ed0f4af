/**
 * `data-integrity-alg`: a digest behind the payload of each write.
 *
 * Every frame has a CRC anyway; this is for those who want more. A write whose
 * digest is wrong ends the connection, as with DRBD.
 *
 * @module
 */

import { type DataFrame, MirrorFrameError } from "@kedge/schema/wire/mirror";
import { digestOf, isKnownDigest } from "./digest.ts";

/** A write with its digest. */
export function signed(frame: DataFrame, algorithm: string): DataFrame {
  const digest = digestOf(algorithm, frame.payload);
  const payload = new Uint8Array(frame.payload.length + digest.length);
  payload.set(frame.payload);
  payload.set(digest, frame.payload.length);
  return { ...frame, payload };
}

/**
 * A write whose digest was right, without it.
 *
 * @throws {MirrorFrameError} When it was not, or cannot be checked here.
 */
export function unsigned(frame: DataFrame, algorithm: string): DataFrame {
  if (!isKnownDigest(algorithm)) {
    throw new MirrorFrameError(
      `the peer uses data-integrity-alg ${algorithm}, ` +
        "which is not available here",
    );
  }
  const digestBytes = digestOf(algorithm, new Uint8Array(0)).length;
  const end = Math.max(0, frame.payload.length - digestBytes);
  const payload = frame.payload.subarray(0, end);
  const digest = frame.payload.subarray(end);
  const wanted = digestOf(algorithm, payload);
  const isRight = digest.length === wanted.length &&
    wanted.every((byte, at) => digest[at] === byte);
  if (isRight) return { ...frame, payload };
  throw new MirrorFrameError(
    `Digest integrity check FAILED: ${payload.length} bytes at ${frame.offset}`,
  );
}
