/**
 * What the main isolate and the store worker say to each other.
 *
 * Everything that changes the database is a batch: one message, one
 * transaction, one answer. The bytes of all small bodies of a batch travel in
 * one buffer, which is transferred.
 *
 * @module
 */

import type { ProblemSlug, StorePathReport } from "@kedge/schema";
import type { Applied } from "../ports.ts";
import type { Step } from "./merge_core.ts";
import type { PackedOp } from "./op_codec.ts";
import type { RunIdentity } from "./run_start.ts";

/** What the worker is started with. */
export interface WorkerOptions {
  readonly dataDir: string;
  readonly storePaths: readonly string[];
  readonly node: number;
  readonly group: string;
  /** Identity and first incarnation for a new database. */
  readonly newStore: string;
  readonly newIncarnation: number;
  /** What a start adds to the incarnation; random, from 1. */
  readonly incarnationStep: number;
  /** Identity of this start. */
  readonly newRun: string;
  /** Age after which a file is flushed and its copy dropped, in ms. */
  readonly settleDelayMs: number;
  /** How long an undurable commit may wait for its flush, in ms. */
  readonly flushDelayMs: number;
  /** How long an idempotency key is remembered, in ms. */
  readonly keyLifeMs: number;
  /** WAL bytes, roughly, after which it is moved into the database. */
  readonly checkpointBytes: number;
  /** Size of the reserve file, in bytes. */
  readonly reserveFileBytes: number;
  /** Whether equal bytes are kept once per store path. */
  readonly checkDuplicates: boolean;
  /** Largest file that is packed, in bytes; 0 packs none. */
  readonly smallFileMax: number;
  /** Length from which the next segment is begun, in bytes. */
  readonly segmentBytes: number;
  /** For tests; see `shrinker.ts`. */
  readonly freePagesMin: number | undefined;
  /** Whether another program looks at the files; see `FileActions`. */
  readonly isShared: boolean;
}

/** One thing to store. */
export type Op =
  | {
    readonly kind: "append";
    readonly sequence: number;
    /** The change as JSON. */
    readonly record: string;
    readonly step: Step;
    readonly key: RememberedKey | undefined;
  }
  | {
    readonly kind: "apply";
    readonly origin: number;
    readonly incarnation: number;
    /** Sequence of the first step. */
    readonly first: number;
    readonly steps: readonly Step[];
  }
  /** Content of these is taken also when the state is known already. */
  | { readonly kind: "adopt"; readonly steps: readonly Step[] }
  | { readonly kind: "state"; readonly key: string; readonly value: string }
  /** The content of this version is wrong here, or right after all. */
  | {
    readonly kind: "mark";
    readonly id: string;
    readonly epoch: number;
    readonly version: number;
    readonly damaged: boolean;
  }
  | {
    readonly kind: "fence";
    readonly pathIndex: number;
    /** `null` takes the fence away. */
    readonly reason: string | null;
  }
  /** Forget those of these tombstones that were stored up to a stamp. */
  | {
    readonly kind: "collect";
    readonly ids: readonly string[];
    readonly upTo: number;
    /** No new name of ours may be of this second or before, from now on. */
    readonly namesAfterS: number;
  }
  /** Forget our records of one run up to here: those of earlier runs are gone. */
  | {
    readonly kind: "cut";
    readonly incarnation: number;
    readonly sequence: number;
  }
  /** A peer's log is held up to here, although its records did not come. */
  | {
    readonly kind: "skip";
    readonly origin: number;
    readonly incarnation: number;
    readonly sequence: number;
  }
  /** A peer has forgotten the runs of its log before this one. */
  | {
    readonly kind: "forget-runs";
    readonly origin: number;
    readonly incarnation: number;
  }
  /** The files of a path are gone: their content must come from the group. */
  | { readonly kind: "empty-path"; readonly pathIndex: number }
  /** Nothing: for its flush. */
  | { readonly kind: "flush" };

/** An idempotency key to remember. */
export interface RememberedKey {
  readonly key: string;
  readonly id: string;
  readonly sha256: string;
  readonly epoch: number;
  readonly usedMs: number;
}

/** What became of one op. */
export type OpResult =
  | {
    readonly ok: true;
    readonly applied: readonly Applied[];
    /** Tombstones forgotten. */
    readonly collected: number;
  }
  | {
    readonly ok: false;
    readonly slug: ProblemSlug;
    readonly detail: string;
  };

/** To the worker. */
export type ToWorker =
  | { readonly kind: "open"; readonly options: WorkerOptions }
  | {
    readonly kind: "batch";
    readonly request: number;
    readonly durable: boolean;
    /** How long the first op has waited to be sent, in ms. */
    readonly heldMs: number;
    readonly ops: readonly PackedOp[];
    readonly bodyBytes: number;
    /** All bodies, and room that is not used; it comes back with the answer. */
    readonly bytes: Uint8Array<ArrayBuffer>;
  }
  | { readonly kind: "digests"; readonly request: number }
  | {
    readonly kind: "settle";
    readonly request: number;
    readonly minAgeMs: number;
  }
  /** Pack files up to this size from now on; 0 packs none. */
  | {
    readonly kind: "pack";
    readonly request: number;
    readonly sizeBytesMax: number;
  }
  | {
    readonly kind: "close";
    readonly request: number;
    readonly clean: boolean;
  };

/** State of a store path as found at the start. */
export interface PathState {
  readonly state: StorePathReport["state"];
  readonly reason: string | undefined;
}

/** What the worker found when it opened the database. */
export interface Opened {
  readonly store: string;
  readonly incarnation: number;
  readonly head: number;
  /** This start, and those before it. */
  readonly run: RunIdentity;
  /** Present files by the index, as far as they are counted. */
  readonly present: number;
  /** Tombstones that may be forgotten one day. */
  readonly tombstones: number;
  readonly paths: readonly PathState[];
  /** Whether files may lie in segments. */
  readonly hasPacked: boolean;
}

/** From the worker. */
export type FromWorker =
  | { readonly kind: "opened"; readonly opened: Opened }
  | {
    readonly kind: "open-failed";
    readonly slug: ProblemSlug;
    readonly detail: string;
  }
  | {
    readonly kind: "answer";
    readonly request: number;
    readonly results: readonly OpResult[];
    /** Present files by the index, as far as they are counted. */
    readonly present: number;
    /** Tombstones that may be forgotten one day. */
    readonly tombstones: number;
    /** Memory of the batch, to be used again. */
    readonly bytes?: Uint8Array<ArrayBuffer> | undefined;
  }
  /** The database can no longer be written; nothing of the batch counts. */
  | {
    readonly kind: "failed";
    readonly request: number;
    readonly why: string;
  }
  | {
    readonly kind: "digests";
    readonly request: number;
    readonly digests: Uint32Array;
    /** The same over present files alone. */
    readonly present: Uint32Array;
  }
  /** Something happened to a disk. */
  | {
    readonly kind: "path";
    readonly pathIndex: number;
    readonly state: PathState;
  }
  /** Flushes of a whole file system take long. */
  | { readonly kind: "slow-flush"; readonly pauseMs: number }
  /** Bytes that store paths will take when they are packed. */
  | { readonly kind: "waiting"; readonly bytes: readonly number[] }
  /** The database disk is full, or has room again. */
  | { readonly kind: "database-full"; readonly isFull: boolean }
  | {
    readonly kind: "log";
    readonly level: "info" | "warn";
    readonly message: string;
    readonly facts: Record<string, unknown>;
  };
