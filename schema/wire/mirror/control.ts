/**
 * The JSON bodies of the rare frames between two mirror nodes.
 *
 * @module
 */

import { z } from "zod";
import { VolumeMember } from "../../volume.ts";

/** A generation identifier as 16 hex digits. */
export const GenerationHex = z.string().regex(/^[0-9A-F]{16}$/);

/** The four generation identifiers of a volume. */
export const GenerationsHex = z.object({
  current: GenerationHex,
  bitmap: GenerationHex,
  history: z.tuple([GenerationHex, GenerationHex]),
});
/** The four generation identifiers of a volume. */
export type GenerationsHex = z.infer<typeof GenerationsHex>;

const Word = z.string().max(32).regex(/^[A-Za-z]+$/);

/** The words of a node's state that its peer is told. */
export const MirrorStateWords = z.object({
  role: Word,
  disk: Word,
  connection: Word,
  /** Whether a person or a dependency pauses the resync there. */
  paused: z.boolean(),
  generations: GenerationsHex,
  dirtyBits: z.int().min(0),
});
/** The words of a node's state that its peer is told. */
export type MirrorStateWords = z.infer<typeof MirrorStateWords>;

/** What both nodes tell one another before they decide anything. */
export const MirrorReport = z.object({
  state: MirrorStateWords,
  /** Usable size of the sender's backing device; 0 without one. */
  backingBytes: z.int().min(0),
  /** The size both agreed on last; 0: never. */
  agreedBytes: z.int().min(0),
  protocol: z.enum(["A", "B", "C"]),
  discardMyData: z.boolean(),
  /** The sender was in sync and has not stopped since. */
  stayedUp: z.boolean().optional(),
  /** The same with any protocol: what reached the sender's disk is there. */
  kept: z.boolean().optional(),
  crashedPrimary: z.boolean(),
  /** The sender's data becomes Inconsistent whatever happens. */
  willBeInconsistent: z.boolean(),
  afterSplitBrain0: Word.or(z.string().max(40)),
  afterSplitBrain1: z.string().max(40),
  afterSplitBrain2: z.string().max(40),
  alwaysAsbp: z.boolean(),
  rrConflict: z.string().max(40),
  dataIntegrity: z.string().max(32),
  verifyAlgorithm: z.string().max(32),
  checksumAlgorithm: z.string().max(32),
  /** Connect only to see what would happen. */
  tentative: z.boolean(),
  /** The sender has decided before on this connection and asks anew. */
  again: z.boolean(),
  /**
   * No answer yet: the sender makes what it has stable first, and then asks
   * anew. Nobody decides on this one.
   */
  later: z.boolean().optional(),
  /** Whether a register decides who may be Primary; both must say the same. */
  fencedByRegister: z.boolean().optional(),
  /** The size configured for a new volume; missing: as large as possible. */
  wantedBytes: z.int().min(0).optional(),
  /** The version of the frames about sizes that the sender knows; 0: none. */
  sizeFrames: z.int().min(0).optional(),
  /** What a disk that is being negotiated is worth without the peer. */
  alone: Word.optional(),
  /** What the application of a Primary without a disk has last seen. */
  exposed: GenerationHex.optional(),
  /** A copy of this generation is behind what the sender's lost disk had. */
  outdates: GenerationHex.optional(),
  /** The sender's copy as the register names it. */
  member: VolumeMember.optional(),
});
/** What both nodes tell one another before they decide anything. */
export type MirrorReport = z.infer<typeof MirrorReport>;

/** A change of state of the sender that the peer must agree to. */
export const StateWish = z.object({
  role: Word.optional(),
  disk: Word.optional(),
  /** What the receiver's disk is to be. */
  peerDisk: Word.optional(),
  connection: Word.optional(),
  /** Of a verify: the digest that both must use. */
  verifyAlgorithm: z.string().max(32).optional(),
  /** Both are new and equal: this is the name of their data from now on. */
  skipSync: GenerationHex.optional(),
  /** With a resync: copy only what is out of sync already, not everything. */
  onlyMarked: z.boolean().optional(),
  /** The sender's disk is about to be detached. */
  letsDiskGo: z.boolean().optional(),
});
/** A change of state of the sender that the peer must agree to. */
export type StateWish = z.infer<typeof StateWish>;

/** Longest sentence of a refusal that a peer may send, in characters. */
export const SIZE_WHY_MAX = 500;

/** A node asks its peer for another size of the volume. */
export const SizeWish = z.object({
  /** `lead`: the receiver is Primary and asks in turn. `grow`: grow your copy. */
  step: z.enum(["lead", "grow"]),
  /** The size wanted, in bytes; 0: as large as both disks allow. */
  sizeBytes: z.int().min(0).multipleOf(512),
  /** What is new is equal on both disks: it needs no resync. */
  assumeClean: z.boolean(),
  /** What the sender's disk has room for now, in bytes. */
  backingBytes: z.int().min(0),
});
/** A node asks its peer for another size of the volume. */
export type SizeWish = z.infer<typeof SizeWish>;

/** The peer's answer to a {@linkcode SizeWish}. */
export const SizeAnswer = z.object({
  /** 1: done. Otherwise a refusal, as of a command. */
  code: z.int().min(-999).max(999),
  /** The size of the sender's copy now, in bytes. */
  sizeBytes: z.int().min(0).multipleOf(512),
  /** The cause and the next step. */
  why: z.string().max(SIZE_WHY_MAX).optional(),
});
/** The peer's answer to a {@linkcode SizeWish}. */
export type SizeAnswer = z.infer<typeof SizeAnswer>;
