/**
 * Takes bytes in: small bodies into memory, large ones into a staging file.
 *
 * @module
 */

import { createHash, randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";
import { INLINE_BODY_BYTES_MAX, Problem } from "@kedge/schema";
import type { Relay, Staged, StageRequest } from "../ports.ts";
import { BodyChunks, tooLarge } from "./body_chunks.ts";
import { describeError, isFull, isOutOfFiles } from "./disk.ts";
import { DiskError, FileSink, type Here, SinkDesk } from "./file_sink.ts";
import type { Layout } from "./layout.ts";
import { isWithDatabase } from "./path_gate.ts";
import { SharedFlushes } from "./shared_flushes.ts";
import type { SlowDisks } from "./slow_disks.ts";
import type { StorePaths } from "./store_paths.ts";
import { Turns } from "../turns.ts";

/** Flushes of staging files under way at once. */
const FLUSHES_AT_ONCE = 16;
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
  readonly #flushEveryBytes: number;
  readonly #files = new Map<string, StagedFile>();
  readonly #desk = new SinkDesk();
  readonly #flushes = new Turns(FLUSHES_AT_ONCE);
  readonly #folders = new SharedFlushes();
  /** Learns how long flushes take. */
  disks: SlowDisks | undefined;

  /**
   * Stage on these paths.
   *
   * @param flushEveryBytes See `FileSinkOptions`.
   */
  constructor(
    layout: Layout,
    paths: StorePaths,
    onFence: OnFence,
    flushEveryBytes = 0,
  ) {
    this.#flushEveryBytes = flushEveryBytes;
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
    const { inlineBytesMax = INLINE_BODY_BYTES_MAX } = request;
    if ((sizeBytes ?? 0) > sizeBytesMax) throw tooLarge(sizeBytesMax);
    if (body instanceof Uint8Array) {
      if (body.length > sizeBytesMax) throw tooLarge(sizeBytesMax);
      return body.length <= inlineBytesMax
        ? this.#inline(body, request)
        : await this.#toFile(chunksOf(body), request, body.length);
    }
    const chunks = new BodyChunks(body, sizeBytesMax);
    try {
      // What is known to be long goes on as it comes.
      const whole = (sizeBytes ?? 0) > inlineBytesMax
        ? undefined
        : await chunks.wholeUpTo(inlineBytesMax);
      if (whole !== undefined) return this.#inline(whole, request);
      return await this.#toFile(chunks, request, sizeBytes);
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
    chunks: Pick<BodyChunks, "next">,
    request: StageRequest,
    sizeBytes: number | undefined,
  ): Promise<Staged> {
    const room = new Promised(this.#paths, request.pathIndex, sizeBytes);
    const token = randomUUID();
    const path = this.#layout.staged(room.pathIndex, token);
    try {
      const sink = await this.#fill(path, chunks, { room, ...request });
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

  async #fill(
    path: string,
    chunks: Pick<BodyChunks, "next">,
    { room, relay }: { room: Promised; relay?: Relay | undefined },
  ): Promise<FileSink> {
    const here = this.#hereOf(room.pathIndex);
    const file = await this.#desk.openNew(path, here);
    const grow = (writtenBytes: number) => room.grow(writtenBytes);
    const mayFree = chunks instanceof BodyChunks;
    const sink = new FileSink({
      desk: this.#desk,
      file,
      here,
      relay,
      mayFree,
      flushEveryBytes: this.#flushEveryBytes,
      grow,
    });
    try {
      for (;;) {
        const chunk = await chunks.next();
        if (chunk === undefined) break;
        await sink.take(chunk);
      }
      await sink.end();
      return sink;
    } catch (error) {
      sink.close();
      throw error;
    }
  }

  /** How a body is written in the event loop, if that may be done. */
  #hereOf(pathIndex: number): Here | undefined {
    if (!isWithDatabase(this.#layout, pathIndex)) return undefined;
    return (work) => this.disks?.here(pathIndex, work) ?? false;
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
        await this.#flushes.run(async () => {
          const flush = async () => {
            await file.sync();
            await this.#folders.flush(this.#layout.staging(pathIndex));
          };
          await (this.disks?.flush(pathIndex, flush) ?? flush());
        });
      } catch (error) {
        const reason = `flush of a staging file: ${describeError(error)}`;
        // Its folder could not be opened: the next flush of it was not made yet.
        const isFence = !isOutOfFiles(error);
        if (isFence) this.#onFence(pathIndex, reason);
        throw new Problem(isFence ? "read-only" : "unavailable", reason);
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
      return new Problem("insufficient-storage", `There is no room: ${why}`);
    }
    this.#onFence(pathIndex, `write of a staging file: ${why}`);
    return new Problem("read-only", `A disk failed: ${why}`);
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

/** A buffer as the only piece of a body. */
function chunksOf(bytes: Uint8Array): Pick<BodyChunks, "next"> {
  const parts = [bytes];
  return { next: () => Promise.resolve(parts.shift()) };
}
