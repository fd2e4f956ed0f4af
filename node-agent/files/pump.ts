/**
 * The main isolate's side of the store worker: while one batch is being
 * committed the next one collects, so that many writers share one flush
 * without a timer.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { Problem } from "@kedge/schema";
import { packOp } from "./op_codec.ts";
import type {
  FromWorker,
  Op,
  Opened,
  OpResult,
  ToWorker,
  WorkerOptions,
} from "./worker_messages.ts";

/** Bytes of inline bodies in one batch, at most. */
const BATCH_BYTES_MAX = 8 << 20;
/** Ops in one batch, at most. */
const BATCH_OPS_MAX = 512;

/** Memory for bodies is taken in powers of two, from this on, in bytes. */
const ROOM_BYTES_MIN = 64 << 10;
/** Memory that is kept for the next batch, in bytes. */
const ROOM_BYTES_MAX = 4 << 20;

/**
 * How long something waits for others when nobody waits for it, in ms: a
 * transaction costs as much as several changes in it.
 */
const LATER_MS = 20;
/** Bodies that wait so are sent when they reach this, in bytes. */
const LATER_BYTES_MAX = 1 << 20;

/** Something that waits for the next batch. */
interface Waiting {
  /** Make the op; its bodies lie at `at` in the batch's buffer. */
  readonly make: (at: number) => Op;
  readonly bodies: readonly Uint8Array[];
  readonly durable: boolean;
  /** By the monotonic clock, in ms. */
  readonly sinceMs: number;
  readonly resolve: (result: OpResult & { ok: true }) => void;
  readonly reject: (problem: Problem) => void;
}

/** What the worker tells without being asked. */
export type WorkerNews = Exclude<
  FromWorker,
  { kind: "opened" | "open-failed" | "answer" | "failed" | "digests" }
>;

/** Talks to the store worker. */
export class Pump {
  readonly #worker: Worker;
  readonly #onNews: (news: WorkerNews) => void;
  readonly #asked = new Map<number, (answer: FromWorker) => void>();
  readonly #opened = Promise.withResolvers<Opened>();
  /** Called once, when nothing can be stored any more. */
  onFailed: ((why: string) => void) | undefined;
  /** Present files by the index, as far as they are counted. */
  present = 0;
  /** Tombstones that may be forgotten one day. */
  tombstones = 0;
  #waiting: Waiting[] = [];
  #isBusy = false;
  /** Whether somebody waits for what waits here. */
  #isUrgent = false;
  #laterTimer: ReturnType<typeof setTimeout> | undefined;
  #laterBytes = 0;
  /** When the batch under way was sent, in monotonic ms. */
  #sentMs = Infinity;
  #nextRequest = 1;
  /** Came back from the last batch: new memory for each costs more. */
  #room: Uint8Array<ArrayBuffer> | undefined;
  #failure: string | undefined;

  /**
   * Start the worker.
   *
   * @param onNews Called for everything that it tells without being asked.
   */
  constructor(onNews: (news: WorkerNews) => void) {
    this.#onNews = onNews;
    this.#worker = new Worker(import.meta.resolve("./store_worker_main.ts"), {
      type: "module",
      name: "store",
    });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) =>
      this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`the store worker died: ${event.message}`);
    };
  }

  /** Why nothing can be stored any more, or `undefined`. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** How long the worker has been busy with one batch, in ms. */
  get busyMs(): number {
    if (this.#sentMs === Infinity) return 0;
    return performance.now() - this.#sentMs;
  }

  /**
   * Open the database.
   *
   * @throws {Problem} When it cannot be used.
   */
  open(options: WorkerOptions): Promise<Opened> {
    this.#send({ kind: "open", options });
    return this.#opened.promise;
  }

  /**
   * Store something with the next batch.
   *
   * @param make Makes the op, given where its bodies lie in the buffer.
   * @param bodies Inline bodies, in order.
   * @throws {Problem} `read-only` when the log is closed, or the op's refusal.
   */
  store(
    make: (at: number) => Op,
    bodies: readonly Uint8Array[],
    durable: boolean,
  ): Promise<OpResult & { ok: true }> {
    const stored = this.#push(make, bodies, durable);
    this.hurry();
    return stored;
  }

  /**
   * Store something with a batch that leaves soon; nobody waits for it. What is
   * stored after it comes after it.
   *
   * @param make As for {@linkcode store}, like the bodies.
   */
  storeLater(
    make: (at: number) => Op,
    bodies: readonly Uint8Array[],
  ): Promise<OpResult & { ok: true }> {
    const stored = this.#push(make, bodies, false);
    for (const { length } of bodies) this.#laterBytes += length;
    const isMuch = this.#laterBytes > LATER_BYTES_MAX ||
      this.#waiting.length >= BATCH_OPS_MAX;
    if (isMuch) this.hurry();
    else this.#laterTimer ??= setTimeout(() => this.hurry(), LATER_MS);
    return stored;
  }

  #push(
    make: (at: number) => Op,
    bodies: readonly Uint8Array[],
    durable: boolean,
  ): Promise<OpResult & { ok: true }> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(closed(this.#failure));
      const sinceMs = performance.now();
      this.#waiting.push({ make, bodies, durable, sinceMs, resolve, reject });
    });
  }

  /** Somebody waits for what waits here: send it. */
  hurry(): void {
    clearTimeout(this.#laterTimer);
    this.#laterTimer = undefined;
    this.#laterBytes = 0;
    if (this.#waiting.length === 0) return;
    this.#isUrgent = true;
    if (!this.#isBusy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    while (this.#isUrgent) {
      await new Promise(setImmediate); // let the callers of this turn join
      const batch = this.#take();
      const { bytes, ...rest } = packed(batch, this.#room);
      if (bytes === this.#room) this.#room = undefined;
      this.#sentMs = performance.now();
      const heldMs = this.#sentMs - (batch[0]?.sinceMs ?? this.#sentMs);
      const answer = await this.#ask(
        (request) => ({ kind: "batch", request, bytes, heldMs, ...rest }),
        [bytes.buffer],
      );
      this.#sentMs = Infinity;
      this.#settle(batch, answer);
    }
    this.#isBusy = false;
  }

  #take(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { bodies } of this.#waiting) {
      for (const body of bodies) bytes += body.length;
      if (count > 0 && bytes > BATCH_BYTES_MAX) break;
      if (++count === BATCH_OPS_MAX) break;
    }
    const rest = this.#waiting.splice(count);
    const batch = this.#waiting;
    this.#waiting = rest;
    if (rest.length > 0) return batch;
    this.#isUrgent = false;
    clearTimeout(this.#laterTimer);
    this.#laterTimer = undefined;
    this.#laterBytes = 0;
    return batch;
  }

  #settle(batch: readonly Waiting[], answer: FromWorker): void {
    if (answer.kind === "answer") {
      this.present = answer.present;
      this.tombstones = answer.tombstones;
    }
    if (answer.kind !== "answer") {
      const why = answer.kind === "failed" ? answer.why : "the worker stopped";
      this.#fail(why);
      for (const { reject } of batch) reject(closed(why));
      return;
    }
    batch.forEach(({ resolve, reject }, index) => {
      const result = answer.results[index];
      if (result === undefined) reject(closed("the worker did not answer"));
      else if (result.ok) resolve(result);
      else reject(new Problem(result.slug, result.detail));
    });
  }

  #ask(
    make: (request: number) => ToWorker,
    transfer: Transferable[] = [],
  ): Promise<FromWorker> {
    const request = this.#nextRequest++;
    const answer = Promise.withResolvers<FromWorker>();
    if (this.#failure !== undefined) {
      return Promise.resolve({ kind: "failed", request, why: this.#failure });
    }
    this.#asked.set(request, answer.resolve);
    this.#send(make(request), transfer);
    return answer.promise;
  }

  #send(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case "opened":
        this.present = message.opened.present;
        this.tombstones = message.opened.tombstones;
        return this.#opened.resolve(message.opened);
      case "open-failed":
        this.#failure = message.detail;
        return this.#opened.reject(new Problem(message.slug, message.detail));
      case "failed":
        this.#failed(message.why);
        return this.#answer(message.request, message);
      case "answer":
        this.#keep(message.bytes);
        return this.#answer(message.request, message);
      case "digests":
        return this.#answer(message.request, message);
      default:
        return this.#onNews(message);
    }
  }

  #keep(room: Uint8Array<ArrayBuffer> | undefined): void {
    if (room === undefined) return;
    const isWanted = room.length <= ROOM_BYTES_MAX &&
      room.length > (this.#room?.length ?? 0);
    if (isWanted) this.#room = room;
    else room.buffer.transfer(0);
  }

  #answer(request: number, message: FromWorker): void {
    const resolve = this.#asked.get(request);
    this.#asked.delete(request);
    resolve?.(message);
  }

  #failed(why: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = why;
    this.onFailed?.(why);
  }

  #fail(why: string): void {
    this.#failed(why);
    this.#opened.reject(closed(why));
    for (const [request, resolve] of this.#asked) {
      resolve({ kind: "failed", request, why });
    }
    this.#asked.clear();
    for (const { reject } of this.#waiting) reject(closed(why));
    this.#waiting = [];
    this.#isUrgent = false;
  }

  /** Store nothing any more: what was promised is not in the database. */
  giveUp(why: string): void {
    this.#fail(why);
  }

  /** The digests of all buckets; of present files alone, too. */
  async digests(): Promise<
    { readonly digests: Uint32Array; readonly present: Uint32Array }
  > {
    const answer = await this.#ask((request) => ({ kind: "digests", request }));
    if (answer.kind === "digests") return answer;
    throw closed(this.#failure ?? "the worker stopped");
  }

  /** Flush files older than this now, for tests and a quiet stop. */
  async settle(minAgeMs: number): Promise<void> {
    await this.#ask((request) => ({ kind: "settle", request, minAgeMs }));
  }

  /** Pack new files up to this size from now on; 0 packs none. */
  async pack(sizeBytesMax: number): Promise<void> {
    await this.#ask((request) => ({ kind: "pack", request, sizeBytesMax }));
  }

  /** End the run. A clean end is durable when this resolves. */
  async close(clean: boolean): Promise<void> {
    clearTimeout(this.#laterTimer);
    await this.#ask((request) => ({ kind: "close", request, clean }));
    this.#failure ??= "the store is closed";
    this.#worker.terminate();
  }
}

/**
 * The content of a batch's message, with all bodies in one buffer.
 *
 * @param room Is used when they fit.
 */
function packed(
  batch: readonly Waiting[],
  room: Uint8Array<ArrayBuffer> | undefined,
) {
  let total = 0;
  for (const { bodies } of batch) {
    for (const body of bodies) total += body.length;
  }
  const isFit = total > 0 && room !== undefined && room.length >= total;
  const bytes = isFit ? room : newRoom(total);
  let at = 0;
  const ops = batch.map(({ make, bodies }) => {
    const op = packOp(make(at));
    for (const body of bodies) {
      bytes.set(body, at);
      at += body.length;
    }
    return op;
  });
  const durable = batch.some((waiting) => waiting.durable);
  return { ops, bytes, bodyBytes: total, durable };
}

function newRoom(totalBytes: number): Uint8Array<ArrayBuffer> {
  let sizeBytes = totalBytes === 0 ? 0 : ROOM_BYTES_MIN;
  while (sizeBytes < totalBytes) sizeBytes *= 2;
  return new Uint8Array(sizeBytes);
}

function closed(why: string): Problem {
  return new Problem("read-only", `This node's log is closed: ${why}`);
}
