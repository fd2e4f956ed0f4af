/**
 * Tells after a start whether writes that were not flushed may be gone.
 *
 * A killed process loses nothing that it gave to the kernel; a machine that
 * restarts does. `DATA/agent.run` holds the boot ID of the machine while the
 * agent runs, `clean` after a clean stop, and `failed` once a write or a flush
 * has failed: then the system may have thrown away what it had taken.
 *
 * @module
 */

/** Where Linux tells the boot ID. */
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** What stands in the file when it is no boot ID. */
const CLEAN = "clean";
const FAILED = "failed";

/** The marker of one data folder. */
export class RunMarker {
  readonly #path: string;
  readonly #bootIdPath: string;
  #isTrusted = true;

  /** Use `folder`, which exists. */
  constructor(folder: string, bootIdPath = BOOT_ID) {
    this.#path = `${folder}/agent.run`;
    this.#bootIdPath = bootIdPath;
  }

  /**
   * Begin a run; durable when it resolves.
   *
   * @param isNew Whether there was nothing to lose: no database yet.
   * @returns Whether the run before may have lost writes: the machine has
   * restarted since, without a clean stop, or a write had failed. When unknown,
   * `true`. It stays so, over any number of runs, until {@linkcode trust}.
   */
  async begin(isNew: boolean): Promise<{ readonly mayHaveLost: boolean }> {
    const before = await readIfPresent(this.#path);
    const bootId = await this.#bootId();
    const mayHaveLost = !isNew && before !== CLEAN && before !== bootId;
    this.#isTrusted = !mayHaveLost;
    await this.#write(mayHaveLost ? FAILED : bootId);
    return { mayHaveLost };
  }

  /** What was lost is known and mended: the group said so. */
  async trust(): Promise<void> {
    if (this.#isTrusted) return;
    this.#isTrusted = true;
    await this.#write(await this.#bootId());
  }

  /** A write or a flush has failed: the next run must not trust this one. */
  async failed(): Promise<void> {
    this.#isTrusted = false;
    await this.#write(FAILED);
  }

  /** The run ended cleanly and everything is flushed. */
  async endCleanly(): Promise<void> {
    if (this.#isTrusted) await this.#write(CLEAN);
  }

  /** An ID that no other boot has. */
  async #bootId(): Promise<string> {
    return await readIfPresent(this.#bootIdPath) ??
      `unknown ${crypto.randomUUID()}`;
  }

  async #write(text: string): Promise<void> {
    using file = await Deno.open(this.#path, {
      write: true,
      create: true,
      truncate: true,
      mode: 0o600,
    });
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) {
      done += await file.write(bytes.subarray(done));
    }
    await file.sync();
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
