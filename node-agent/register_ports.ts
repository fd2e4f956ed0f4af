/**
 * What the mirror needs of the volume register, in the mirror's own terms. An
 * adapter that talks to trackers implements it.
 *
 * @module
 */

import type { VolumeMember, VolumeMode } from "@kedge/schema/volume";

/** What a node wants of the register of a volume. */
export type RegisterWish =
  /** Go on without the peer: it leaves the in-sync set (R2). */
  | { readonly kind: "shrink" }
  /** Our own disk is gone: only the peer's copy is good from now on. */
  | { readonly kind: "leave" }
  /** The peer is equal and required from now on (R3). */
  | { readonly kind: "grow" }
  /** Become Primary (R4). */
  | { readonly kind: "promote"; readonly force: boolean }
  /** Give the role up. */
  | { readonly kind: "demote" };

/** What became of a {@link RegisterWish}. */
export interface RegisterAnswer {
  /** "unknown": nobody can tell; ask again, acknowledge nothing meanwhile. */
  readonly outcome: "done" | "refused" | "unknown";
  /** The register's epoch as known now. */
  readonly epoch: number;
  /** Why it was refused, for people. */
  readonly why?: string;
}

/** Which volume. */
export interface RegisterOf {
  readonly resource: string;
  readonly volume: number;
}

/** The copies that a wish is about, as the volume knows them at that moment. */
export interface RegisterParties {
  /** Our copy; undefined without a disk. */
  readonly member: VolumeMember | undefined;
  /** The peer's, as it told on this connection. */
  readonly peer: VolumeMember | undefined;
  /** Whether our copy is good by its own word (DRBD's UpToDate). */
  readonly isUpToDate: boolean;
  /** Whether the peer is connected and both copies are good. */
  readonly isEqual: boolean;
  /** Highest epoch that our disk knows. */
  readonly epoch: number;
  readonly mode: VolumeMode;
}

/** Who this host is in registers. */
export interface RegisterIdentity {
  /** Number that the tracker gave. */
  readonly node: number;
  /** The host's name, for people. */
  readonly name: string;
}

/** The volume registers in the KV. */
export interface VolumeRegisters {
  readonly identity: RegisterIdentity;
  /** Change the register of a volume. Never rejects: "unknown" then. */
  change(
    volume: RegisterOf,
    wish: RegisterWish,
    parties: RegisterParties,
  ): Promise<RegisterAnswer>;
  /**
   * An operator wants the Primary of this resource here to go on although the
   * KV is not the one that it knew. Nothing happens when it is.
   */
  confirm(resource: string): void;
}
