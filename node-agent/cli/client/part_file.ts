/**
 * A download under way on disk: `.NAME.kedge-part` with a note beside it, moved
 * to its place when it is complete and right.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import type { DownloadSink } from "./downloader.ts";
import { PartNote, planResume, type ResumePlan } from "./resume_core.ts";

/** The partial file of one target. */
export class PartFile implements DownloadSink, AsyncDisposable {
  readonly #path: string;
  readonly #notePath: string;
  readonly #target: string;
  readonly #wanted: { readonly id: string; readonly sizeBytes: number };
  readonly #file: Deno.FsFile;
  #haveBytes: number;

  private constructor(
    paths: { path: string; notePath: string; target: string },
    wanted: { readonly id: string; readonly sizeBytes: number },
    { file, haveBytes }: { file: Deno.FsFile; haveBytes: number },
  ) {
    this.#path = paths.path;
    this.#notePath = paths.notePath;
    this.#target = paths.target;
    this.#wanted = wanted;
    this.#file = file;
    this.#haveBytes = haveBytes;
  }

  /**
   * Open the partial file of a target, or begin one.
   *
   * @param target Where the complete file will be.
   * @param wanted The file as the server describes it.
   * @returns The part, and how to go on.
   */
  static async open(
    target: string,
    wanted: { readonly id: string; readonly sizeBytes: number },
  ): Promise<{ part: PartFile; plan: ResumePlan }> {
    const path = join(dirname(target), `.${basename(target)}.kedge-part`);
    const notePath = `${path}.json`;
    const note = await readNote(notePath);
    const file = await Deno.open(path, {
      read: true,
      write: true,
      create: true,
    });
    const { size } = await file.stat();
    const plan = planResume(wanted, { sizeBytes: size, note });
    const haveBytes = plan.kind === "fresh" ? 0 : size;
    await file.truncate(haveBytes);
    await file.seek(haveBytes, Deno.SeekMode.Start);
    const part = new PartFile({ path, notePath, target }, wanted, {
      file,
      haveBytes,
    });
    return { part, plan };
  }

  /** Where it lies now. */
  get path(): string {
    return this.#path;
  }

  /** Bytes that lie here. */
  get haveBytes(): number {
    return this.#haveBytes;
  }

  /** Append bytes. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      done += await this.#file.write(chunk.subarray(done));
    }
    this.#haveBytes += chunk.length;
  }

  /** Forget everything; always possible. */
  async restart(): Promise<boolean> {
    await this.#file.truncate(0);
    await this.#file.seek(0, Deno.SeekMode.Start);
    this.#haveBytes = 0;
    return true;
  }

  /** Remember what the bytes belong to; without a validator, nothing. */
  async note(etag: string | null): Promise<void> {
    if (etag === null) return void await remove(this.#notePath);
    const note: PartNote = { ...this.#wanted, etag };
    await Deno.writeTextFile(this.#notePath, JSON.stringify(note));
  }

  /** Flush, and move to the target. */
  async finish(): Promise<void> {
    await this.#file.sync();
    await Deno.rename(this.#path, this.#target);
    await remove(this.#notePath);
  }

  /** Throw away what is here. */
  async discard(): Promise<void> {
    await remove(this.#path);
    await remove(this.#notePath);
  }

  /** Close; what is here stays for the next run. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#file.close();
    return Promise.resolve();
  }
}

async function readNote(path: string): Promise<PartNote | undefined> {
  try {
    return PartNote.safeParse(JSON.parse(await Deno.readTextFile(path))).data;
  } catch {
    return undefined;
  }
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path).catch(() => {});
}
