/**
 * What a volume's core is told and what it asks for.
 *
 * The core decides, its surroundings act: a volume Worker with real disks and
 * sockets, or the simulator. Everything the core does to the world is a method
 * of {@link VolumeEffects}; everything it learns is a method of the core.
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import type { GenerationSet } from "../decisions/generations_core.ts";
import type { Hardenings } from "../decisions/hardenings_core.ts";
import type { MirrorState } from "../decisions/mirror_state.ts";
import type { ResyncOptions } from "../decisions/resync_controller_core.ts";
import type { SplitBrainPolicies } from "../decisions/split_brain_core.ts";
import type { RegisterWish } from "../../register_ports.ts";
import type { SlotChange } from "./activity_log_core.ts";

export type { RegisterAnswer, RegisterWish } from "../../register_ports.ts";

/** How far a write must be before it is answered (DRBD's protocols). */
export type MirrorProtocol = "A" | "B" | "C";

/** Options of a volume; defaults are those of DRBD 8.4 where it has them. */
export interface VolumeConfig {
  readonly protocol: MirrorProtocol;
  /** Slots of the activity log (`al-extents`). */
  readonly alExtents: number;
  /** Size of an extent; other than 4 MiB in simulations only. */
  readonly extentBytes?: number;
  /** A new volume is this large, and `resize` aims at it; missing: as possible. */
  readonly sizeBytes?: number;
  readonly onIoError: "pass_on" | "call-local-io-error" | "detach";
  readonly fencing: "dont-care" | "resource-only" | "resource-and-stonith";
  readonly onNoData: "io-error" | "suspend-io";
  readonly splitBrain: SplitBrainPolicies;
  readonly verifyAlgorithm: string;
  readonly checksumAlgorithm: string;
  /** Use checksums only after a Primary crashed (`csums-after-crash-only`). */
  readonly checksumAfterCrashOnly: boolean;
  readonly onCongestion: "block" | "pull-ahead" | "disconnect";
  /** Bytes queued to the peer that count as congestion; 0: never. */
  readonly congestionFillBytes: number;
  /** Extents in use that count as congestion. */
  readonly congestionExtents: number;
  /** After so many writes an epoch is closed (`max-epoch-size`); may be Infinity. */
  readonly maxEpochWrites: number;
  /** `timeout` × `ko-count`, in ms; 0: for ever. */
  readonly peerTimeoutMs: number;
  /** Promotion needs the volume register in the KV (promises.md §6). */
  readonly fencedByRegister: boolean;
  /** Handlers that are configured, by name. */
  readonly handlers: ReadonlySet<string>;
  readonly resync: ResyncOptions;
  readonly hardenings: Hardenings;
}

/** What survives a crash besides data, bitmap and activity log. */
export interface PersistentState {
  readonly generations: GenerationSet;
  readonly flags: PersistentFlags;
  /** Size both nodes agreed on, in bytes; 0: never. */
  readonly agreedBytes: number;
  /** Highest epoch of the volume register that was acted on (promises.md R1). */
  readonly epoch: number;
}

/** DRBD's metadata flags, by their names. */
export interface PersistentFlags {
  readonly consistent: boolean;
  readonly primary: boolean;
  readonly connected: boolean;
  readonly fullSync: boolean;
  readonly wasUpToDate: boolean;
  readonly peerOutdated: boolean;
  readonly crashedPrimary: boolean;
}

/** A backing device as it was found. */
export interface AttachedDisk {
  readonly persistent: PersistentState;
  /** Usable size in bytes. */
  readonly sizeBytes: number;
  /** The bitmap as it is on disk, with the activity log applied. */
  readonly bitmap: Uint8Array;
  /** The bitmap or the log could not be read: everything is out of sync (B11). */
  readonly bitmapLost: boolean;
}

/** Everything the core can do to the world. */
export interface VolumeEffects {
  /** Write to the backing device (not yet stable). False: it failed. */
  writeData(offset: number, data: Uint8Array): boolean;
  /** Whether ranges can be zeroed by punching holes. */
  readonly canPunch: boolean;
  /** Zero a range of it. False: it failed. */
  zeroData(offset: number, lengthBytes: number, mayPunch: boolean): boolean;
  /** Read from it. False: it failed. */
  readData(offset: number, into: Uint8Array): boolean;
  /** Make everything written stable; answered by `diskFlushed`. One at a time. */
  flushData(): void;
  /** Write an activity-log transaction; answered by `logCommitted`. One at a time. */
  commitLog(
    changes: readonly SlotChange[],
    extents: () => readonly number[],
  ): void;
  /** Start with an empty activity log on disk. Stable on return. False: it failed. */
  resetLog(): boolean;
  /** Stable on return. False: it failed. */
  saveState(state: PersistentState): boolean;
  /** What the backing device has room for now; undefined: it cannot be told. */
  usableBytes(): number | undefined;
  /**
   * Let the metadata follow the end of a backing device that has grown, as it
   * is and with its activity log. Stable on return. False: it failed.
   */
  useWholeDisk(): boolean;
  /** The volume has another size (for the export and its device node). */
  sizeChanged(sizeBytes: number): void;
  /** Save pages of the bitmap. Stable on return. False: it failed. */
  saveBitmap(bytes: Uint8Array, pages: readonly number[]): boolean;
  /**
   * Close the backing device and its metadata.
   *
   * @param isClean Everything is stable: the activity log is not needed.
   */
  detachDisk(isClean: boolean): void;

  /** Queue a frame; it leaves with the batch. Payloads are copied during the call. */
  send(frame: MirrorFrame): void;
  /**
   * Memory for the payload of the next frame, if that is a `resyncData`: filled
   * in place it needs no copy. Valid until then.
   */
  payloadRoom?(lengthBytes: number): Uint8Array;
  /** Bytes queued to the peer that the network has not taken. */
  queuedBytes(): number;
  /** Close the connection after what is queued; then `linkDown` comes. */
  closeLink(why: string): void;
  /** Whether to look for the peer (true), or to leave it alone. */
  seekPeer(seek: boolean): void;

  /** Run a handler of the configuration; answered by `helperDone`. */
  runHelper(name: string, id: number): void;
  /** Change the volume register; answered by `registerChanged`. */
  changeRegister(change: RegisterWish, id: number): void;
  /** The state changed (for status, events and the export). */
  stateChanged(before: MirrorState, after: MirrorState): void;
  /** Keep what is overwritten from now on as an undo file (discard of a split brain), or stop. */
  keepUndo(keep: boolean): void;
  /** Digest of bytes with a named algorithm. */
  digest(algorithm: string, bytes: Uint8Array): Uint8Array;
  /** A random 64-bit number. */
  random64(): bigint;
  /** A line for the log. */
  log(level: "info" | "warn" | "error", text: string): void;
}

/** What a command comes to: 1, or DRBD's negative state refusal or net code. */
export interface CommandResult {
  /** 1: done. Negative: state refusal. 100 and above: configuration refusal. */
  readonly code: number;
  /** A sentence beyond DRBD's text, when there is one. */
  readonly why?: string;
}

/** Called once with what became of a command. */
export type CommandDone = (result: CommandResult) => void;
