/**
 * A peer is hostile input: ranges of its frames must lie inside the volume.
 *
 * @module
 */

import {
  MIRROR_PAYLOAD_BYTES_MAX,
  type MirrorFrame,
} from "@kedge/schema/wire/mirror";
import { EXTENT_BYTES } from "./activity_log_core.ts";

/** The longest digest there is (sha512), in bytes. */
const DIGEST_BYTES_MAX = 64;

/** Whether every range of the frame lies inside `sizeBytes` and is not too long. */
export function isWithin(frame: MirrorFrame, sizeBytes: number): boolean {
  const inside = (offset: number, lengthBytes: number, max: number) =>
    lengthBytes > 0 && lengthBytes <= max && offset >= 0 &&
    offset + lengthBytes <= sizeBytes;
  if ("digest" in frame && frame.digest.length > DIGEST_BYTES_MAX) return false;
  switch (frame.kind) {
    case "data":
      return inside(
        frame.offset,
        frame.payload.length,
        MIRROR_PAYLOAD_BYTES_MAX,
      );
    case "zero":
    case "dirty":
      return inside(frame.offset, frame.lengthBytes, EXTENT_BYTES);
    case "readRequest":
    case "resyncRequest":
    case "verifyRequest":
    case "resyncData":
      return inside(frame.offset, frame.lengthBytes, MIRROR_PAYLOAD_BYTES_MAX);
    default:
      return true;
  }
}
