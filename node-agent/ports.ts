/**
 * What the parts of the agent need from each other and from the world.
 *
 * The parts (`files/`, `sync/`, `http/`) never import one another: they take
 * these ports, and `agent.ts` alone wires them. Real adapters are in
 * `adapters/`, simulated ones in `tests/sim/`.
 *
 * @module
 */

import type { Change, FileEntry } from "@kedge/schema/change";
import type {
  GroupRegister,
  GroupSettings,
  Heartbeat,
  HeartbeatReply,
  Level,
  NodeId,
  PeerAddress,
  PeerInfo,
  RegisterChange,
  SigningKey,
  StorePathReport,
  SyncPosition,
} from "@kedge/schema";

/** Time. Two clocks, because a wall clock may jump. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. For durations. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch. For people and for expiry of tokens. */
  wallMs(): number;
}

/** One line of the log, for people and programs. */
export interface Log {
  /** Something an operator wants to know. */
  info(message: string, facts?: Record<string, unknown>): void;
  /** Something an operator must know. */
  warn(message: string, facts?: Record<string, unknown>): void;
}

// ---------------------------------------------------------------- content

/** Bytes that lie in this node's store but are not yet a file. */
export interface Staged {
  /** Name of the staging file below `PATH/data/.tmp/`, or "" when inline. */
  readonly token: string;
  /** Store path that it lies in, or is meant for. */
  readonly pathIndex: number;
  /** Length, in bytes. */
  readonly sizeBytes: number;
  /** CRC-32 of the bytes. */
  readonly crc32: number;
  /** SHA-256 of the bytes, in hex. */
  readonly sha256: string;
  /** The bytes themselves when at most `INLINE_BODY_BYTES_MAX`. */
  readonly inline: Uint8Array | undefined;
}

/** Receives a copy of a large body while it arrives (cut-through). */
export interface Relay {
  /**
   * Take the next bytes; resolves when they are not used any more
   * (back-pressure). Never throws.
   *
   * @param bytes Must not be changed until then.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** The body is complete; peers that took all of it need no second transfer. */
  finish(): Promise<void>;
  /** The body will not be used. */
  abort(): void;
}

/** What to stage. */
export interface StageRequest {
  /**
   * The bytes: a whole buffer, or a stream read once, whose pieces belong to
   * the store from then on.
   */
  readonly body: Uint8Array | ReadableStream<Uint8Array>;
  /** Most bytes to take; one more is `too-large`. */
  readonly sizeBytesMax: number;
  /** Expected length, in bytes, for the check against the reserve. */
  readonly sizeBytes?: number | undefined;
  /** Store path wanted by the tracker; the store's policy when missing. */
  readonly pathIndex?: number | undefined;
  /**
   * Gets a copy of bodies too large to be inline. Whoever stages finishes it at
   * the end of the body, or aborts it; the caller does neither.
   */
  readonly relay?: Relay | undefined;
  /**
   * Flush a large body before {@linkcode LocalFiles.stage} resolves, so that no
   * other record waits for it in the log. For changes at level C.
   */
  readonly durable?: boolean | undefined;
}

/** A change of a part of a file, as `LocalFiles.foresee` takes it. */
export type ContentEdit =
  /** Staged bytes go to `offset`; at the end of the file it is an append. */
  | {
    readonly kind: "range";
    readonly offset: number;
    readonly staged: Staged;
  }
  /** The file is cut, or extended with zeros. */
  | { readonly kind: "truncate"; readonly sizeBytes: number };

/** The bytes of a change that this node makes or receives. */
export type ContentSource =
  | { readonly kind: "none" }
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "staged"; readonly staged: Staged };

/** A part of a file to read, in bytes; whole file when missing. */
export interface ByteSpan {
  readonly from: number;
  readonly lengthBytes: number;
}

// ---------------------------------------------------------------- files/

/**
 * This node's files: bytes on disk and the index. Implemented by `files/`.
 *
 * Every method that touches a disk throws {@linkcode Problem}s only:
 * `insufficient-storage`, `read-only` (fenced), `damaged`, `too-large`.
 */
export interface LocalFiles {
  /** Take bytes in. Nothing is visible until a change refers to them. */
  stage(request: StageRequest): Promise<Staged>;
  /** Forget staged bytes. Never throws. */
  discard(staged: Staged): Promise<void>;
  /**
   * Choose a new file ID, unused here for ever (index and tombstones asked).
   *
   * @param options Origin, size, CRC, extension, appender flag, store path.
   */
  newId(options: {
    readonly staged: Staged;
    readonly extension: string;
    readonly appender: boolean;
  }): string;
  /**
   * Length and CRC-32 that a file will have after an edit: what the entry of
   * the change must say. Reads what it must; shows nothing to anybody. The
   * caller holds the file's lock until the change is committed or given up.
   *
   * @throws {Problem} `damaged`, or `insufficient-storage`.
   */
  foresee(
    entry: FileEntry,
    edit: ContentEdit,
  ): Promise<{ readonly sizeBytes: number; readonly crc32: number }>;
  /** What this node knows of a file; fast, from memory or the index. */
  lookup(id: string): FileEntry | undefined;
  /**
   * The content of a present file as the body of a response. Bytes are checked
   * against the checksums: wrong bytes are never returned as good.
   *
   * @returns A buffer for small spans, a stream for large ones.
   * @throws {Problem} `damaged` when the copy is missing, short or wrong.
   */
  read(
    entry: FileEntry,
    span?: ByteSpan,
  ): Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** Entries in ID order, for operators. */
  list(query: {
    readonly prefix?: string | undefined;
    readonly after?: string | undefined;
    readonly sinceS?: number | undefined;
    readonly untilS?: number | undefined;
    readonly limit: number;
  }): FileEntry[];
  /** Whether this key was used before, and for which file. */
  remembered(idempotencyKey: string): RememberedUpload | undefined;
  /** State of every disk. */
  storePaths(): StorePathReport[];
  /** Present files. */
  fileCount(): number;
  /** What operators should see. */
  alarms(): string[];
}

/** What an `Idempotency-Key` stands for. */
export interface RememberedUpload {
  /** The file that it made. */
  readonly id: string;
  /** SHA-256 of the content it was used with, in hex. */
  readonly sha256: string;
}

// ------------------------------------------------- files/ towards sync/

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
   * Store our own records, in order, and make their files visible.
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
   * or is known to be lost, {@linkcode skip} moves it.
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
    limit: { readonly records: number; readonly bytes: number },
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

// ---------------------------------------------------------------- sync/

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
   */
  mayRead(): { readonly ok: true; readonly confirm?: boolean } | {
    readonly ok: false;
    readonly why: string;
  };
  /** Whether changes may be taken, or why not. */
  mayWrite(): { readonly ok: true } | {
    readonly ok: false;
    readonly why: string;
  };
}

// ----------------------------------------------------- sync/ and the world

/** A connection to another agent: bytes both ways, in order. */
export interface ByteChannel {
  /** Who is at the other end, for the log. */
  readonly remote: string;
  /**
   * Read what has come, at least one byte.
   *
   * @returns How many bytes were put into `into`; `null` at the end.
   * @throws {Error} When the connection broke.
   */
  read(into: Uint8Array): Promise<number | null>;
  /** Write all of `bytes`; waits while the other side does not read. */
  write(bytes: Uint8Array): Promise<void>;
  /** End both directions at once. Never throws; may be called again. */
  close(): void;
}

/** A door for other agents. */
export interface PeerListener {
  /** Where it listens; the real port when port 0 was asked for. */
  readonly address: PeerAddress;
  /** Take no more connections. Those that exist go on. */
  close(): void;
}

/** How agents reach each other. TCP in `adapters/tcp_transport.ts`. */
export interface PeerTransport {
  /**
   * Connect to an agent.
   *
   * @throws {Error} When nobody answers within `timeoutMs`.
   */
  connect(address: PeerAddress, timeoutMs: number): Promise<ByteChannel>;
  /** Take connections of agents. Port 0 is any free one. */
  listen(
    address: PeerAddress,
    onChannel: (channel: ByteChannel) => void,
  ): PeerListener;
}

/** The answer to a change of the register. `unknown`: it may have happened. */
export type RegisterAnswer =
  | { readonly outcome: "changed"; readonly register: GroupRegister }
  | {
    readonly outcome: "refused";
    /** The register as it is, when the tracker said so. */
    readonly register: GroupRegister | undefined;
  }
  | { readonly outcome: "unknown"; readonly why: string };

/**
 * The trackers, as one node sees them. The adapter chooses which of them to
 * ask and how long to wait; every method throws an `Error` when none answered.
 */
export interface TrackerPort {
  /** Report, and learn the register, peers, keys, settings and mode. */
  heartbeat(report: Heartbeat): Promise<HeartbeatReply>;
  /** Read the register. */
  register(): Promise<GroupRegister>;
  /** Ask for a compare-and-set. Never throws: silence is `unknown`. */
  changeRegister(
    gen: string,
    epoch: number,
    change: RegisterChange,
  ): Promise<RegisterAnswer>;
}
