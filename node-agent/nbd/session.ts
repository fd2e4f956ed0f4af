/**
 * The transmission phase of one NBD connection.
 *
 * One input buffer that stays in the processor's cache; all requests in it are
 * handed to the device in one turn, then the device settles and the replies
 * leave in one socket write. Nothing is allocated in proportion to a request: a
 * WRITE flows through in pieces, a READ is read into the reply. Completions are
 * callbacks in any order, those of one turn of the event loop leave together.
 *
 * What one client can cost is bounded: no request is taken while too many calls
 * of the device are unanswered, or while the client does not take its replies.
 *
 * @module
 */

import {
  CommandFlag,
  DATA_CHUNK_BYTES,
  decodeRequest,
  NbdCommand,
  type NbdRequest,
  REQUEST_BYTES,
} from "@kedge/schema/wire/nbd/requests";
import {
  type BlockDevice,
  BlockErrno,
  MAX_PIECE_BYTES,
} from "../block_ports.ts";
import { DeviceCalls, type Transfer } from "./device_calls.ts";
import type { Agreed } from "./handshake_core.ts";
import type { NbdLimits } from "./limits.ts";
import { Output } from "./output.ts";
import { checkRequest, type RequestRules } from "./request_core.ts";
import { Signal } from "./signal.ts";

/** Size of the input buffer, in bytes; holds a whole piece and more. */
const INPUT_BYTES = 256 * 1024;
/** Less room than this, in bytes, and the input moves to the buffer's front. */
const INPUT_ROOM_BYTES_MIN = 64 * 1024;
/** Pieces of a long write are cut at multiples of this, in bytes. */
const CUT_BYTES = 4096;

/** So much of a long write, in bytes, is handed on although more will come. */
const PASSED_ON_BYTES_MIN = 32 * 1024;

/** The socket of a session. */
export interface SessionConn {
  /** Some bytes, or null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Send some of the bytes; answers how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** End both directions; pending calls fail. */
  close(): void;
}

/** What a session needs. */
export interface SessionOptions {
  readonly conn: SessionConn;
  readonly agreed: Agreed;
  /** Bytes that the client sent right behind the handshake. */
  readonly early: Uint8Array;
  readonly limits: NbdLimits;
  /** Called once, when the device will not be asked again. */
  readonly release: () => void;
}

/** Why a turn is over; a request is a long READ. */
type TurnEnd = "need-data" | "wait" | "end" | NbdRequest;

/** One connection in transmission. */
export class Session {
  readonly #conn: SessionConn;
  readonly #device: BlockDevice;
  readonly #rules: RequestRules;
  readonly #limits: NbdLimits;
  readonly #output: Output;
  readonly #calls: DeviceCalls;
  readonly #changed = new Signal();
  readonly #input = new Uint8Array(INPUT_BYTES);
  readonly #view = new DataView(this.#input.buffer);
  #start = 0;
  #end = 0;
  #transfer: Transfer | undefined;
  #isInTurn = false;
  #isFlushPlanned = false;
  #isReceiving = true;
  /** The client said good-bye: it wants what it asked for. */
  #hasLeft = false;
  #isClosing = false;
  #isGraceOver = false;
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  #release: (() => void) | undefined;

  /** A session that begins. */
  constructor(options: SessionOptions) {
    const { conn, agreed, limits, early, release } = options;
    this.#conn = conn;
    this.#device = agreed.export.device;
    this.#rules = rulesOf(agreed);
    this.#limits = limits;
    this.#release = release;
    const changed = this.#changed;
    const output = new Output(
      conn,
      limits.replyBuffersMax,
      () => this.#outputChanged(),
    );
    this.#output = output;
    const completed = () => this.#completed();
    this.#calls = new DeviceCalls({ agreed, output, changed, completed });
    this.#input.set(early);
    this.#end = early.length;
  }

  /**
   * Serve until the client leaves, is cut, or the export has closed.
   *
   * @throws What the device threw: a fault of the program.
   */
  async run(): Promise<void> {
    try {
      await this.#receive();
      this.#isReceiving = false;
      if (!this.#hasLeft) this.#calls.dropRest();
      this.#releaseWhenIdle();
      while (this.#calls.count > 0 || !this.#output.isIdle) {
        await this.#changed.wait();
      }
    } finally {
      // Also when the device threw: then nobody can say what is under way.
      this.#output.fail();
      this.#cut();
      clearTimeout(this.#graceTimer);
      this.#releaseNow();
    }
  }

  /**
   * The export goes away: later requests get ESHUTDOWN, and soon after the last
   * reply that is due the connection ends.
   */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#graceTimer = setTimeout(() => {
      this.#isGraceOver = true;
      this.#outputChanged();
    }, this.#limits.closeGraceMs);
    this.#calls.dropRest();
    this.#releaseWhenIdle();
  }

  /** Cut a client that does not take its replies. */
  cutIfStalled(nowMs: number): boolean {
    const sinceMs = this.#output.stalledSinceMs;
    if (sinceMs === undefined) return false;
    const { closeGraceMs, stallMs } = this.#limits;
    const limitMs = this.#isClosing ? closeGraceMs : stallMs;
    if (nowMs - sinceMs < limitMs) return false;
    this.#output.fail();
    this.#cut();
    return true;
  }

  async #receive(): Promise<void> {
    for (;;) {
      const turnEnd = this.#turn();
      if (turnEnd === "end") return;
      if (turnEnd === "wait") {
        while (!this.#mayTake()) await this.#changed.wait();
      } else if (turnEnd !== "need-data") {
        if (!await this.#calls.readLong(turnEnd)) return;
      } else {
        const pressure = this.#device.pressure();
        if (pressure !== undefined) await pressure;
        if (!await this.#fill()) return;
      }
    }
  }

  /** Hand everything in the input to the device, then send what is ready. */
  #turn(): TurnEnd {
    this.#isInTurn = true;
    const turnEnd = this.#takeRequests();
    this.#device.settle();
    this.#isInTurn = false;
    this.#output.flush();
    return turnEnd;
  }

  #takeRequests(): TurnEnd {
    for (;;) {
      if (this.#output.isFailed) return "end";
      if (!this.#mayTake()) return "wait";
      if (this.#transfer !== undefined) {
        if (!this.#takePiece(this.#transfer)) return "need-data";
        continue;
      }
      if (this.#end - this.#start < REQUEST_BYTES) return "need-data";
      const request = decodeRequest(this.#view, this.#start);
      if (request === undefined) return "end";
      this.#start += REQUEST_BYTES;
      if (request.type === NbdCommand.DISC) {
        this.#hasLeft = true;
        return "end";
      }
      if (this.#begin(request) === "long-read") return request;
    }
  }

  /** Whether the bounds of the connection allow one more request or piece. */
  #mayTake(): boolean {
    return this.#output.isFailed ||
      this.#calls.count < this.#limits.flightCallsMax &&
        this.#calls.writeBytes < this.#limits.flightBytesMax &&
        this.#output.hasRoom(DATA_CHUNK_BYTES + MAX_PIECE_BYTES);
  }

  #begin(request: NbdRequest): "long-read" | undefined {
    const { type, offset, lengthBytes } = request;
    const errno = this.#isClosing ? BlockErrno.ESHUTDOWN : this.#check(request);
    if (type === NbdCommand.WRITE) {
      const mustFlush = lengthBytes > MAX_PIECE_BYTES &&
        (request.flags & CommandFlag.FUA) !== 0;
      this.#transfer = {
        request,
        offset,
        leftBytes: lengthBytes,
        pending: 1,
        errno,
        mustFlush,
      };
    } else if (errno !== BlockErrno.OK) {
      this.#calls.answer(request, errno);
    } else if (type === NbdCommand.READ && lengthBytes > MAX_PIECE_BYTES) {
      return "long-read";
    } else {
      this.#calls.begin(request);
    }
    return undefined;
  }

  #check(request: NbdRequest): BlockErrno {
    return checkRequest(request, this.#rules);
  }

  /** Take some of a WRITE's data; false: not enough of it has come. */
  #takePiece(transfer: Transfer): boolean {
    if (this.#isClosing && transfer.leftBytes > 0) {
      transfer.errno ||= BlockErrno.ESHUTDOWN;
    }
    const haveBytes = this.#end - this.#start;
    const pieceBytes = pieceBytesOf(transfer, haveBytes);
    if (transfer.errno !== BlockErrno.OK) {
      const count = Math.min(transfer.leftBytes, haveBytes);
      this.#start += count;
      transfer.leftBytes -= count;
      if (transfer.leftBytes > 0) return false;
    } else if (pieceBytes > haveBytes) {
      return false;
    } else if (pieceBytes > 0) {
      const to = this.#start + pieceBytes;
      const data = this.#input.subarray(this.#start, to);
      this.#start = to;
      this.#calls.writePiece(transfer, data);
    }
    if (transfer.leftBytes > 0) return true;
    this.#transfer = undefined;
    this.#calls.endPart(transfer, BlockErrno.OK);
    return true;
  }

  /** Read more input; false: the client is gone, or was cut. */
  async #fill(): Promise<boolean> {
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
    } else if (INPUT_BYTES - this.#end < INPUT_ROOM_BYTES_MIN) {
      this.#input.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    try {
      const count = await this.#conn.read(this.#input.subarray(this.#end));
      this.#end += count ?? 0;
      return count !== null;
    } catch {
      return false;
    }
  }

  /** A call of the device came back: perhaps outside a turn. */
  #completed(): void {
    this.#changed.notify();
    this.#releaseWhenIdle();
    if (this.#isInTurn || this.#isFlushPlanned) return;
    // All completions of this turn of the event loop leave together.
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#calls.settle();
      this.#output.flush();
    });
  }

  #outputChanged(): void {
    this.#changed.notify();
    if (!this.#isGraceOver || this.#calls.count > 0) return;
    if (this.#output.isIdle) this.#cut();
  }

  #releaseWhenIdle(): void {
    if (this.#calls.count > 0) return;
    if (this.#isReceiving && !this.#isClosing) return;
    this.#releaseNow();
  }

  #releaseNow(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  #cut(): void {
    try {
      this.#conn.close();
    } catch {
      // It was closed already.
    }
  }
}

/** One object for all requests; a device may grow. */
function rulesOf(
  { export: found, structured, contextId }: Agreed,
): RequestRules {
  const { device, readOnly, minimumBlockBytes } = found;
  return {
    get sizeBytes() {
      return device.sizeBytes;
    },
    readOnly,
    minimumBlockBytes,
    structured,
    hasContext: contextId !== undefined,
  };
}

/** Length of the next piece; more than `haveBytes` when it has to wait. */
function pieceBytesOf(transfer: Transfer, haveBytes: number): number {
  const { offset, leftBytes } = transfer;
  // A later piece begins at a multiple of CUT_BYTES.
  const wholeBytes = Math.min(leftBytes, MAX_PIECE_BYTES - offset % CUT_BYTES);
  const isLong = transfer.request.lengthBytes > MAX_PIECE_BYTES;
  if (haveBytes >= wholeBytes || !isLong) return wholeBytes;
  if (haveBytes < PASSED_ON_BYTES_MIN) return wholeBytes;
  return haveBytes - (offset + haveBytes) % CUT_BYTES;
}
