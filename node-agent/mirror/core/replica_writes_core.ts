/**
 * The Primary's writes, applied on the other node in the order of the stream.
 *
 * A flush that is a barrier ends an epoch: nothing behind it is written before
 * everything in front of it is stable, so that the disk is a write-order prefix
 * whatever happens (promises.md B4). What arrives meanwhile waits in memory; it
 * counts as received (protocol B) and is applied even when the link has gone
 * (R9). Any other flush runs beside the writes that follow it.
 *
 * Source: DRBD 8.4, reference §4.5.
 *
 * @module
 */

import type {
  DataFrame,
  FlushFrame,
  MirrorFrame,
  ZeroFrame,
} from "@kedge/schema/wire/mirror";
import { compareDisk, isConnected } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";

/** Bytes that may wait behind a flush before no more frames are welcome. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;
/** What a frame that waits takes beside its bytes, about. */
const FRAME_BYTES = 256;

type WriteFrame = DataFrame | ZeroFrame;
type StreamFrame = WriteFrame | FlushFrame;

/** A frame, and the connection that it came on. */
interface Arrival {
  readonly frame: StreamFrame;
  readonly session: number;
  /** The peer had no disk for it when it came. */
  readonly isUnseen: boolean;
}

/** Something that has its place in the stream of writes. */
interface InOrder {
  readonly run: () => void;
  readonly bytes: number;
  readonly session: number;
}

/** See the module comment. */
export class ReplicaWrites {
  #waiting: (Arrival | InOrder)[] = [];
  #waitingBytes = 0;
  #isFlushing = false;
  #received = 0;
  #written = 0;
  #stable = 0;
  #told = { received: 0, written: 0, stable: 0 };
  /** Somebody waits for what is to be told. */
  #isAwaited = false;
  /** Counts connections: an answer of an earlier one is not for this one. */
  #session = 0;

  constructor(readonly volume: VolumeCore) {}

  /** Whether everything that was received is on the disk. */
  get isDrained(): boolean {
    return !this.#isFlushing && this.#waiting.length === 0;
  }

  /** Whether no more frames should be read for now. */
  get isFull(): boolean {
    return this.#waitingBytes > WAITING_BYTES_MAX;
  }

  /** Frames that are not acknowledged as written (`ua` of /proc/drbd). */
  get unacknowledged(): number {
    return this.#received - this.#written;
  }

  /** A new connection: numbers begin anew. */
  linkReady(): void {
    this.#session++;
    this.#received = this.#written = this.#stable = 0;
    this.#told = { received: 0, written: 0, stable: 0 };
  }

  /** The connection is gone; what was received is applied all the same. */
  linkDown(): void {
    this.#session++;
  }

  /**
   * The disk is gone: no write that waits can be applied. Who asked something
   * is answered, without data.
   */
  diskLost(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#isFlushing = false;
    for (const each of waiting) {
      if ("run" in each && each.session === this.#session) each.run();
    }
  }

  /** A frame of the stream of writes. */
  receive(frame: StreamFrame): void {
    const { volume } = this;
    if (frame.sequence !== this.#received + 1) {
      return volume.link.protocolError("a gap in the stream of writes");
    }
    this.#received = frame.sequence;
    this.#isAwaited ||= isAwaited(frame);
    if (!volume.hasLocalDisk) return this.#refuse(frame);
    const arrival = {
      frame,
      session: this.#session,
      // Now, and not when it is applied: the peer's disk may come meanwhile.
      isUnseen: compareDisk(volume.state.peerDisk, "Inconsistent") < 0,
    };
    if (this.isDrained) return this.#apply(arrival);
    const kept = copied(frame);
    this.#waiting.push({ ...arrival, frame: kept });
    this.#waitingBytes += bytesOf(kept);
  }

  /**
   * What came before is stable when `then` runs, and nothing behind it is
   * applied. Dropped when the link or the disk is gone.
   */
  barrier(then: () => void): void {
    if (this.isDrained) return this.#stabilise(then);
    const run = () => this.#stabilise(then);
    this.#waiting.push({ run, bytes: FRAME_BYTES, session: this.#session });
    this.#waitingBytes += FRAME_BYTES;
  }

  /**
   * Something that must see every write in front of it and none behind it: a
   * read of the peer, a resync block, a digest. Dropped when the link is gone.
   */
  inOrder<F extends MirrorFrame>(frame: F, run: (frame: F) => void): void {
    if (this.isDrained) return run(frame);
    const kept = copied(frame);
    const bytes = bytesOf(kept);
    const session = this.#session;
    this.#waiting.push({ run: () => run(kept), bytes, session });
    this.#waitingBytes += bytes;
  }

  /** Time passes: tell also what nobody waits for. */
  tick(): void {
    this.#isAwaited = true;
  }

  /** The end of a batch: acknowledge in one frame. */
  settle(): void {
    const now = {
      received: this.#received,
      written: this.#written,
      stable: this.#stable,
    };
    const told = this.#told;
    const isNews = now.received !== told.received ||
      now.written !== told.written || now.stable !== told.stable;
    if (!isNews || !isConnected(this.volume.state.connection)) return;
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    this.#told = now;
    this.volume.effects.send({ kind: "ack", ...now });
  }

  #apply(arrival: Arrival): void {
    const { frame } = arrival;
    if (frame.kind === "flush") return this.#flush(arrival);
    const { volume } = this;
    const { offset } = frame;
    const lengthBytes = lengthOf(frame);
    const isReady = !arrival.isUnseen || this.#isNoted(offset, lengthBytes);
    const isWritten = isReady && volume.writeLocally(
      offset,
      lengthBytes,
      frame.kind === "data"
        ? { data: frame.payload, mayPunch: false }
        : { data: undefined, mayPunch: frame.mayPunch },
    );
    if (!isWritten) return this.#refuse(frame);
    this.#isWritten(arrival);
  }

  /**
   * Only we have this write: its name and its bits are durable first, since no
   * activity log covers it here.
   */
  #isNoted(offset: number, lengthBytes: number): boolean {
    const { volume } = this;
    if (!volume.generations.beforeUnseenWrite()) return false;
    volume.bitmap?.set(offset, lengthBytes);
    return volume.saveBitmapOf(offset, lengthBytes);
  }

  #isWritten({ frame, session }: Arrival): void {
    if (session !== this.#session) return;
    this.#written = frame.sequence;
    this.#isAwaited ||= isAwaited(frame);
  }

  #flush(arrival: Arrival): void {
    const { frame, session } = arrival;
    const isBarrier = frame.kind === "flush" && frame.barrier;
    this.#isWritten(arrival);
    const isDone = () => {
      if (session !== this.#session) return;
      this.#stable = frame.sequence;
      this.#isAwaited = true;
    };
    if (isBarrier) return this.#stabilise(isDone);
    this.volume.flusher.request((stable) => {
      if (!stable) return; // the disk is gone, and everybody knows
      isDone();
      this.settle();
    });
  }

  #stabilise(then: () => void): void {
    const { volume } = this;
    if (!volume.hasLocalDisk) return;
    this.#isFlushing = true;
    volume.flusher.request((stable) => {
      if (!stable) return;
      then();
      this.#isFlushing = false;
      this.#applyWaiting();
      this.settle();
      if (this.isDrained) volume.link.drained();
      volume.roles.drained();
    });
  }

  #applyWaiting(): void {
    while (!this.#isFlushing) {
      const arrival = this.#waiting.shift();
      if (arrival === undefined) return;
      if ("run" in arrival) {
        this.#waitingBytes -= arrival.bytes;
        if (arrival.session === this.#session) arrival.run();
        continue;
      }
      const { frame } = arrival;
      this.#waitingBytes -= bytesOf(frame);
      this.#apply(arrival);
    }
  }

  #refuse(frame: StreamFrame): void {
    const { sequence } = frame;
    this.volume.effects.send({ kind: "failed", sequence });
  }
}

/** The bytes of a frame are the link's, which uses them again. */
function copied<F extends MirrorFrame>(frame: F): F {
  if ("payload" in frame) return { ...frame, payload: frame.payload.slice() };
  return "digest" in frame ? { ...frame, digest: frame.digest.slice() } : frame;
}

function lengthOf(frame: WriteFrame): number {
  return frame.kind === "data" ? frame.payload.length : frame.lengthBytes;
}

/** What a frame that waits takes. */
function bytesOf(frame: MirrorFrame): number {
  return FRAME_BYTES + ("payload" in frame ? frame.payload.length : 0);
}

/** Of a flush that is no barrier only its end is waited for. */
function isAwaited(frame: StreamFrame): boolean {
  return frame.kind !== "flush" || frame.barrier;
}
