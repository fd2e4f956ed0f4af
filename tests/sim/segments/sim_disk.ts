/**
 * A disk with segments: what was flushed stays, of the rest a power loss keeps
 * any part.
 *
 * @module
 */

import type { Prng } from "../prng.ts";

/** A whole record; `undefined` in its place is garbage. */
export interface Cell {
  readonly id: string;
  readonly lengthBytes: number;
  readonly isLive: boolean;
  /** Its head can be read, its body is wrong. */
  readonly isRotten?: boolean;
}

/** Content of one segment. */
class Image {
  readonly cells = new Map<number, Cell>();
  sizeBytes = 0;

  copy(): Image {
    const image = new Image();
    for (const [at, cell] of this.cells) image.cells.set(at, cell);
    image.sizeBytes = this.sizeBytes;
    return image;
  }

  write(offset: number, cell: Cell): void {
    const end = offset + cell.lengthBytes;
    for (const [at, other] of this.cells) {
      if (at < end && at + other.lengthBytes > offset) this.cells.delete(at);
    }
    this.cells.set(offset, cell);
    this.sizeBytes = Math.max(this.sizeBytes, end);
  }

  truncate(sizeBytes: number): void {
    for (const [at, { lengthBytes }] of this.cells) {
      if (at + lengthBytes > sizeBytes) this.cells.delete(at);
    }
    this.sizeBytes = sizeBytes;
  }

  change(offset: number, what: Partial<Cell>): void {
    const cell = this.cells.get(offset);
    if (cell !== undefined) this.cells.set(offset, { ...cell, ...what });
  }
}

interface SimFile {
  now: Image;
  durable: Image;
  /** Done to `now` since the last flush. */
  pending: ((image: Image) => void)[];
  /** Removed, and the folder is not flushed. */
  isRemoved: boolean;
}

/** See the module comment. */
export class SimDisk {
  readonly #files = new Map<number, SimFile>();

  /** Numbers of the segments that are there, in order. */
  get segments(): number[] {
    return [...this.#files].filter(([, file]) => !file.isRemoved)
      .map(([segment]) => segment).sort((a, b) => a - b);
  }

  /** Length of a segment, if it is there. */
  sizeOf(segment: number): number | undefined {
    return this.#there(segment)?.now.sizeBytes;
  }

  /** A record, if a whole one begins there. */
  read(segment: number, offset: number): Cell | undefined {
    return this.#there(segment)?.now.cells.get(offset);
  }

  /** Whole records from `from` on, in order. */
  scan(segment: number, from = 0): (Cell & { readonly offset: number })[] {
    const cells = this.#there(segment)?.now.cells ?? new Map<number, Cell>();
    return [...cells].filter(([at]) => at >= from).sort(([a], [b]) => a - b)
      .map(([offset, cell]) => ({ ...cell, offset }));
  }

  /** Make an empty segment, durably. */
  create(segment: number): void {
    const now = new Image();
    const file = { now, durable: now.copy(), pending: [], isRemoved: false };
    this.#files.set(segment, file);
  }

  /** Write a record. */
  write(segment: number, offset: number, cell: Cell): void {
    this.#do(segment, (image) => image.write(offset, cell));
  }

  /** Cut or extend. */
  truncate(segment: number, sizeBytes: number): void {
    this.#do(segment, (image) => image.truncate(sizeBytes));
  }

  /** Mark a record dead, if it is this file's. */
  bury(segment: number, offset: number, id: string): void {
    if (this.read(segment, offset)?.id !== id) return;
    this.#do(segment, (image) => image.change(offset, { isLive: false }));
  }

  /** A sector decays. */
  rot(segment: number, offset: number): void {
    const file = this.#there(segment);
    for (const image of [file?.now, file?.durable]) {
      image?.change(offset, { isRotten: true });
    }
  }

  /** Flush the content of a segment. */
  sync(segment: number): void {
    const file = this.#there(segment);
    if (file === undefined) return;
    file.durable = file.now.copy();
    file.pending = [];
  }

  /** Remove a segment; the folder is not flushed. */
  remove(segment: number): void {
    const file = this.#files.get(segment);
    if (file !== undefined) file.isRemoved = true;
  }

  /** Flush the folder. */
  syncFolder(): void {
    for (const [segment, { isRemoved }] of this.#files) {
      if (isRemoved) this.#files.delete(segment);
    }
  }

  /** What was not flushed is there, or not, or in part. */
  losePower(random: Prng): void {
    for (const [segment, file] of this.#files) {
      if (file.isRemoved && random.chance(0.5)) {
        this.#files.delete(segment);
        continue;
      }
      const image = file.durable.copy();
      for (const act of file.pending) if (random.chance(0.5)) act(image);
      const found = { durable: image.copy(), now: image };
      Object.assign(file, found, { pending: [], isRemoved: false });
    }
  }

  #there(segment: number): SimFile | undefined {
    const file = this.#files.get(segment);
    return file?.isRemoved === true ? undefined : file;
  }

  #do(segment: number, act: (image: Image) => void): void {
    const file = this.#there(segment);
    if (file === undefined) return;
    act(file.now);
    file.pending.push(act);
  }
}
