/**
 * The change log and the index, as `sync/` sees them. Implemented by `files/`.
 *
 * @module
 */

import type { GroupRegister, NodeId, SyncPosition } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import type { ContentSource } from "./content.ts";

/** A record of an origin's log: the change with its place. */
export interface LogRecord {
  /** Place in the origin's log, from 1 without gaps. */
  readonly sequence: number;
  /** The change. */
  readonly change: Change;
}

/** A place in a log: all up to here, and all earlier runs. */
export interface LogPlace {
  readonly incarnation: number;
  readonly sequence: number;
}

/** A record together with its bytes, if they are at hand. */
export interface LogRecordWithContent extends LogRecord {
  readonly content: ContentSource;
  /**
   * The file was deleted and everybody has forgotten it: only the number counts,
   * and nothing of the change may be stored.
   */
  readonly isHole?: true;
}

/** The `Idempotency-Key` that made a file, as its holders tell it. */
export interface UsedKey {
  readonly key: string;
  /** SHA-256 of the content it was used with, in hex; "" is not known. */
  readonly sha256: string;
  /** Epoch of the upload. */
  readonly epoch: number;
}

/** A state that is taken over from outside any log. */
export interface Adoption {
  readonly entry: FileEntry;
  readonly content: ContentSource;
  /** Remembered with it: its record may be lost or forgotten everywhere. */
  readonly usedKey?: UsedKey | undefined;
}

/** How much of a log is read at once. */
export interface RecordsLimit {
  /** Most records. */
  readonly records: number;
  /** Most inline bytes in all, but for the last record. */
  readonly bytes: number;
  /** Most in one record; `INLINE_BODY_BYTES_MAX` when missing. */
  readonly recordBytes?: number;
}

/** What happened to one record of a peer. */
export type Applied =
  | "applied" // newer than what we had
  | "known" // we had it, or something newer
  | "needs-content"; // stored as known but its bytes must be fetched

/**
 * The change log and the index of this node. Implemented by `files/`, whose
 * Worker puts everything that waits into one transaction.
 */
export interface ChangeLog {
  /** Which node this is. */
  readonly node: NodeId;
  /** Identity of this database. */
  readonly store: string;
  /**
   * The run of our log: a new one with every start (promises F7). It is a
   * number of the clock with random digits, or a random step (1 ≤ n < 2²⁰) after
   * the last one, whichever is higher: a node that was wiped or whose database
   * was set back never uses a number that peers know, whatever its clock says.
   */
  readonly incarnation: number;
  /**
   * Records that were written but not flushed may be gone: the last stop was not
   * clean, and the machine has restarted or a write had failed. Missing means
   * that every unclean stop counts.
   */
  readonly mayHaveLost?: boolean;
  /** Last sequence of our log that is stored; 0 is none. */
  head(): number;
  /**
   * Store our own records, in order, and make their files visible. Inline bytes
   * are not needed any more once this has resolved.
   *
   * @param records Contiguous with {@linkcode head}.
   * @param durable Whether to resolve only after a flush.
   * @param idempotencyKey Remembered in the same transaction.
   * @throws {Problem} `read-only` when the log can no longer be written.
   */
  append(
    record: LogRecordWithContent,
    durable: boolean,
    idempotencyKey?: string,
  ): Promise<void>;
  /**
   * Store records of a peer's log, in order, with its position, in one
   * transaction. Records that are not newer than ours change only the position,
   * which does not move beyond one that `needs-content`: once that was fetched,
   * or is known to be lost, {@linkcode skip} moves it. Inline bytes are not
   * needed any more once this has resolved.
   */
  apply(
    origin: NodeId,
    incarnation: number,
    records: readonly LogRecordWithContent[],
    durable: boolean,
  ): Promise<Applied[]>;
  /**
   * Take over states learnt from a compare or a fetch, outside any log.
   *
   * @returns Per entry as for {@linkcode apply}.
   */
  adopt(changes: readonly Adoption[], durable: boolean): Promise<Applied[]>;
  /** The key that made a file, if it is remembered. */
  usedKey(id: string): UsedKey | undefined;
  /** Resolve once everything stored before is durable. */
  flush(): Promise<void>;
  /**
   * Our own records after `sequence` of `incarnation`, with inline bytes where
   * small; larger bytes are for the peer to ask for. A record is given as what
   * its file is now: a tombstone when it was deleted, a hole when that is
   * forgotten.
   *
   * @throws {Error} When the next record is forgotten or damaged.
   */
  recordsAfter(
    incarnation: number,
    sequence: number,
    limit: RecordsLimit,
  ): Promise<LogRecordWithContent[]>;
  /** Our incarnations with their last sequence, oldest first. */
  incarnations(): readonly {
    readonly incarnation: number;
    readonly lastSequence: number;
  }[];
  /** Our records up to here are forgotten; `undefined` is none. */
  cut(): LogPlace | undefined;
  /**
   * Forget some of our oldest records, up to a place at most; never the last
   * one, which tells the next start its number.
   *
   * @returns Whether there may be more to forget.
   */
  cutLog(upTo: LogPlace): Promise<boolean>;
  /**
   * Hold a peer's log up to a place, durably: what the records before it said
   * has come by other ways.
   */
  skip(origin: NodeId, place: LogPlace): Promise<void>;
  /** Forget positions in runs of a peer's log that it has forgotten itself. */
  forgetRuns(origin: NodeId, beforeIncarnation: number): Promise<void>;
  /** How far we have applied every other origin. */
  positions(): readonly SyncPosition[];
  /** One digest per bucket (4,096) over (id, state, epoch, version). */
  digests(): Promise<Uint32Array>;
  /**
   * The same over present files alone: equal on two nodes that hold the same
   * files, whoever has forgotten which tombstones.
   */
  presentDigests(): Promise<Uint32Array>;
  /** Every entry of one bucket, tombstones too. */
  bucket(index: number): Promise<FileEntry[]>;
  /**
   * Entries present by the index whose bytes are missing or wrong here, in ID
   * order, after an ID.
   */
  damaged(limit: number, after?: string): Promise<FileEntry[]>;
  /** Tombstones that may be forgotten once every member has them. */
  tombstoneCount(): number;
  /** Stands for the tombstones that are stored here now. For this run only. */
  tombstoneMark(): number;
  /**
   * Forget tombstones that are older than a mark and were not stored again
   * since. Names that they stood for are never given out again.
   *
   * @param mark From {@linkcode tombstoneMark}.
   * @returns How many were forgotten.
   */
  collectTombstones(mark: number): Promise<number>;
  /** What was saved last. */
  register(): GroupRegister | undefined;
  /** Save durably. */
  saveRegister(register: GroupRegister): Promise<void>;
}
