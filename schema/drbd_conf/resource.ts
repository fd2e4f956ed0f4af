/**
 * A resource as one host sees it: everything inherited, every default filled
 * in, every unit in the name. This is what the mirror runs by.
 *
 * Plain data: it may be stored and compared as JSON.
 *
 * @module
 */

import type { Address, MetaDisk } from "./ast.ts";
import type { Place } from "./errors.ts";
import type { ON_IO_ERROR, READ_BALANCING } from "./options/disk.ts";
import type {
  AFTER_SB_0PRI,
  AFTER_SB_1PRI,
  AFTER_SB_2PRI,
  FENCING_POLICIES,
  ON_CONGESTION,
  PROTOCOLS,
  RR_CONFLICT,
} from "./options/net.ts";
import type { HandlerName, ON_NO_DATA } from "./options/resource.ts";

/** When a write is complete: A sent, B received, C on both disks. */
export type Protocol = typeof PROTOCOLS[number];

/** What a Primary does when it loses its peer. */
export type Fencing = typeof FENCING_POLICIES[number];

/** How a host was found in the configuration. */
export type HostKind = "on" | "floating" | "stacked";

/** One side of the resource. */
export interface HostConfig {
  /** Its name; of a floating host its `IP:PORT`. */
  readonly name: string;
  /** How it is written. */
  readonly kind: HostKind;
  /** 0 to 32, unique in the resource; the same on every host. */
  readonly nodeId: number;
  /** `undefined` when only the connections say addresses. */
  readonly address: Address | undefined;
}

/** One way to a peer. */
export interface PathConfig {
  /** Where this host listens. */
  readonly local: Address;
  /** Where the peer listens. */
  readonly remote: Address;
}

/** A volume of this host. */
export interface VolumeConfig {
  /** Number, from 0, the same on all hosts. */
  readonly volume: number;
  /** Minor number on this host. */
  readonly minor: number;
  /** Device that users open, such as `/dev/drbd1`. */
  readonly device: string;
  /** Disk below; `undefined`: this host has none. */
  readonly disk: string | undefined;
  /** Where the metadata is. */
  readonly metaDisk: MetaDisk;
  /** Options of the disk. */
  readonly options: DiskOptions;
}

/** A volume of a peer, as far as it matters here. */
export interface PeerVolumeConfig {
  /** Number. */
  readonly volume: number;
  /** Minor number there. */
  readonly minor: number;
  /** Whether the peer has a disk. */
  readonly hasDisk: boolean;
  /** How to resync this volume with this peer. */
  readonly resync: ResyncOptions;
}

/** A connection of this host. */
export interface PeerConfig extends HostConfig {
  /** Ways to it, at least one, the first is preferred. */
  readonly paths: readonly [PathConfig, ...PathConfig[]];
  /** Options of this connection. */
  readonly net: NetOptions;
  /** Its volumes, by number. */
  readonly volumes: readonly PeerVolumeConfig[];
}

/** `net { … }`. */
export interface NetOptions {
  /** When a write is complete. */
  readonly protocol: Protocol;
  /** Longest wait for an acknowledgement, times {@linkcode koCount}. */
  readonly timeoutMs: number;
  /** Times `timeoutMs` may pass before the peer is given up; 0 is never. */
  readonly koCount: number;
  /** Idle time before a ping. */
  readonly pingIntMs: number;
  /** Longest wait for the answer to a ping. */
  readonly pingTimeoutMs: number;
  /** Time between attempts to connect. */
  readonly connectIntMs: number;
  /** Longest wait for the first packet of a new socket; 0: as for a ping. */
  readonly socketCheckTimeoutMs: number;
  /**
   * Most writes between two flushes of both disks; `undefined`: not given, then
   * bytes and time decide.
   */
  readonly maxEpochSize: number | undefined;
  /** Most buffers of 4 KiB that the receiver takes. */
  readonly maxBuffers: number;
  /** Send buffer; 0: the system decides. */
  readonly sndbufSizeBytes: number;
  /** Receive buffer; 0: the system decides. */
  readonly rcvbufSizeBytes: number;
  /** What happens when the way to the peer is full (protocol A). */
  readonly onCongestion: typeof ON_CONGESTION[number];
  /** How much may be on the way; 0 is no limit. */
  readonly congestionFillBytes: number;
  /** How many active extents count as congestion. */
  readonly congestionExtents: number;
  /** Asked for, but not available yet: a second Primary is refused. */
  readonly allowTwoPrimaries: boolean;
  /** Digest for the proof of the shared secret; `undefined`: no proof. */
  readonly cramHmacAlg: string | undefined;
  /** The shared secret. Never log it. */
  readonly sharedSecret: string | undefined;
  /** Split brain without a Primary. */
  readonly afterSb0pri: typeof AFTER_SB_0PRI[number];
  /** Split brain with one Primary. */
  readonly afterSb1pri: typeof AFTER_SB_1PRI[number];
  /** Split brain with two Primaries. */
  readonly afterSb2pri: typeof AFTER_SB_2PRI[number];
  /** Apply these even where the histories have nothing in common. */
  readonly alwaysAsbp: boolean;
  /** A Primary would have to be overwritten. */
  readonly rrConflict: typeof RR_CONFLICT[number];
  /** Digest on each data packet; `undefined` is none. */
  readonly dataIntegrityAlg: string | undefined;
  /** Digest that spares equal blocks in a resync; `undefined` is none. */
  readonly csumsAlg: string | undefined;
  /** Use `csumsAlg` only after a crash of a Primary. */
  readonly csumsAfterCrashOnly: boolean;
  /** Digest of the online verification; `undefined`: none is possible. */
  readonly verifyAlg: string | undefined;
  /** Whether small packets are collected. */
  readonly tcpCork: boolean;
  /** Whether bitmaps travel compressed. */
  readonly useRle: boolean;
  /** What a Primary does when it loses its peer. */
  readonly fencing: Fencing;
}

/** `disk { … }` without the resync. */
export interface DiskOptions {
  /** Size to use; 0: all that disk and peers have. */
  readonly sizeBytes: number;
  /** What an error of the disk leads to. */
  readonly onIoError: typeof ON_IO_ERROR[number];
  /** Write order by barriers. */
  readonly diskBarrier: boolean;
  /** Write order by flushes. */
  readonly diskFlushes: boolean;
  /** Write order by waiting for everything. */
  readonly diskDrain: boolean;
  /** Whether metadata is flushed. */
  readonly mdFlushes: boolean;
  /** Whether the activity log is written. */
  readonly alUpdates: boolean;
  /** Extents of 4 MiB in the activity log. */
  readonly alExtents: number;
  /** Longest wait for the disk; 0 is for ever. */
  readonly diskTimeoutMs: number;
  /** Where a Primary reads. */
  readonly readBalancing: typeof READ_BALANCING[number];
  /** Zeroes of at least this length are resynced as a discard; 0: never. */
  readonly rsDiscardGranularityBytes: number;
  /** Whether partial discards are completed with zeroes. */
  readonly discardZeroesIfAligned: boolean;
  /** Volume whose resync goes first. */
  readonly resyncAfter: ResyncAfter | undefined;
}

/** `resync-after RESOURCE[/VOLUME]`. */
export interface ResyncAfter {
  /** Name of the resource. */
  readonly resource: string;
  /** Its volume. */
  readonly volume: number;
}

/** How fast a resync goes. */
export interface ResyncOptions {
  /** Fixed speed, or the first one of the controller. */
  readonly resyncRateBytesPerS: number;
  /** How far the controller plans; 0: the speed is fixed. */
  readonly planAheadMs: number;
  /** Delay to aim at, if `fillTargetBytes` is 0. */
  readonly delayTargetMs: number;
  /** Amount on the way to aim at. */
  readonly fillTargetBytes: number;
  /** Never faster. */
  readonly maxRateBytesPerS: number;
  /** Not slower for the sake of the application; 0: do not look at it. */
  readonly minRateBytesPerS: number;
}

/** `options { … }`. */
export interface ResourceOptions {
  /** What a Primary without good data does. */
  readonly onNoDataAccessible: typeof ON_NO_DATA[number];
  /** CPUs, as hexadecimal mask; has no effect here. */
  readonly cpuMask: string | undefined;
}

/** `startup { … }`; 0 is for ever. */
export interface StartupOptions {
  /** How long to wait for the peer. */
  readonly wfcTimeoutMs: number;
  /** The same, if the peer was away before. */
  readonly degrWfcTimeoutMs: number;
  /** The same, if the peer is outdated. */
  readonly outdatedWfcTimeoutMs: number;
  /** Wait even after a split brain. */
  readonly waitAfterSb: boolean;
  /** Hosts that become Primary at start; `both` is a name too. */
  readonly becomePrimaryOn: readonly string[];
}

/** A resource as one host sees it. */
export interface ResourceConfig {
  /** Its name. */
  readonly name: string;
  /** Where it is written. */
  readonly definedAt: Place;
  /** The main file of the configuration, which includes that one. */
  readonly mainFile: string;
  /** This host. */
  readonly self: HostConfig;
  /** The others, in the order of the file; usually one. */
  readonly peers: readonly PeerConfig[];
  /** Volumes of this host, by number, at least one. */
  readonly volumes: readonly [VolumeConfig, ...VolumeConfig[]];
  /** `net` of the resource; a peer's own `net` is what its connection uses. */
  readonly net: NetOptions;
  /** `options { … }`. */
  readonly options: ResourceOptions;
  /** `startup { … }`. */
  readonly startup: StartupOptions;
  /** Command lines by handler. */
  readonly handlers: Readonly<Partial<Record<HandlerName, string>>>;
}
