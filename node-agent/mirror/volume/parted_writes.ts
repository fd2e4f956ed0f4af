/**
 * When the application wrote while the nodes were parted: the first and the last
 * time, by this host's wall clock. For people who end a split brain; nothing is
 * decided by it.
 *
 * It outlives the process in one small file per volume, written at the first such
 * write and once a minute after that. When the file cannot be kept, people are
 * told less; no write fails for it.
 *
 * @module
 */

/** A file is at most so much older than the last write, in ms. */
const KEPT_EVERY_MS = 60_000;

/** Milliseconds since 1970, both. */
export interface WrittenSpan {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** See the module comment. */
export class PartedWrites {
  readonly #file: string | undefined;
  readonly #wallMs: () => number;
  #span: WrittenSpan | undefined;
  #keptMs = -Infinity;

  /**
   * Go on where the file ends.
   *
   * @param file Where to keep it; `undefined`: for this process only.
   * @param wallMs Wall clock, in ms.
   */
  constructor(file: string | undefined, wallMs: () => number = Date.now) {
    this.#file = file;
    this.#wallMs = wallMs;
    this.#span = file === undefined ? undefined : readSpan(file);
  }

  /** First and last write; `undefined` when there was none. */
  get span(): WrittenSpan | undefined {
    return this.#span;
  }

  /** The application writes while the peer does not get it. */
  wrote(): void {
    const untilMs = this.#wallMs();
    this.#span = { fromMs: this.#span?.fromMs ?? untilMs, untilMs };
    if (Math.abs(untilMs - this.#keptMs) >= KEPT_EVERY_MS) this.keep();
  }

  /** Write down what is known; may be called at any time. */
  keep(): void {
    if (this.#file === undefined || this.#span === undefined) return;
    const { fromMs, untilMs } = this.#span;
    this.#keptMs = untilMs;
    quietly(this.#file, (file) => {
      Deno.writeTextFileSync(file, `${fromMs} ${untilMs}\n`, { mode: 0o600 });
    });
  }

  /** Both have the same again: what was written apart is nobody's question. */
  joined(): void {
    if (this.#span === undefined) return;
    this.#span = undefined;
    this.#keptMs = -Infinity;
    if (this.#file !== undefined) quietly(this.#file, Deno.removeSync);
  }
}

/** Name of the file of a volume. */
export function partedFileOf(
  folder: string,
  resource: string,
  volume: number,
): string {
  return `${folder}/${encodeURIComponent(resource)}-${volume}.parted`;
}

function readSpan(file: string): WrittenSpan | undefined {
  let text = "";
  quietly(file, () => text = Deno.readTextFileSync(file));
  const [, from, until] = /^(\d{1,15}) (\d{1,15})\n$/.exec(text) ?? [];
  if (from === undefined || until === undefined) return undefined;
  return { fromMs: Number(from), untilMs: Number(until) };
}

function quietly(file: string, act: (file: string) => void): void {
  try {
    act(file);
  } catch {
    // People are told less; see the module comment.
  }
}
