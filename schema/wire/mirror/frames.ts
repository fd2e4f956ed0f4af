/**
 * What two agents say to one another about one mirrored volume.
 *
 * One TCP connection per volume carries these frames in order, both ways; the
 * order is part of the protocol (a resync block read and sent in one turn can
 * not overtake a later write). Frames on the hot path have binary bodies, the
 * rare ones JSON (`control.ts`). The semantics are those of DRBD's packets, the
 * framing is ours: length-bounded, with a CRC, a version and the epoch of the
 * volume register in every header (promises.md R1).
 *
 * Offsets and lengths are bytes, multiples of 512. Sequence numbers count the
 * `data`, `zero` and `flush` frames of one connection, from 1.
 *
 * @module
 */

import type {
  MirrorReport,
  MirrorStateWords,
  SizeAnswer,
  SizeWish,
  StateWish,
} from "./control.ts";

/** The longest payload of one frame, in bytes. */
export const MIRROR_PAYLOAD_BYTES_MAX = 128 * 1024;

/** A write of the Primary. */
export interface DataFrame {
  readonly kind: "data";
  readonly sequence: number;
  readonly offset: number;
  readonly payload: Uint8Array;
}

/** A range of zeroes written by the Primary. */
export interface ZeroFrame {
  readonly kind: "zero";
  readonly sequence: number;
  readonly offset: number;
  readonly lengthBytes: number;
  /** The peer may punch a hole. */
  readonly mayPunch: boolean;
}

/**
 * Everything before it becomes stable on the peer's disk; that is acknowledged
 * with `stable`.
 */
export interface FlushFrame {
  readonly kind: "flush";
  readonly sequence: number;
  /**
   * Nothing behind it is written before that: the application may have been
   * told that the flush is done (protocols A and B).
   */
  readonly barrier: boolean;
}

/** How far the peer is: cumulative sequence numbers. */
export interface AckFrame {
  readonly kind: "ack";
  /** In the peer's memory (protocol B). */
  readonly received: number;
  /** Written on the peer (protocol C). */
  readonly written: number;
  /** Stable on the peer's disk; the end of an epoch. */
  readonly stable: number;
}

/** The peer could not write `sequence`; its disk is gone. */
export interface FailedFrame {
  readonly kind: "failed";
  readonly sequence: number;
}

/** A range that was written without replication: out of sync from now on. */
export interface DirtyFrame {
  readonly kind: "dirty";
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Read for a node without good data. */
export interface ReadRequestFrame {
  readonly kind: "readRequest";
  readonly id: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** The answer; an empty payload says that it could not be read. */
export interface ReadReplyFrame {
  readonly kind: "readReply";
  readonly id: number;
  readonly payload: Uint8Array;
}

/** The resync target asks for a range; requests are numbered from 1. */
export interface ResyncRequestFrame {
  readonly kind: "resyncRequest";
  readonly id: number;
  readonly offset: number;
  readonly lengthBytes: number;
  /** Digest of what the target has (checksum-based resync); empty: none. */
  readonly digest: Uint8Array;
}

/** The resync source's answer; answers come in the order of the requests. */
export interface ResyncDataFrame {
  readonly kind: "resyncData";
  readonly id: number;
  readonly offset: number;
  /** Empty with `outcome` other than "data". */
  readonly payload: Uint8Array;
  /** "same": the digests agree. "failed": the source cannot read it. */
  readonly outcome: "data" | "same" | "failed";
  readonly lengthBytes: number;
}

/** All requests up to `id` are stable on the target's disk. */
export interface ResyncStableFrame {
  readonly kind: "resyncStable";
  readonly id: number;
}

/** Online verify: what is the digest of this range? */
export interface VerifyRequestFrame {
  readonly kind: "verifyRequest";
  readonly id: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Its digest; empty when it could not be read. */
export interface VerifyReplyFrame {
  readonly kind: "verifyReply";
  readonly id: number;
  readonly digest: Uint8Array;
}

/** A piece of the sender's out-of-sync bitmap, little-endian as on disk. */
export interface BitmapFrame {
  readonly kind: "bitmap";
  /** First byte of the bitmap that `payload` holds. */
  readonly atByte: number;
  readonly payload: Uint8Array;
  /** Whether this is the last piece. */
  readonly last: boolean;
}

/** Everything the peer needs to decide who is sync source. */
export interface ReportFrame {
  readonly kind: "report";
  readonly report: MirrorReport;
}

/** The sender's state changed. */
export interface StateFrame {
  readonly kind: "state";
  readonly state: MirrorStateWords;
}

/** The source's new bitmap generation; the target takes it as its current one. */
export interface SyncGenerationFrame {
  readonly kind: "syncGeneration";
  readonly generation: bigint;
}

/** The sender has a new current generation while we have no disk of our own. */
export interface CurrentGenerationFrame {
  readonly kind: "currentGeneration";
  readonly generation: bigint;
}

/** A change of state that needs the peer's agreement. */
export interface StateRequestFrame {
  readonly kind: "stateRequest";
  readonly id: number;
  readonly wish: StateWish;
}

/** The peer's answer: 1 or a refusal of the state table (negative). */
export interface StateReplyFrame {
  readonly kind: "stateReply";
  readonly id: number;
  readonly code: number;
}

/** The volume is to have another size. */
export interface SizeRequestFrame {
  readonly kind: "sizeRequest";
  readonly id: number;
  readonly wish: SizeWish;
}

/** What became of it. */
export interface SizeReplyFrame {
  readonly kind: "sizeReply";
  readonly id: number;
  readonly answer: SizeAnswer;
}

/** Every frame of a mirror connection after the handshake of the transport. */
export type MirrorFrame =
  | DataFrame
  | ZeroFrame
  | FlushFrame
  | AckFrame
  | FailedFrame
  | DirtyFrame
  | ReadRequestFrame
  | ReadReplyFrame
  | ResyncRequestFrame
  | ResyncDataFrame
  | ResyncStableFrame
  | VerifyRequestFrame
  | VerifyReplyFrame
  | BitmapFrame
  | ReportFrame
  | StateFrame
  | SyncGenerationFrame
  | CurrentGenerationFrame
  | StateRequestFrame
  | StateReplyFrame
  | SizeRequestFrame
  | SizeReplyFrame;

/** The name of a frame. */
export type MirrorFrameKind = MirrorFrame["kind"];
