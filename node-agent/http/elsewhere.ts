/**
 * A file that a peer has and that cannot be kept here: its disk is gone, or
 * there is no room (promises F3, F14). Readers are sent to the peer, once.
 *
 * @module
 */

import { type NodeId, type PeerInfo, Problem } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import type { Target } from "./target.ts";

/** In the query of a request that was sent on: it is not sent on again. */
export const SENT_ON = "nofwd";

/** Thrown instead of a copy. Whoever cannot send on answers `unavailable`. */
export class Elsewhere extends Problem {
  /** Base URL of a peer that has the file; `undefined` is not known. */
  readonly url: string | undefined;
  /** The file, as that peer told it. */
  readonly entry: FileEntry;

  /**
   * @param found Who has it, and why it cannot be kept here.
   * @param peers The other members.
   */
  constructor(
    found: {
      readonly node: NodeId;
      readonly why: string;
      readonly entry: FileEntry;
    },
    peers: readonly PeerInfo[],
  ) {
    super("unavailable", `Node ${found.node} has the file: ${found.why}`);
    const url = peers.find(({ node }) => node === found.node)?.url;
    this.url = url === "" ? undefined : url;
    this.entry = found.entry;
  }
}

/**
 * Where a reader should go.
 *
 * @param error What answering threw.
 * @param method Only GET and HEAD are sent on.
 * @param target What was asked for.
 * @returns The URL, or `undefined` when the error is the answer.
 */
export function peerUrl(
  error: unknown,
  method: string,
  { path, query }: Target,
): string | undefined {
  if (!(error instanceof Elsewhere) || error.url === undefined) {
    return undefined;
  }
  if (method !== "GET" && method !== "HEAD") return undefined;
  if (new URLSearchParams(query).has(SENT_ON)) return undefined;
  const rest = query === "" ? "" : `${query}&`;
  return `${error.url}${path}?${rest}${SENT_ON}=1`;
}
