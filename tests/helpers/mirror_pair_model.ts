/**
 * What a client was told about a block device, and what may therefore be on it.
 *
 * Every write gets a number that is never used again, and each 512-byte piece
 * of it says whose it is: what is read tells which write it came from.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** The unit that is never torn, in bytes. */
export const PIECE_BYTES = 512;
const MAGIC = 0x4b504945;
/** Numbers that one side of a split brain may use. */
const FORK_NUMBERS = 1_000_000;
const ZEROES = new Uint8Array(PIECE_BYTES);

/** A write that was sent. */
interface Sent {
  readonly id: number;
  /** Flushes that had been answered when it was sent. */
  readonly epoch: number;
  isAcknowledged: boolean;
}

/** A piece that must not be what it is. */
export interface Wrong {
  readonly piece: number;
  /** What is there: the number of a write, or -1 for bytes that nobody wrote. */
  readonly found: number;
  /** What may be there; the first one was acknowledged last. */
  readonly allowed: readonly number[];
}

/** See the module comment. */
export class BlockModel {
  /** Answered flushes. */
  epoch = 0;
  /** Acknowledged writes. */
  acknowledged = 0;
  readonly pieces: number;
  readonly #history: Sent[][];
  #lastId = 0;

  /** @param sizeBytes Size of the device; it must hold zeroes. */
  constructor(readonly sizeBytes: number) {
    this.pieces = Math.floor(sizeBytes / PIECE_BYTES);
    const zero = { id: 0, epoch: -1, isAcknowledged: true };
    this.#history = Array.from({ length: this.pieces }, () => [zero]);
  }

  /** A write is about to be sent: its bytes, and what to call when it is answered. */
  send(first: number, count: number): {
    readonly data: Uint8Array<ArrayBuffer>;
    readonly answered: () => void;
  } {
    const { epoch } = this;
    const sent: Sent = { id: ++this.#lastId, epoch, isAcknowledged: false };
    const data = new Uint8Array(count * PIECE_BYTES);
    for (let index = 0; index < count; index++) {
      this.#history[first + index]?.push(sent);
      fill(data, index * PIECE_BYTES, { id: sent.id, piece: first + index });
    }
    const answered = () => {
      sent.isAcknowledged = true;
      this.acknowledged++;
    };
    return { data, answered };
  }

  /** Numbers of the writes that a piece may hold, the oldest first. */
  allowed(piece: number): number[] {
    const history = this.#history[piece] ?? [];
    const last = history.findLastIndex(({ isAcknowledged }) => isAcknowledged);
    return history.slice(last).map(({ id }) => id);
  }

  /**
   * Pieces of `bytes` that hold something else than the last acknowledged
   * write or one that was never answered.
   *
   * @param first Piece at which `bytes` begin.
   */
  wrongIn(bytes: Uint8Array, first = 0): Wrong[] {
    const wrong: Wrong[] = [];
    this.#each(bytes, first, (piece, found) => {
      const allowed = this.allowed(piece);
      if (!allowed.includes(found)) wrong.push({ piece, found, allowed });
    });
    return wrong;
  }

  /**
   * Pieces of `bytes`, the whole device, that are older than what the first
   * `flushes` answered flushes made durable.
   */
  olderThan(bytes: Uint8Array, flushes: number): Wrong[] {
    const wrong: Wrong[] = [];
    this.#each(bytes, 0, (piece, found) => {
      const history = this.#history[piece] ?? [];
      const durable = history.findLastIndex(({ epoch, isAcknowledged }) =>
        isAcknowledged && epoch < flushes
      );
      const allowed = history.slice(durable).map(({ id }) => id);
      if (!allowed.includes(found)) wrong.push({ piece, found, allowed });
    });
    return wrong;
  }

  /**
   * Whether `bytes`, the whole device, are a prefix in the order of the
   * flushes: everything up to some flush, nothing behind the next one.
   *
   * @returns What contradicts it, or undefined; and which pieces have lost an
   *   acknowledged write.
   */
  prefixOf(
    bytes: Uint8Array,
  ): { problem: string | undefined; lost: readonly number[] } {
    let [low, high] = [-1, Infinity];
    const lost: number[] = [];
    let problem: string | undefined;
    this.#each(bytes, 0, (piece, found) => {
      const history = this.#history[piece] ?? [];
      const at = history.findIndex(({ id }) => id === found);
      const here = history[at];
      if (here === undefined) {
        problem ??= `piece ${piece} holds what nobody wrote there`;
        return;
      }
      low = Math.max(low, here.epoch);
      const next = history.slice(at + 1).find(({ isAcknowledged }) =>
        isAcknowledged
      );
      if (next === undefined) return;
      lost.push(piece);
      high = Math.min(high, next.epoch);
    });
    if (low > high) {
      problem ??= `a write behind flush ${low} is there, one before flush ` +
        `${high + 1} is not`;
    }
    return { problem, lost };
  }

  /**
   * The same memory for a client of the other side of a split brain; its
   * writes have numbers of their own.
   */
  fork(): BlockModel {
    const other = new BlockModel(this.sizeBytes);
    other.epoch = this.epoch;
    other.#lastId = this.#lastId + FORK_NUMBERS;
    for (const [piece, history] of this.#history.entries()) {
      other.#history[piece] = history.map((sent) => ({ ...sent }));
    }
    return other;
  }

  /** From now on every piece holds what was found, and nothing else. */
  settle(bytes: Uint8Array): void {
    this.#each(bytes, 0, (piece, found) => {
      const sent = this.#history[piece]?.find(({ id }) => id === found);
      if (sent === undefined) return;
      sent.isAcknowledged = true;
      this.#history[piece] = [sent];
    });
  }

  #each(
    bytes: Uint8Array,
    first: number,
    see: (piece: number, found: number) => void,
  ): void {
    const count = Math.min(
      Math.floor(bytes.length / PIECE_BYTES),
      this.pieces - first,
    );
    for (let index = 0; index < count; index++) {
      see(first + index, numberIn(bytes, index * PIECE_BYTES, first + index));
    }
  }
}

/** Whose piece it is; -1: nobody's, or a torn one. */
function numberIn(bytes: Uint8Array, at: number, piece: number): number {
  const here = Buffer.from(bytes.buffer, bytes.byteOffset + at, PIECE_BYTES);
  if (here.readUInt32LE(0) === 0 && here.equals(ZEROES)) return 0;
  if (here.readUInt32LE(0) !== MAGIC) return -1;
  const id = here.readUInt32LE(4);
  const wanted = new Uint8Array(PIECE_BYTES);
  fill(wanted, 0, { id, piece });
  return here.equals(wanted) ? id : -1;
}

function fill(
  bytes: Uint8Array,
  at: number,
  { id, piece }: { readonly id: number; readonly piece: number },
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, PIECE_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, id, true);
  for (let word = 2; word < PIECE_BYTES / 4; word++) {
    view.setUint32(word * 4, Math.imul(id, 0x9e3779b1) + piece + word, true);
  }
}
