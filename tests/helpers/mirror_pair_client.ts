/**
 * An NBD client with many requests under way that remembers in a
 * {@link BlockModel} what it was told, and checks what it reads meanwhile.
 *
 * @module
 */

import { eventually, within } from "./eventually.ts";
import {
  type BlockModel,
  PIECE_BYTES,
  type Wrong,
} from "./mirror_pair_model.ts";
import { RawNbd } from "./nbd_raw.ts";
import type { Random } from "./random.ts";

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const CHUNK_BYTES = 1024 * 1024;

/** Longest wait for a load to come so far, in milliseconds. */
const LOAD_MS = 30_000;

/** What a load does. */
export interface LoadOptions {
  readonly model: BlockModel;
  readonly random: Random;
  /** Requests under way at a time. */
  readonly depth?: number;
  /** Longest request, in pieces of 512 bytes. */
  readonly piecesMax?: number;
  /** A flush, alone, after so many writes; 0: never. */
  readonly flushEvery?: number;
  /** Flushes come over a connection of their own (NBD's multi-conn). */
  readonly flushesApart?: boolean;
  /** Called after every answer. */
  readonly onAnswer?: () => void;
  /** Share of reads, 0 to 1. */
  readonly reads?: number;
  /** Only this part of the device, in pieces. */
  readonly region?: { readonly first: number; readonly count: number };
}

interface Request {
  readonly lengthBytes: number;
  readonly answered: (error: number, data: Uint8Array) => void;
}

/** A load that runs until it is stopped, or the server goes away. */
export class MirrorLoad {
  /** Requests that were answered with an error: their numbers. */
  readonly errors: number[] = [];
  /** What was read and must not be. */
  readonly wrong: Wrong[] = [];
  /** Writes that this load was told are done. */
  acknowledged = 0;
  /** Reads that were answered. */
  read = 0;
  /** Resolves when it has ended; with why. */
  readonly ended: Promise<string>;
  readonly #requests = new Map<bigint, Request>();
  readonly #busy = new Set<number>();
  #lastCookie = 0n;
  #sinceFlush = 0;
  #isStopping = false;
  #isFlushing = false;
  #wake: PromiseWithResolvers<void> = Promise.withResolvers();

  private constructor(
    readonly client: RawNbd,
    readonly options: LoadOptions,
    /** Where flushes go, if not over `client`. */
    readonly flusher: RawNbd | undefined,
  ) {
    this.ended = this.#run();
  }

  /** Begin on the export at a Unix socket. */
  static async start(
    socket: string,
    name: string,
    options: LoadOptions,
  ): Promise<MirrorLoad> {
    const client = await openExport(socket, name);
    const { flushesApart = false } = options;
    const flusher = flushesApart ? await openExport(socket, name) : undefined;
    return new MirrorLoad(client, options, flusher);
  }

  /** Wait until so many writes were acknowledged. */
  until(acknowledged: number): Promise<void> {
    const what = `${acknowledged} acknowledged writes`;
    return this.#untilMore(what, () => this.acknowledged >= acknowledged);
  }

  /** Wait until the model knows of so many answered flushes. */
  untilFlushes(flushes: number): Promise<void> {
    const what = `${flushes} answered flushes`;
    return this.#untilMore(what, () => this.options.model.epoch >= flushes);
  }

  async #untilMore(what: string, isSo: () => boolean): Promise<void> {
    await eventually(() => {
      if (isSo()) return true;
      if (this.#isStopping) throw new Error("the load has ended");
      return undefined;
    }, { what, deadlineMs: LOAD_MS, pauseMs: 5 });
  }

  /** Send nothing more, take what is under way. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#wake.resolve();
    await within(this.ended, { what: "the load to end", deadlineMs: 30_000 });
  }

  async #run(): Promise<string> {
    const why = await Promise.race([this.#sendAll(), this.#takeAll()]);
    this.#isStopping = true;
    this.client[Symbol.dispose]();
    this.flusher?.[Symbol.dispose]();
    return why;
  }

  async #sendAll(): Promise<string> {
    const { depth = 16, flushEvery = 0 } = this.options;
    for (;;) {
      const isDue = flushEvery > 0 && this.#sinceFlush >= flushEvery;
      const isQuiet = this.#requests.size === 0;
      if (this.#isStopping && isQuiet) return "stopped";
      const mustWait = this.#isStopping || this.#isFlushing ||
        this.#requests.size >= depth || isDue && !isQuiet;
      if (mustWait) {
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
        continue;
      }
      try {
        await (isDue ? this.#flush() : this.#readOrWrite());
      } catch (error) {
        return `sending failed: ${error}`;
      }
    }
  }

  async #takeAll(): Promise<string> {
    for (;;) {
      try {
        const { error, cookie } = await this.client.simple();
        const request = this.#requests.get(cookie);
        if (request === undefined) return `an answer nobody asked for`;
        const length = error === 0 ? request.lengthBytes : 0;
        const data = await this.client.take(length);
        this.#requests.delete(cookie);
        request.answered(error, data);
        this.options.onAnswer?.();
        this.#wake.resolve();
      } catch (error) {
        if (this.#requests.size === 0 && isLate(error)) continue;
        return `receiving failed: ${error}`;
      }
    }
  }

  async #flush(): Promise<void> {
    const { model } = this.options;
    this.#isFlushing = true;
    this.#sinceFlush = 0;
    const flushed = (error: number) => {
      this.#isFlushing = false;
      if (error === 0) model.epoch++;
      else this.errors.push(error);
    };
    if (this.flusher === undefined) return this.#send({ type: FLUSH }, flushed);
    await this.flusher.request({ type: FLUSH, cookie: ++this.#lastCookie });
    flushed((await this.flusher.simple()).error);
    this.options.onAnswer?.();
  }

  #readOrWrite(): Promise<void> {
    const { random, reads = 0 } = this.options;
    const [first, count] = this.#place();
    for (let at = first; at < first + count; at++) this.#busy.add(at);
    const isRead = random.next() < reads;
    return isRead ? this.#read(first, count) : this.#write(first, count);
  }

  #write(first: number, count: number): Promise<void> {
    const { data, answered } = this.options.model.send(first, count);
    this.#sinceFlush++;
    const offset = first * PIECE_BYTES;
    return this.#send({ type: WRITE, offset, data }, (error) => {
      this.#free(first, count);
      if (error !== 0) return this.errors.push(error);
      answered();
      this.acknowledged++;
    });
  }

  #read(first: number, count: number): Promise<void> {
    const [offset, length] = [first * PIECE_BYTES, count * PIECE_BYTES];
    return this.#send({ type: READ, offset, length }, (error, data) => {
      this.#free(first, count);
      if (error !== 0) return this.errors.push(error);
      this.read++;
      this.wrong.push(...this.options.model.wrongIn(data, first));
    });
  }

  async #send(
    request: {
      type: number;
      offset?: number;
      length?: number;
      data?: Uint8Array;
    },
    answered: Request["answered"],
  ): Promise<void> {
    const cookie = ++this.#lastCookie;
    const lengthBytes = request.type === READ ? request.length ?? 0 : 0;
    this.#requests.set(cookie, { lengthBytes, answered });
    await this.client.request({ ...request, cookie });
  }

  /** A range that no request under way touches. */
  #place(): [first: number, count: number] {
    const { model, random, piecesMax = 16 } = this.options;
    const region = this.options.region ?? { first: 0, count: model.pieces };
    for (;;) {
      const count = random.between(1, Math.min(piecesMax, region.count));
      const first = region.first + random.between(0, region.count - count);
      let isFree = true;
      for (let at = first; at < first + count; at++) {
        isFree &&= !this.#busy.has(at);
      }
      if (isFree) return [first, count];
    }
  }

  #free(first: number, count: number): void {
    for (let at = first; at < first + count; at++) this.#busy.delete(at);
  }
}

/** Read a whole export. */
export async function readExport(
  socket: string,
  name: string,
  sizeBytes: number,
): Promise<Uint8Array> {
  using client = await openExport(socket, name);
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, sizeBytes - at);
    bytes.set(await client.read(at, length), at);
  }
  return bytes;
}

/** Open an export for requests. */
export async function openExport(
  socket: string,
  name: string,
): Promise<RawNbd> {
  const client = await RawNbd.greet({ transport: "unix", path: socket });
  try {
    await client.go(name);
    return client;
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

function isLate(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("waited");
}
