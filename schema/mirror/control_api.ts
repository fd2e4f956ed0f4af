/**
 * What a command says to the mirror daemon of its host, and what it hears.
 *
 * HTTP on a Unix socket (`RUN_DIR/mirror.sock`, mode 0600), JSON bodies:
 *
 * ```text
 * GET    /v1/alive                         {}, at once: the daemon is not frozen
 * GET    /v1/resources                     MirrorStatus
 * GET    /v1/resources/NAME                {config}, as it was started
 * PUT    /v1/resources/NAME                ResourceRequest ─▶ CommandReply   (new-resource, new-minor)
 * DELETE /v1/resources/NAME                ─▶ CommandReply                   (down, after disconnect and detach)
 * POST   /v1/resources/NAME/options        OptionsRequest ─▶ CommandReply    (what may change while it runs)
 * POST   /v1/resources/NAME/reconnect      ─▶ CommandReply                   (for options that are pending)
 * POST   /v1/resources/NAME/commands       CommandRequest ─▶ CommandReply
 * GET    /v1/events                        one MirrorEvent per line, for ever
 * POST   /v1/stop                          ─▶ CommandReply, 409 while a node is open
 * ```
 *
 * @module
 */

import { z } from "zod";

/** A command for one volume of a resource, or for all of them. */
export const MirrorCommand = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("attach") }),
  z.object({ kind: z.literal("detach"), force: z.boolean() }),
  z.object({
    kind: z.literal("connect"),
    discardMyData: z.boolean(),
    tentative: z.boolean(),
  }),
  z.object({ kind: z.literal("disconnect"), force: z.boolean() }),
  z.object({ kind: z.literal("primary"), force: z.boolean() }),
  z.object({ kind: z.literal("secondary") }),
  z.object({ kind: z.literal("invalidate") }),
  z.object({ kind: z.literal("invalidate-remote") }),
  z.object({ kind: z.literal("outdate") }),
  z.object({ kind: z.literal("pause-sync") }),
  z.object({ kind: z.literal("resume-sync") }),
  z.object({ kind: z.literal("suspend-io") }),
  z.object({
    kind: z.literal("resume-io"),
    /** End a `suspend-io` only: what is frozen for another reason stays so. */
    onlyByUser: z.boolean().optional(),
  }),
  z.object({
    kind: z.literal("verify"),
    fromByte: z.int().min(0).optional(),
    toByte: z.int().min(0).optional(),
  }),
  z.object({ kind: z.literal("new-current-uuid"), clearBitmap: z.boolean() }),
  z.object({
    kind: z.literal("resize"),
    /** The size wanted; 0: as large as both disks allow. */
    sizeBytes: z.int().min(0).multipleOf(512),
    assumePeerHasSpace: z.boolean(),
    assumeClean: z.boolean(),
  }),
]);
/** A command for one volume of a resource, or for all of them. */
export type MirrorCommand = z.infer<typeof MirrorCommand>;

/** A command, and for whom. */
export const CommandRequest = z.object({
  /** Undefined: all volumes. */
  volume: z.int().min(0).max(65_535).optional(),
  command: MirrorCommand,
});
/** A command, and for whom. */
export type CommandRequest = z.infer<typeof CommandRequest>;

/** What a command came to. */
export const CommandReply = z.object({
  /** 1: done. Negative: refused by the state table. 100 and above: configuration. */
  code: z.int(),
  /** A sentence beyond DRBD's text: the cause, the next step. */
  why: z.string().optional(),
});
/** What a command came to. */
export type CommandReply = z.infer<typeof CommandReply>;

/** A state as people see it; words are DRBD's. */
export const MirrorStateView = z.object({
  connection: z.string(),
  role: z.string(),
  peerRole: z.string(),
  disk: z.string(),
  peerDisk: z.string(),
  suspendedByUser: z.boolean(),
  suspendedNoData: z.boolean(),
  suspendedFencing: z.boolean(),
  pausedByDependency: z.boolean(),
  pausedByPeer: z.boolean(),
  pausedByUser: z.boolean(),
});
/** A state as people see it; words are DRBD's. */
export type MirrorStateView = z.infer<typeof MirrorStateView>;

/** Counters of `/proc/drbd`, in bytes where it says KiB. */
export const MirrorCounters = z.object({
  sentBytes: z.int(),
  receivedBytes: z.int(),
  writtenBytes: z.int(),
  readBytes: z.int(),
  logWrites: z.int(),
  bitmapWrites: z.int(),
});

/** A resync or verify that runs. */
export const MirrorProgress = z.object({
  kind: z.enum(["resync", "verify"]),
  totalBytes: z.number(),
  leftBytes: z.number(),
  elapsedMs: z.number(),
  bytesPerSecond: z.number(),
  wantBytesPerSecond: z.number().optional(),
  etaSeconds: z.number().optional(),
});

/** One volume, with everything that people are shown. */
export const VolumeStatus = z.object({
  resource: z.string(),
  volume: z.int(),
  minor: z.int(),
  device: z.string(),
  /** Path of the disk below, if this host has one. */
  backingDisk: z.string().optional(),
  state: MirrorStateView,
  protocol: z.enum(["A", "B", "C"]),
  sizeBytes: z.int(),
  counters: MirrorCounters,
  outOfSyncBytes: z.int(),
  /** Requests of the application that are not answered (`ap`). */
  applicationPending: z.int(),
  /** Frames that the peer has not confirmed (`pe`). */
  peerPending: z.int(),
  /** Frames that we have not confirmed (`ua`). */
  unacknowledged: z.int(),
  /** Generation identifiers in hex: current, bitmap, history. */
  generations: z.array(z.string()).optional(),
  /** Why it is StandAlone, where that was no command; a restart forgets it. */
  aloneWhy: z.string().optional(),
  /** Writes of this Primary wait for the volume register. */
  waitsForRegister: z.boolean().optional(),
  progress: MirrorProgress.optional(),
  /** NBD clients that hold the export open. */
  openCount: z.int(),
  /** The node of the block device that people open, if there is one. */
  deviceNode: z.string().optional(),
  /**
   * When the application wrote while the nodes were parted, by this host's wall
   * clock, in ms since 1970; missing: it did not, or nobody knows.
   */
  written: z.object({ fromMs: z.int(), untilMs: z.int() }).optional(),
  /**
   * What this former Primary of protocol A had, not confirmed by its peer, and
   * has lost to the peer's data: at most so many blocks of 4 KiB (what the peer
   * wrote there since counts, too), and the undo file with them. It is told until
   * that file is removed.
   */
  discarded: z.object({
    blocks: z.int(),
    keptIn: z.string().optional(),
    /** How many of the blocks are in it. */
    keptBlocks: z.int().optional(),
    /** False: the resync goes on. */
    isWhole: z.boolean(),
    /** When it began, in ms since 1970, for people. */
    atMs: z.int().optional(),
  }).optional(),
});
/** One volume, with everything that people are shown. */
export type VolumeStatus = z.infer<typeof VolumeStatus>;

/** One resource. */
export const ResourceStatus = z.object({
  resource: z.string(),
  node: z.string(),
  peerNode: z.string(),
  local: z.string(),
  remote: z.string(),
  /** NBD URIs of the exports. */
  exports: z.array(z.string()),
  /**
   * Options that count from the next connection on, and that the one that
   * stands was not made with, by their names in drbd.conf.
   */
  pending: z.array(z.string()).default([]),
  volumes: z.array(VolumeStatus),
});
/** One resource. */
export type ResourceStatus = z.infer<typeof ResourceStatus>;

/** Everything that a daemon runs. */
export const MirrorStatus = z.object({
  version: z.string(),
  pid: z.int(),
  resources: z.array(ResourceStatus),
  /** Resources that do not run because something of the daemon died. */
  fallen: z.array(z.object({ resource: z.string(), why: z.string() }))
    .optional(),
});
/** Everything that a daemon runs. */
export type MirrorStatus = z.infer<typeof MirrorStatus>;

/** A change, as `events2` tells it. */
export const MirrorEvent = z.object({
  /** Milliseconds since 1970, for people. */
  atMs: z.number(),
  resource: z.string(),
  volume: z.int(),
  kind: z.enum([
    "exists",
    "create",
    "change",
    "destroy",
    "helper",
    "resize",
  ]),
  before: MirrorStateView.optional(),
  after: MirrorStateView.optional(),
  /** Of a resize: the new size. */
  sizeBytes: z.int().min(0).optional(),
  /** Of a helper: its name and exit code. */
  helper: z.object({ name: z.string(), status: z.int().optional() }).optional(),
});
/** A change, as `events2` tells it. */
export type MirrorEvent = z.infer<typeof MirrorEvent>;

/**
 * A resource to run: what `drbdadm` resolved from the configuration
 * (`schema/drbd_conf`, `ResourceConfig`), as JSON.
 */
export const ResourceRequest = z.object({
  /** The resolved resource; checked by the daemon when it maps it. */
  config: z.unknown(),
  /** TCP address for the exports beside the Unix socket, `HOST:PORT`. */
  exportAddress: z.string().optional(),
  /** Make device nodes on promotion. */
  deviceNodes: z.boolean(),
});
/** A resource to run. */
export type ResourceRequest = z.infer<typeof ResourceRequest>;

/** The whole configuration that a resource runs by from now on. */
export const OptionsRequest = z.object({
  /** The resolved resource; checked by the daemon when it maps it. */
  config: z.unknown(),
});
/** The whole configuration that a resource runs by from now on. */
export type OptionsRequest = z.infer<typeof OptionsRequest>;
