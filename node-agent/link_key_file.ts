/**
 * The file of download keys, read again when it has changed, so that keys
 * rotate while the agent runs. What cannot be used changes nothing: the keys of
 * before go on counting, and the log says why. What a pipe says, such as a
 * shell's `<(…)`, is read once.
 *
 * @module
 */

import type { LinkKey } from "@kedge/schema/download-links";
import type { Clock, Log } from "./ports.ts";

/** How long a look at the file counts, in milliseconds. */
export const KEYS_LOOK_MS = 2000;

/** How a file of keys is read. */
export interface LinkKeyReader {
  readonly path: string;
  /** Keys of a text. @throws {Error} When they do not fit; never says one. */
  parse(text: string): readonly LinkKey[];
}

/** Keys that follow their file. */
export class LinkKeyFile {
  readonly #reader: LinkKeyReader;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #log: Log;
  #keys: readonly LinkKey[];
  /** What was looked at last; `undefined`: a pipe, which says it only once. */
  #seen: string | undefined;
  #lookedMs: number;

  /**
   * Read it.
   *
   * @throws {Error} When it cannot be used.
   */
  constructor(
    reader: LinkKeyReader,
    { clock, log }: { readonly clock: Pick<Clock, "monotonicMs">; log: Log },
  ) {
    this.#reader = reader;
    this.#clock = clock;
    this.#log = log;
    this.#lookedMs = clock.monotonicMs();
    const { path } = reader;
    try {
      this.#seen = Deno.statSync(path).isFifo ? undefined : stampOf(path);
      this.#keys = reader.parse(Deno.readTextFileSync(path));
    } catch (error) {
      throw new Error(
        `Cannot use the download keys in "${path}": ${whyOf(error)}`,
      );
    }
  }

  /** The keys that count now; looks at the file now and then. */
  get keys(): readonly LinkKey[] {
    const nowMs = this.#clock.monotonicMs();
    const isDue = nowMs - this.#lookedMs >= KEYS_LOOK_MS;
    if (this.#seen !== undefined && isDue) {
      this.#lookedMs = nowMs;
      this.#look();
    }
    return this.#keys;
  }

  #look(): void {
    const { path } = this.#reader;
    let seen = "none";
    try {
      seen = stampOf(path);
      if (seen === this.#seen) return;
      this.#keys = this.#reader.parse(Deno.readTextFileSync(path));
      const names = this.#keys.map(({ id }) => id);
      this.#log.info("the download keys were read again", { path, names });
    } catch (error) {
      if (seen === this.#seen) return; // told before
      this.#log.warn("the download keys of before go on counting", {
        path,
        why: whyOf(error),
      });
    }
    this.#seen = seen;
  }
}

/** Tells one state of a file from another. */
function stampOf(path: string): string {
  const { isFile, dev, ino, size, mtime, ctime } = Deno.statSync(path);
  if (!isFile) throw new Error("it is not a file");
  return [dev, ino, size, mtime?.getTime(), ctime?.getTime()].join(" ");
}

function whyOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
