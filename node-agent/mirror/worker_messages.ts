/**
 * What the agent's main isolate and a resource's Worker say to one another.
 *
 * @module
 */

import type { DiscardedWrites } from "./volume/discarded_writes.ts";
import type { WrittenSpan } from "./volume/parted_writes.ts";
import type { MirrorCommand } from "@kedge/schema/mirror/control-api";
import type { PulseSession } from "@kedge/schema/wire/mirror";
import type { MirrorState } from "./decisions/mirror_state.ts";
import type {
  CommandResult,
  RegisterAnswer,
  RegisterWish,
  VolumeConfig,
} from "./core/volume_types.ts";
import type { RegisterIdentity, RegisterParties } from "../register_ports.ts";
import type { Counters } from "./volume/counters.ts";
import type { BackingPaths } from "./volume/backing_disk.ts";
import type { TcpAddress } from "./link/rendezvous.ts";

/** One volume of a resource, ready to be run. */
export interface VolumeSpec {
  readonly volume: number;
  readonly minor: number;
  /** The user's device name, such as `/dev/drbd1`. */
  readonly device: string;
  /** Undefined: no disk here. */
  readonly paths: BackingPaths | undefined;
  readonly config: VolumeConfig;
  /** `disk-timeout`: longest time for the disk, in ms; 0 or missing: for ever. */
  readonly diskTimeoutMs?: number;
}

/** A resource, ready to be run. */
export interface ResourceSpec {
  readonly resource: string;
  /** Name of this host. */
  readonly node: string;
  readonly peerNode: string;
  /** Who we are in volume registers; undefined: no register decides. */
  readonly identity?: RegisterIdentity | undefined;
  readonly local: TcpAddress;
  readonly remote: TcpAddress;
  readonly secret: string | undefined;
  readonly secretAlgorithm: string | undefined;
  /** A digest goes with each write to the peer; missing: only the frame's CRC. */
  readonly integrityAlgorithm?: string;
  readonly connectIntMs: number;
  readonly pingIntMs: number;
  readonly pingTimeoutMs: number;
  readonly volumes: readonly VolumeSpec[];
  /** Folder for what a split brain throws away; missing: it is not kept. */
  readonly undoDir?: string;
  /** Folder where the sizes of disks are remembered; missing: nowhere. */
  readonly sizesDir?: string;
  /** Where the exports are offered. */
  readonly listen: readonly (
    | { readonly path: string }
    | { readonly hostname: string; readonly port: number }
  )[];
}

/** Where one volume stands, with everything that people are shown. */
export interface VolumeStatus {
  readonly resource: string;
  readonly volume: number;
  readonly minor: number;
  readonly device: string;
  /** Path of the disk below. */
  readonly backingDisk: string | undefined;
  readonly state: MirrorState;
  readonly protocol: "A" | "B" | "C";
  readonly sizeBytes: number;
  readonly counters: Counters;
  readonly outOfSyncBytes: number;
  /** Requests of the application that are not answered (`ap`). */
  readonly applicationPending: number;
  /** Frames that the peer has not confirmed (`pe`). */
  readonly peerPending: number;
  /** Frames that we have not confirmed (`ua`). */
  readonly unacknowledged: number;
  /** Generation identifiers in hex: current, bitmap, history. */
  readonly generations: readonly string[] | undefined;
  /** A resync or verify that runs. */
  readonly progress:
    | {
      readonly kind: "resync" | "verify";
      readonly totalBytes: number;
      readonly leftBytes: number;
      readonly elapsedMs: number;
      /** Speed of the last seconds, bytes per second. */
      readonly bytesPerSecond: number;
      readonly wantBytesPerSecond: number | undefined;
      /** Seconds to the end at that speed; undefined: stalled. */
      readonly etaSeconds: number | undefined;
    }
    | undefined;
  /** Why it stands alone, where that was no command. */
  readonly aloneWhy: string | undefined;
  /** Writes wait for the volume register. */
  readonly waitsForRegister: boolean;
  /** NBD clients that hold the export open. */
  readonly openCount: number;
  /** When the application wrote while the nodes were parted, in ms since 1970. */
  readonly written: WrittenSpan | undefined;
  /** What a former Primary of protocol A has lost. */
  readonly discarded: DiscardedWrites | undefined;
}

/** To the Worker. */
export type ToWorker =
  | {
    readonly type: "start";
    readonly spec: ResourceSpec;
    /** Shared: counts what is asked of the disks, odd while one is asked. */
    readonly turns?: Int32Array;
  }
  | {
    readonly type: "command";
    readonly id: number;
    /** Undefined: all volumes. */
    readonly volume: number | undefined;
    readonly command: MirrorCommand;
  }
  | { readonly type: "status"; readonly id: number }
  /** Another volume's resync goes first, or no longer. */
  | {
    readonly type: "dependency";
    readonly volume: number;
    readonly waits: boolean;
  }
  /** Run on with other options; answered by `answer`. */
  | {
    readonly type: "configure";
    readonly id: number;
    readonly spec: ResourceSpec;
  }
  | {
    readonly type: "helperDone";
    readonly volume: number;
    readonly id: number;
    readonly exitCode: number;
  }
  | {
    readonly type: "registerChanged";
    readonly volume: number;
    readonly id: number;
    readonly answer: RegisterAnswer;
  }
  | { readonly type: "stop"; readonly id: number };

/** From the Worker. */
export type FromWorker =
  /** Answer pulses for a connection, in this thread; and no more. */
  | { readonly type: "pulse"; readonly session: PulseSession }
  | { readonly type: "pulseEnd"; readonly session: string }
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly why: string }
  | {
    readonly type: "answer";
    readonly id: number;
    readonly result: CommandResult;
  }
  | {
    readonly type: "status";
    readonly id: number;
    readonly status: readonly VolumeStatus[];
  }
  | {
    readonly type: "changed";
    readonly volume: number;
    readonly before: MirrorState;
    readonly after: MirrorState;
  }
  | {
    readonly type: "resized";
    readonly volume: number;
    readonly sizeBytes: number;
  }
  | {
    readonly type: "helper";
    readonly volume: number;
    readonly id: number;
    readonly name: string;
  }
  | {
    readonly type: "register";
    readonly volume: number;
    readonly id: number;
    readonly change: RegisterWish;
    readonly parties: RegisterParties;
  }
  | {
    readonly type: "log";
    readonly level: "info" | "warn" | "error";
    readonly text: string;
  }
  | { readonly type: "stopped"; readonly id: number };
