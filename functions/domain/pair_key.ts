/**
 * What two members of a group prove to each other when they connect.
 *
 * Derived from the cluster secret, which no node ever gets: a node that was
 * removed, or whose disk was stolen, holds only the keys of its own pairs, and
 * the others refuse it by its number.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import type { NodeId } from "@kedge/schema";

/**
 * The key of a pair; the same whoever of the two asks.
 *
 * @param clusterSecret Base64url of 32 bytes.
 * @returns Base64url of 32 bytes.
 */
export function pairKey(clusterSecret: string, a: NodeId, b: NodeId): string {
  const [low, high] = a < b ? [a, b] : [b, a];
  return createHmac("sha256", clusterSecret)
    .update(`kedge pair ${low} ${high}`).digest("base64url");
}
