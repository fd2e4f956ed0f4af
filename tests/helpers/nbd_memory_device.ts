/**
 * A device in memory that answers when a test says so, and fails when it shall.
 *
 * @module
 */

import {
  type BlockDevice,
  type BlockDone,
  BlockErrno,
  type ZeroOptions,
} from "../../node-agent/block_ports.ts";

/** A call that the device was asked for. */
export interface DeviceCall {
  readonly kind: "read" | "write" | "zeroes" | "trim" | "flush";
  readonly offset: number;
  readonly lengthBytes: number;
  readonly fua: boolean;
  readonly options?: ZeroOptions;
}

/** A device of a test. */
export class MemoryDevice implements BlockDevice {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Every call, in order. */
  readonly calls: DeviceCall[] = [];
  /** Decides about a call: an error, or "later" until {@linkcode answerAll}. */
  rule: (call: DeviceCall) => BlockErrno | "later" = () => BlockErrno.OK;
  /** What {@linkcode pressure} answers. */
  relief: Promise<void> | undefined;
  /** Whether {@linkcode settle} followed the last call. */
  isSettled = true;
  /** Most calls that waited at once. */
  waitingMax = 0;
  #waiting: { call: DeviceCall; finish: (errno: BlockErrno) => void }[] = [];

  /** A device of so many zeroes. */
  constructor(public sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
  }

  /** Calls that wait for an answer. */
  get waiting(): readonly DeviceCall[] {
    return this.#waiting.map(({ call }) => call);
  }

  /**
   * Answer what waits, newest first: replies come in another order.
   *
   * @param errnoOf Decides about each call; "later" lets it wait on.
   */
  answerAll(errnoOf: MemoryDevice["rule"] = () => BlockErrno.OK): void {
    const waiting = this.#waiting.reverse();
    this.#waiting = [];
    for (const each of waiting) {
      const errno = errnoOf(each.call);
      if (errno === "later") this.#waiting.unshift(each);
      else each.finish(errno);
    }
  }

  /** Fill with the bytes at `offset`. */
  read(offset: number, into: Uint8Array, done: BlockDone): void {
    const lengthBytes = into.length;
    this.#do({ kind: "read", offset, lengthBytes, fua: false }, done, () => {
      into.set(this.bytes.subarray(offset, offset + lengthBytes));
    });
  }

  /** Take a copy at once. */
  write(
    offset: number,
    data: Uint8Array,
    fua: boolean,
    done: BlockDone,
  ): void {
    const copy = data.slice();
    const lengthBytes = data.length;
    this.#do({ kind: "write", offset, lengthBytes, fua }, done, () => {
      this.bytes.set(copy, offset);
    });
  }

  /** Zero the range. */
  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: ZeroOptions,
    done: BlockDone,
  ): void {
    const { fua } = options;
    this.#do(
      { kind: "zeroes", offset, lengthBytes, fua, options },
      done,
      () => {
        this.bytes.fill(0, offset, offset + lengthBytes);
      },
    );
  }

  /** Zero the range: that is what a trim of ours gives. */
  trim(
    offset: number,
    lengthBytes: number,
    fua: boolean,
    done: BlockDone,
  ): void {
    this.#do({ kind: "trim", offset, lengthBytes, fua }, done, () => {
      this.bytes.fill(0, offset, offset + lengthBytes);
    });
  }

  /** Note that it was asked for. */
  flush(done: BlockDone): void {
    const call = { kind: "flush", offset: 0, lengthBytes: 0, fua: false };
    this.#do(call as DeviceCall, done, () => {});
  }

  /** Nothing is held back; whether it was called is noted. */
  settle(): void {
    this.isSettled = true;
  }

  /** What the test wants. */
  pressure(): Promise<void> | undefined {
    return this.relief;
  }

  #do(call: DeviceCall, done: BlockDone, act: () => void): void {
    this.calls.push(call);
    this.isSettled = false;
    const errno = this.rule(call);
    if (errno === "later") {
      const finish = (errno: BlockErrno) => {
        if (errno === BlockErrno.OK) act();
        done(errno);
      };
      this.#waiting.push({ call, finish });
      this.waitingMax = Math.max(this.waitingMax, this.#waiting.length);
      return;
    }
    if (errno === BlockErrno.OK) act();
    done(errno);
  }
}
