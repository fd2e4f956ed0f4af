/**
 * Whether this node may serve reads (promises.md F4, F11).
 *
 * A node that was cut off may have been taken out of the in-sync set, and files
 * may have been deleted without it. It can know that this did *not* happen: a
 * tracker says that its epoch still stands, or every other node in sync says
 * that it acts under the same epoch (whoever deletes without us has taken up a
 * higher one). One peer is not enough: two nodes that were cut off together
 * would keep each other serving for ever.
 *
 * | situation                                          | verdict   |
 * | -------------------------------------------------- | --------- |
 * | in sync, and nobody else could be                  | `serve`   |
 * | in sync, confirmed within the lease                | `serve`   |
 * | member out of sync                                 | `confirm` |
 * | otherwise, operator chose `--isolated-reads serve` | `serve`   |
 * | otherwise                                          | `refuse`  |
 *
 * `confirm`: ask a node in sync about this file before serving the local copy
 * (`decideFetch` with `weKnow: false`).
 *
 * Times are monotonic, and a confirmation counts from the moment when its
 * question was *sent*: a late answer must not prolong the lease.
 *
 * @module
 */

import { type GroupRegister, isInSync, type NodeId } from "@kedge/schema";

/** How long a confirmation counts, in ms. */
export const READ_LEASE_MS = 10_000;

/** Share by which the monotonic clock may be wrong. promises.md §2.1 */
const CLOCK_RATE_ERROR = 0.01;

/** See the table above. */
export type ReadVerdict =
  /** `forMs`: how long this holds without any further word. */
  | { readonly kind: "serve"; readonly forMs: number }
  | { readonly kind: "confirm" }
  | { readonly kind: "refuse"; readonly why: string };

/** What the verdict depends on. */
export interface LeaseView {
  readonly register: GroupRegister | undefined;
  readonly node: NodeId;
  /** Peers that we must wait for: `ReplicaCore.requiredPeers()`. */
  readonly required: readonly NodeId[];
  /** Our database is the register's, and nothing of it may have been lost. */
  readonly isWhole: boolean;
  readonly nowMs: number;
  /** When the question was sent that a tracker answered with our epoch. */
  readonly trackerMs: number | undefined;
  /** The same for each peer. */
  readonly peerMs: ReadonlyMap<NodeId, number>;
  readonly leaseMs: number;
  readonly isolatedReads: "serve" | "refuse";
}

/** Decide; see the table above. */
export function readVerdict(view: LeaseView): ReadVerdict {
  const { register, node } = view;
  const serveAnyway = view.isolatedReads === "serve";
  if (register === undefined) {
    return serveAnyway
      ? { kind: "serve", forMs: Infinity }
      : refuse("no tracker has told the group yet");
  }
  if (!isInSync(register, node) || !view.isWhole) return { kind: "confirm" };
  if (view.required.length === 0) return { kind: "serve", forMs: Infinity };
  const sinceMs = view.leaseMs * (1 - CLOCK_RATE_ERROR);
  const confirmedMs = Math.max(
    view.trackerMs ?? -Infinity,
    Math.min(
      ...view.required.map((peer) => view.peerMs.get(peer) ?? -Infinity),
    ),
  );
  const forMs = confirmedMs + sinceMs - view.nowMs;
  if (serveAnyway) return { kind: "serve", forMs: Infinity };
  if (forMs > 0) return { kind: "serve", forMs };
  return refuse("cut off: neither a tracker nor the nodes in sync answer");
}

function refuse(why: string): ReadVerdict {
  return { kind: "refuse", why };
}
