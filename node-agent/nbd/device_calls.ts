/**
 * Turns checked requests of one connection into calls of the device, and the
 * device's answers into replies, in whatever order they come.
 *
 * @module
 */

import {
  CHUNK_HEADER_BYTES,
  CommandFlag,
  DATA_CHUNK_BYTES,
  ERROR_CHUNK_BYTES,
  NbdCommand,
  type NbdRequest,
  putDataChunk,
  putErrorChunk,
  putNoneChunk,
  putSimpleReply,
  putStatusChunk,
  SIMPLE_REPLY_BYTES,
  STATUS_CHUNK_BYTES,
} from "@kedge/schema/wire/nbd/requests";
import { type BlockDevice, BlockErrno } from "../block_ports.ts";
import type { Agreed } from "./handshake_core.ts";
import { LongRead } from "./long_read.ts";
import type { Output } from "./output.ts";
import type { Signal } from "./signal.ts";
import { Zeroes } from "./zeroes.ts";

/** What the calls work with. */
export interface DeviceCallsParts {
  readonly agreed: Agreed;
  readonly output: Output;
  /** Notified when the output or a call has changed. */
  readonly changed: Signal;
  /** A call came back, and its reply is in the output. */
  readonly completed: () => void;
}

/** A WRITE whose data is on its way. */
export interface Transfer {
  readonly request: NbdRequest;
  /** Where the next piece goes. */
  offset: number;
  leftBytes: number;
  /** Unanswered pieces, and one for the receiving itself. */
  pending: number;
  /** Once set, the rest of the data is dropped. */
  errno: BlockErrno;
  /** FUA came with more data than a piece: one flush follows all pieces. */
  readonly mustFlush: boolean;
}

/** The calls of one connection. */
export class DeviceCalls {
  readonly #parts: DeviceCallsParts;
  readonly #device: BlockDevice;
  readonly #zeroes: Zeroes;
  #count = 0;
  #writeBytes = 0;
  #isUnsettled = false;

  /** No calls yet. */
  constructor(parts: DeviceCallsParts) {
    this.#parts = parts;
    this.#device = parts.agreed.export.device;
    this.#zeroes = new Zeroes(() => this.#device.settle());
  }

  /** Calls that the device has not answered. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of writes that the device has not answered. */
  get writeBytes(): number {
    return this.#writeBytes;
  }

  /** Let the device settle when it was called behind its last settling. */
  settle(): void {
    if (!this.#isUnsettled) return;
    this.#isUnsettled = false;
    this.#device.settle();
  }

  /** Do any request but WRITE, DISC and a long READ. */
  begin(request: NbdRequest): void {
    const { type, lengthBytes } = request;
    if (type === NbdCommand.BLOCK_STATUS) return this.#status(request);
    // A prefetch may always be left out; of nothing, nothing is to be done.
    const isNothing = type === NbdCommand.CACHE ||
      lengthBytes === 0 && type !== NbdCommand.FLUSH;
    if (isNothing) return this.answer(request, BlockErrno.OK);
    if (type === NbdCommand.READ) return this.#read(request);
    if (type === NbdCommand.FLUSH) {
      return this.#device.flush(this.#whenDone(request));
    }
    this.#zero(request);
  }

  /** The client is gone: of what is long, no more than what was begun. */
  dropRest(): void {
    this.#zeroes.drop();
  }

  /** TRIM and WRITE_ZEROES, in pieces. */
  #zero(request: NbdRequest): void {
    const { type, offset, lengthBytes, flags } = request;
    const device = this.#device;
    const done = this.#whenDone(request);
    const mayPunch = (flags & CommandFlag.NO_HOLE) === 0;
    let mustFlush = (flags & CommandFlag.FUA) !== 0;
    this.#zeroes.add({
      offset,
      lengthBytes,
      act: (piece, pieceDone) => {
        // Several pieces have one flush behind them.
        const fua = mustFlush && piece.lengthBytes === lengthBytes;
        if (fua) mustFlush = false;
        if (type === NbdCommand.TRIM) {
          return device.trim(piece.offset, piece.lengthBytes, fua, pieceDone);
        }
        // What was found quick at its beginning is finished in any case.
        const fastOnly = (flags & CommandFlag.FAST_ZERO) !== 0 &&
          piece.offset === offset;
        const how = { fua, mayPunch, fastOnly };
        device.writeZeroes(piece.offset, piece.lengthBytes, how, pieceDone);
      },
      ended: (errno) => {
        if (!mustFlush || errno !== BlockErrno.OK) return done(errno);
        this.#isUnsettled = true;
        device.flush(done);
        this.#parts.completed();
      },
    });
  }

  /** Write the next piece of a transfer. */
  writePiece(transfer: Transfer, data: Uint8Array): void {
    const { offset, request } = transfer;
    const lengthBytes = data.length;
    transfer.offset += lengthBytes;
    transfer.leftBytes -= lengthBytes;
    transfer.pending++;
    this.#count++;
    this.#writeBytes += lengthBytes;
    const fua = (request.flags & CommandFlag.FUA) !== 0 && !transfer.mustFlush;
    this.#device.write(offset, data, fua, (errno) => {
      this.#count--;
      this.#writeBytes -= lengthBytes;
      this.endPart(transfer, errno);
      this.#parts.completed();
    });
  }

  /** A piece, or the receiving, is over; the last one brings the reply. */
  endPart(transfer: Transfer, errno: BlockErrno): void {
    transfer.errno ||= errno;
    if (--transfer.pending > 0) return;
    if (transfer.mustFlush && transfer.errno === BlockErrno.OK) {
      this.#isUnsettled = true;
      return this.#device.flush(this.#whenDone(transfer.request));
    }
    this.answer(transfer.request, transfer.errno);
  }

  /**
   * Answer a READ that is longer than a piece.
   *
   * @returns False when the connection must end.
   */
  async readLong(request: NbdRequest): Promise<boolean> {
    const { agreed, output, changed, completed } = this.#parts;
    const { structured } = agreed;
    this.#count++;
    const device = this.#device;
    const parts = { device, output, changed, structured };
    const end = await new LongRead(request, parts).run();
    this.#count--;
    if (typeof end === "object") this.answer(request, end.errno);
    if (end === "broken") output.fail();
    completed();
    return end !== "broken";
  }

  /** Answer without content. */
  answer(request: NbdRequest, errno: BlockErrno): void {
    const { agreed, output } = this.#parts;
    const mustBeChunk = agreed.structured &&
      (request.type === NbdCommand.READ ||
        request.type === NbdCommand.BLOCK_STATUS);
    if (!mustBeChunk) {
      const { buffer, from } = output.claim(SIMPLE_REPLY_BYTES);
      putSimpleReply(buffer.view, from, request, wireErrno(request, errno));
    } else if (errno === BlockErrno.OK) {
      const { buffer, from } = output.claim(CHUNK_HEADER_BYTES);
      putNoneChunk(buffer.view, from, request);
    } else {
      const { buffer, from } = output.claim(ERROR_CHUNK_BYTES);
      putErrorChunk(buffer.view, from, request, errno);
    }
  }

  #read(request: NbdRequest): void {
    const { agreed: { structured }, output, completed } = this.#parts;
    const { offset, lengthBytes } = request;
    const headBytes = structured ? DATA_CHUNK_BYTES : SIMPLE_REPLY_BYTES;
    const place = output.open(headBytes + lengthBytes);
    const { buffer, from, to } = place;
    const into = buffer.bytes.subarray(from + headBytes, to);
    this.#count++;
    this.#device.read(offset, into, (errno) => {
      this.#count--;
      if (errno !== BlockErrno.OK) {
        output.cancel(place);
        this.answer(request, errno);
      } else {
        if (structured) {
          const data = { offset, lengthBytes, isLast: true };
          putDataChunk(buffer.view, from, request, data);
        } else putSimpleReply(buffer.view, from, request, errno);
        output.finish(place);
      }
      completed();
    });
  }

  #whenDone(request: NbdRequest): (errno: BlockErrno) => void {
    this.#count++;
    return (errno) => {
      this.#count--;
      this.answer(request, errno);
      this.#parts.completed();
    };
  }

  #status(request: NbdRequest): void {
    const { agreed: { contextId }, output } = this.#parts;
    if (contextId === undefined) return; // was refused before
    const { lengthBytes } = request;
    const { buffer, from } = output.claim(STATUS_CHUNK_BYTES);
    // Status 0 is "data", which is always a safe answer.
    const extent = { contextId, lengthBytes, status: 0 };
    putStatusChunk(buffer.view, from, request, extent);
  }
}

/** ENOTSUP may only answer a request that demanded to be fast. */
function wireErrno(request: NbdRequest, errno: BlockErrno): BlockErrno {
  const mayBe = (request.flags & CommandFlag.FAST_ZERO) !== 0;
  return errno === BlockErrno.ENOTSUP && !mayBe ? BlockErrno.EIO : errno;
}
