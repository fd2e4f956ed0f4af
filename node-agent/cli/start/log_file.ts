/**
 * The log of a child program: written as it comes, never for ever larger.
 *
 * @module
 */

/** A log is put aside as `NAME.log.1` at this size, in bytes. */
export const LOG_BYTES_MAX = 64 * 1024 * 1024;
/** Taken from the child at once, in bytes. */
const CHUNK_BYTES = 4096;

/**
 * Append all that a program says to its log, as soon as it says it.
 *
 * A log that cannot be written (a full disk) loses lines; the program is read on
 * in any case, because it would fail when nobody takes its output.
 *
 * @param output The program's standard error.
 * @param path The log; at most one older one is kept beside it.
 * @param bytesMax Size at which it is put aside.
 */
export async function keepLog(
  output: ReadableStream<Uint8Array<ArrayBuffer>>,
  path: string,
  bytesMax: number = LOG_BYTES_MAX,
): Promise<void> {
  // A reader of small pieces: the default one waits for 64 KiB.
  const reader = output.getReader({ mode: "byob" });
  using log = new LogFile(path, bytesMax);
  let buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const { value, done } = await reader.read(buffer);
    if (done) return;
    log.append(value);
    buffer = new Uint8Array(value.buffer);
  }
}

/** A file that is opened when there is something to say. */
class LogFile {
  readonly #path: string;
  readonly #bytesMax: number;
  #file: Deno.FsFile | undefined;
  #sizeBytes = 0;

  constructor(path: string, bytesMax: number) {
    this.#path = path;
    this.#bytesMax = bytesMax;
  }

  append(bytes: Uint8Array): void {
    try {
      const file = this.#opened(bytes.length);
      for (let done = 0; done < bytes.length;) {
        const count = file.writeSync(bytes.subarray(done));
        done += count;
        this.#sizeBytes += count;
      }
    } catch {
      this.#close(); // these lines are lost; the next ones try again
    }
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #opened(moreBytes: number): Deno.FsFile {
    if (this.#file === undefined) this.#open();
    if (this.#sizeBytes > 0 && this.#sizeBytes + moreBytes > this.#bytesMax) {
      this.#close();
      Deno.renameSync(this.#path, `${this.#path}.1`);
    }
    return this.#file ?? this.#open();
  }

  #open(): Deno.FsFile {
    const options = { append: true, create: true, mode: 0o600 };
    this.#file = Deno.openSync(this.#path, options);
    this.#sizeBytes = this.#file.statSync().size;
    return this.#file;
  }

  #close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}
