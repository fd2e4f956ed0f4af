/**
 * Takes bytes in: small bodies into memory, large ones into a staging file.
 *
 * @module
 */

import { createHash, type Hash, randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";
import { INLINE_BODY_BYTES_MAX, Problem } from "@kedge/schema";
import type { Relay, Staged, StageRequest } from "../ports.ts";
import { BlockChecksums } from "./crc32.ts";
import { describeError, flush, isFull, writeAll } from "./disk.ts";
import type { Layout } from "./layout.ts";
import type { StorePaths } from "./store_paths.ts";

/** Bytes of a body that are collected before they are written. */
const WRITE_BYTES = 512 * 1024;
/** Bytes set aside at a time when the length of a body is not known. */
const PROMISE_BYTES = 64 << 20;

/** A staging file that is whole. */
export interface StagedFile {
  readonly pathIndex: number;
  readonly blockCrcs: Uint8Array | null;
  /** Settles when it is on the disk. */
  readonly flushed: Promise<void>;
}

/** Called when a disk failed. */
export type OnFence = (pathIndex: number, reason: string) => void;

/** Makes and removes staging files. */
export class Stager {
  readonly #layout: Layout;
  readonly #paths: StorePaths;
  readonly #onFence: OnFence;
  readonly #files = new Map<string, StagedFile>();

  /** Stage on these paths. */
  constructor(layout: Layout, paths: StorePaths, onFence: OnFence) {
    this.#layout = layout;
    this.#paths = paths;
    this.#onFence = onFence;
  }

  /** A staging file by its token. */
  find(token: string): StagedFile | undefined {
    return this.#files.get(token);
  }

  /** The record that names it is stored: it is no longer ours to remove. */
  handOver(token: string): void {
    this.#files.delete(token);
  }

  /** Remove a staging file. Never throws. */
  async discard(token: string): Promise<void> {
    const file = this.#files.get(token);
    if (file === undefined) return;
    this.#files.delete(token);
    await this.remove(file.pathIndex, token);
  }

  /** Remove a staging file that no record names. Never throws. */
  async remove(pathIndex: number, token: string): Promise<void> {
    try {
      await Deno.remove(this.#layout.staged(pathIndex, token));
    } catch {
      // Swept at the next start.
    }
  }

  /** Take a body in, as `LocalFiles.stage` says. */
  async stage(request: StageRequest): Promise<Staged> {
    const { body, sizeBytes, sizeBytesMax } = request;
    if ((sizeBytes ?? 0) > sizeBytesMax) throw tooLarge(sizeBytesMax);
    if (body instanceof Uint8Array) {
      if (body.length > sizeBytesMax) throw tooLarge(sizeBytesMax);
      return body.length <= INLINE_BODY_BYTES_MAX
        ? this.#inline(body, request)
        : await this.#toFile(iterate([body]), request, body.length);
    }
    const chunks = new Chunks(body, sizeBytesMax);
    try {
      const first = await chunks.upTo(INLINE_BODY_BYTES_MAX);
      if (chunks.isDone) return this.#inline(first, request);
      return await this.#toFile(chunks.after(first), request, sizeBytes);
    } catch (error) {
      await chunks.cancel(error);
      throw error;
    }
  }

  #inline(bytes: Uint8Array, request: StageRequest): Staged {
    const pathIndex = this.#paths.take(bytes.length, request.pathIndex);
    this.#paths.promise(pathIndex, -bytes.length);
    return {
      token: "",
      pathIndex,
      sizeBytes: bytes.length,
      crc32: crc32(bytes),
      sha256: createHash("sha256").update(bytes).digest("hex"),
      inline: bytes,
    };
  }

  async #toFile(
    chunks: AsyncIterable<Uint8Array>,
    request: StageRequest,
    sizeBytes: number | undefined,
  ): Promise<Staged> {
    const room = new Promised(this.#paths, request.pathIndex, sizeBytes);
    const token = randomUUID();
    const path = this.#layout.staged(room.pathIndex, token);
    try {
      const sink = new Sink(await openNew(path), request.relay, room);
      try {
        for await (const chunk of chunks) await sink.take(chunk);
        await sink.end();
      } catch (error) {
        sink.close();
        throw error;
      }
      const staged = { token, pathIndex: room.pathIndex, inline: undefined };
      const flushed = this.flushFile(room.pathIndex, sink.file);
      if (request.durable === true) await flushed;
      this.#files.set(token, {
        pathIndex: room.pathIndex,
        blockCrcs: sink.sums.packed(),
        flushed,
      });
      await request.relay?.finish();
      return { ...staged, ...sink.facts() };
    } catch (error) {
      request.relay?.abort();
      await this.remove(room.pathIndex, token);
      throw this.#refusal(error, room.pathIndex);
    } finally {
      room.release();
    }
  }

  /**
   * Take over a staging file that another part of the store wrote.
   *
   * @param file Open for writing; closed once it is flushed.
   */
  adopt(
    token: string,
    file: Deno.FsFile,
    facts: Omit<StagedFile, "flushed">,
  ): Promise<void> {
    const flushed = this.flushFile(facts.pathIndex, file);
    this.#files.set(token, { ...facts, flushed });
    return flushed;
  }

  /**
   * Bring a file to the disk, whatever it is called by then.
   *
   * @param file Open for writing; closed once it is flushed.
   */
  flushFile(pathIndex: number, file: Deno.FsFile): Promise<void> {
    const work = async () => {
      try {
        await file.sync();
        await flush(this.#layout.staging(pathIndex));
      } catch (error) {
        const reason = `flush of a staging file: ${describeError(error)}`;
        this.#onFence(pathIndex, reason);
        throw new Problem("read-only", reason);
      } finally {
        file.close();
      }
    };
    const flushed = work();
    flushed.catch(() => {}); // who needs it, waits for it
    return flushed;
  }

  #refusal(error: unknown, pathIndex: number): unknown {
    if (!(error instanceof DiskError)) return error;
    this.#paths.lookAgain();
    const why = describeError(error.cause);
    if (isFull(error.cause)) {
      return new Problem("insufficient-storage", `The disk is full: ${why}`);
    }
    this.#onFence(pathIndex, `write of a staging file: ${why}`);
    return new Problem("read-only", `A disk failed: ${why}`);
  }
}

/** A failure of the disk, not of the sender. */
class DiskError extends Error {}

async function openNew(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { write: true, createNew: true, mode: 0o640 });
  } catch (error) {
    throw new DiskError("open", { cause: error });
  }
}

/** Space that is set aside for a body. */
class Promised {
  readonly pathIndex: number;
  readonly #paths: StorePaths;
  #bytes: number;

  constructor(
    paths: StorePaths,
    wanted: number | undefined,
    sizeBytes: number | undefined,
  ) {
    this.#paths = paths;
    this.#bytes = sizeBytes ?? PROMISE_BYTES;
    this.pathIndex = paths.take(sizeBytes ?? 0, wanted);
    if (sizeBytes === undefined) paths.promise(this.pathIndex, PROMISE_BYTES);
  }

  /** So many bytes are there now: more than expected asks for room again. */
  grow(writtenBytes: number): void {
    if (writtenBytes <= this.#bytes) return;
    if (!this.#paths.hasRoom(this.pathIndex, PROMISE_BYTES)) {
      throw new Problem(
        "insufficient-storage",
        "The store path is full up to its reserve",
      );
    }
    this.#paths.promise(this.pathIndex, PROMISE_BYTES);
    this.#bytes += PROMISE_BYTES;
  }

  release(): void {
    this.#paths.promise(this.pathIndex, -this.#bytes);
    this.#paths.lookAgain();
  }
}

/** Writes, checks and passes on. */
class Sink {
  readonly sums = new BlockChecksums();
  readonly #hash: Hash = createHash("sha256");
  /** Where the bytes go. */
  readonly file: Deno.FsFile;
  readonly #relay: Relay | undefined;
  readonly #room: Promised;
  #buffer = new Uint8Array(WRITE_BYTES);
  #filled = 0;
  #writing: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(file: Deno.FsFile, relay: Relay | undefined, room: Promised) {
    this.file = file;
    this.#relay = relay;
    this.#room = room;
  }

  async take(chunk: Uint8Array): Promise<void> {
    const passed = this.#relay?.write(chunk);
    this.#hash.update(chunk);
    this.sums.update(chunk);
    this.#room.grow(this.sums.sizeBytes);
    for (let at = 0; at < chunk.length;) {
      const count = Math.min(chunk.length - at, WRITE_BYTES - this.#filled);
      this.#buffer.set(chunk.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === WRITE_BYTES) await this.#write();
    }
    await passed;
  }

  /** Write what is collected, while the next bytes come in. */
  async #write(): Promise<void> {
    await this.#settled();
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#buffer = new Uint8Array(WRITE_BYTES);
    this.#filled = 0;
    this.#writing = writeAll(this.file, bytes).catch((error) => {
      this.#failure = error;
    });
  }

  async #settled(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) {
      throw new DiskError("write", { cause: this.#failure });
    }
  }

  async end(): Promise<void> {
    await this.#write();
    await this.#settled();
  }

  close(): void {
    // A write that is under way must not meet a closed descriptor.
    void this.#writing.then(() => this.file.close());
  }

  facts() {
    const { sizeBytes, crc32 } = this.sums;
    return { sizeBytes, crc32, sha256: this.#hash.digest("hex") };
  }
}

/** A body as it comes, no longer than allowed. */
class Chunks {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #sizeBytesMax: number;
  #total = 0;
  isDone = false;

  constructor(body: ReadableStream<Uint8Array>, sizeBytesMax: number) {
    this.#reader = body.getReader();
    this.#sizeBytesMax = sizeBytesMax;
  }

  async #next(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#reader.read();
    if (done) {
      this.isDone = true;
      return undefined;
    }
    this.#total += value.length;
    if (this.#total > this.#sizeBytesMax) throw tooLarge(this.#sizeBytesMax);
    return value;
  }

  /** Everything when it is short, otherwise a little more than `limit`. */
  async upTo(limit: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    while (length <= limit) {
      const part = await this.#next();
      if (part === undefined) break;
      parts.push(part);
      length += part.length;
    }
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) return only;
    const all = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  async *after(first: Uint8Array): AsyncGenerator<Uint8Array> {
    yield first;
    for (;;) {
      const part = await this.#next();
      if (part === undefined) return;
      yield part;
    }
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {});
  }
}

async function* iterate(
  chunks: readonly Uint8Array[],
): AsyncGenerator<Uint8Array> {
  yield* await Promise.resolve(chunks);
}

function tooLarge(sizeBytesMax: number): Problem {
  return new Problem(
    "too-large",
    `The body is longer than ${sizeBytesMax} bytes`,
    { sizeBytesMax },
  );
}
