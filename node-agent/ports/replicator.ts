/**
 * The place of this node in its group, as `http/` sees it. Implemented by `sync/`.
 *
 * @module
 */

import type {
  GroupRegister,
  GroupSettings,
  Level,
  NodeId,
  PeerInfo,
  SigningKey,
} from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import type { ContentSource, Relay } from "./content.ts";

/** What the group made of a change. */
export interface Commitment {
  /** Level that was reached: never more than was done. */
  readonly level: Level;
  /** Nodes that hold it. */
  readonly holders: readonly NodeId[];
}

/** What asking the group for a file found out. */
export type FetchOutcome =
  /** It is in our store now. */
  | { readonly kind: "kept"; readonly entry: FileEntry }
  /** It was deleted. */
  | { readonly kind: "tombstone" }
  /** A member has it, but there is no disk or no room here to keep it. */
  | {
    readonly kind: "elsewhere";
    readonly entry: FileEntry;
    readonly node: NodeId;
    readonly why: string;
  }
  /** Every current member was asked and never had it. */
  | { readonly kind: "absent" }
  /** Every current member was asked, and no copy is good. */
  | { readonly kind: "damaged"; readonly why: string }
  /** Somebody who might know could not be asked. */
  | { readonly kind: "unavailable"; readonly why: string };

/** This node's place in its group. Implemented by `sync/`. */
export interface Replicator {
  /** The register as known now. */
  register(): GroupRegister;
  /** What operators chose for the group. */
  settings(): GroupSettings;
  /** The other members. */
  peers(): readonly PeerInfo[];
  /** Keys that verify capabilities. */
  signingKeys(): readonly SigningKey[];
  /**
   * Log a change here and on the in-sync peers as the level demands.
   *
   * @param change What changes; the caller holds the file's lock.
   * @param content Its bytes.
   * @param level Asked for; what is reached may be less, never unsaid.
   * @throws {Problem} `not-in-sync`, `read-only`, `insufficient-storage`, or
   * `uncertain` when neither the peers nor the register answered in time.
   */
  commit(
    change: Change,
    content: ContentSource,
    level: Level,
    idempotencyKey?: string,
  ): Promise<Commitment>;
  /**
   * Look for a file that is missing or damaged here, and keep it.
   *
   * @param purpose `confirm`: our copy is good, but {@linkcode mayRead} wants to
   * know first whether the file was deleted; `kept` then allows the local copy.
   */
  fetch(id: string, purpose?: "repair" | "confirm"): Promise<FetchOutcome>;
  /** A relay to the in-sync peers for a body that is arriving. */
  openRelay(): Relay | undefined;
  /** The node that may change files made by `origin`; `undefined` is nobody. */
  ownerOf(origin: NodeId): NodeId | undefined;
  /**
   * Whether reads may be served, or why not (read lease, promises F4).
   *
   * `confirm`: this node is not in sync, so each file needs
   * `fetch(id, "confirm")` before its local copy is served.
   * `forMs`: how long this answer holds if nothing else is heard.
   */
  mayRead(): {
    readonly ok: true;
    readonly confirm?: boolean;
    readonly forMs?: number;
  } | {
    readonly ok: false;
    readonly why: string;
  };
  /** Whether changes may be taken, or why not. */
  mayWrite(): { readonly ok: true } | {
    readonly ok: false;
    readonly why: string;
  };
}
