/**
 * Appends lines to a file, a few times a second, for logs that many requests
 * write. A file that was moved or removed is made anew, so that logs are
 * rotated by moving them; no signal is needed. What the disk does not take is
 * dropped and told: nobody waits for a log.
 *
 * @module
 */

import type { Log } from "../ports.ts";

/** Pause between two writes, in ms. */
const PAUSE_MS = 250;
/** Text that may wait, in characters: lines beyond are dropped. */
const WAITING_MAX = 4 * 1024 * 1024;
/** For its owner and group: lines name clients and files. */
const MODE = 0o640;

/** See the module comment. */
export class LineFile {
  readonly #path: string;
  readonly #log: Log;
  #waiting = "";
  #dropped = 0;
  #file: Deno.FsFile | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isFailing = false;

  private constructor(path: string, log: Log, file: Deno.FsFile) {
    this.#path = path;
    this.#log = log;
    this.#file = file;
  }

  /**
   * Open a file, or make it.
   *
   * @throws {Error} When it cannot be written, with the way out.
   */
  static async open(path: string, log: Log): Promise<LineFile> {
    try {
      return new LineFile(path, log, await opened(path));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(
        `Cannot write the log ${path}: ${why}. Its folder must exist and be writable for the agent.`,
      );
    }
  }

  /** Add a line; its end is added here. */
  line(text: string): void {
    if (this.#waiting.length > WAITING_MAX) {
      this.#dropped += 1;
      return;
    }
    this.#waiting += `${text}\n`;
    this.#timer ??= setTimeout(() => this.#flush(), PAUSE_MS);
  }

  /** Write what waits, and close the file. */
  async close(): Promise<void> {
    this.#flush();
    await this.#writing;
    this.#file?.close();
    this.#file = undefined;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    const bytes = new TextEncoder().encode(this.#waiting);
    this.#waiting = "";
    try {
      const file = await this.#current();
      for (let at = 0; at < bytes.length;) {
        at += await file.write(bytes.subarray(at));
      }
      this.#told();
    } catch (error) {
      this.#dropped += bytes.filter((byte) => byte === 0x0a).length;
      if (this.#isFailing) return;
      this.#isFailing = true;
      const why = error instanceof Error ? error.message : String(error);
      this.#log.warn("a log file cannot be written", { path: this.#path, why });
    }
  }

  /** The file of that name now, which may be another one than before. */
  async #current(): Promise<Deno.FsFile> {
    const [here, named] = await Promise.all([
      this.#file?.stat(),
      Deno.stat(this.#path).catch(() => undefined),
    ]);
    const isSame = named !== undefined && here?.ino === named.ino &&
      here?.dev === named.dev;
    if (isSame && this.#file !== undefined) return this.#file;
    const file = await opened(this.#path);
    this.#file?.close();
    this.#file = file;
    return file;
  }

  #told(): void {
    this.#isFailing = false;
    if (this.#dropped === 0) return;
    const facts = { path: this.#path, lines: this.#dropped };
    this.#log.warn("lines of a log file were dropped", facts);
    this.#dropped = 0;
  }
}

function opened(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { append: true, create: true, mode: MODE });
}
