/**
 * What a run has done so far, and what it could not take.
 *
 * @module
 */

import {
  MIGRATION_PROBLEMS_PAGE,
  type MigrationProblem,
  type MigrationRequest,
  type MigrationView,
} from "@kedge/schema/migration";
import type { Clock } from "../ports.ts";

/** Problems kept in memory; the file has all of them. */
const PROBLEMS_KEPT = 20_000;
/** Lines of the report that may wait to be written. */
const LINES_WAITING_MAX = 500;

/** Kinds of files that are counted. */
export type DoneKind = keyof MigrationView["done"];

/** The figures of one run, and its report file. */
export class Progress {
  readonly #request: MigrationRequest;
  readonly #group: string;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #report: string;
  readonly #problems: MigrationProblem[] = [];
  readonly #reasons = new Map<string, number>();
  readonly #done: Record<DoneKind, number> = {
    normal: 0,
    appender: 0,
    derived: 0,
    packed: 0,
    duplicate: 0,
  };
  #waiting: string[] = [];
  #writing: Promise<void> = Promise.resolve();
  #endMs: number | undefined;
  #copiedWhy: string | null = null;
  #copied = 0;
  #damaged = 0;
  #skipped = 0;
  #deleted = 0;
  #why: string | null = null;
  #state: MigrationView["state"] = "running";

  /** What it is doing. */
  phase: MigrationView["phase"] = "counting";
  filesTotal = 0;
  bytesTotal = 0;
  filesDone = 0;
  bytesDone = 0;
  replaced = 0;
  withMeta = 0;
  known = 0;

  /** Begin; `report` is the file that gets one problem per line. */
  constructor(
    request: MigrationRequest,
    { group, report }: { readonly group: string; readonly report: string },
    clock: Clock,
  ) {
    this.#request = request;
    this.#group = group;
    this.#report = report;
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
  }

  /** Whether it goes on. */
  get isRunning(): boolean {
    return this.#state === "running";
  }

  /** A file was taken in, or written. */
  count(kind: DoneKind): void {
    this.#done[kind]++;
  }

  /** A file was copied although a link was asked for. */
  countCopy(why: string): void {
    this.#copied++;
    this.#copiedWhy ??= why;
  }

  /** Something was not taken, or had to go. */
  problem(problem: MigrationProblem): void {
    const { kind, reason } = problem;
    if (kind === "damaged") this.#damaged++;
    else if (kind === "skipped") this.#skipped++;
    else this.#deleted++;
    if (kind !== "deleted") {
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    }
    if (this.#problems.length < PROBLEMS_KEPT) this.#problems.push(problem);
    this.#waiting.push(JSON.stringify(problem) + "\n");
    if (this.#waiting.length >= LINES_WAITING_MAX) this.#write();
  }

  #write(): void {
    const text = this.#waiting.join("");
    this.#waiting = [];
    this.#writing = this.#writing.then(() =>
      Deno.writeTextFile(this.#report, text, { append: true })
    );
    this.#writing.catch(() => {}); // told by end()
  }

  /** It is over. Writes the rest of the report. */
  async end(state: "done" | "stopped" | "failed", why?: string): Promise<void> {
    this.phase = "ending";
    this.#write();
    try {
      await this.#writing;
    } catch (error) {
      why ??= `the report could not be written: ${error}`;
    }
    this.#endMs = this.#clock.monotonicMs();
    this.#why = why ?? null;
    this.#state = state;
  }

  /** For operators, with problems from `offset` on. */
  view(offset: number): MigrationView {
    const { phase, filesTotal, bytesTotal, filesDone, bytesDone } = this;
    const { replaced, withMeta, known } = this;
    const nowMs = this.#endMs ?? this.#clock.monotonicMs();
    return {
      request: this.#request,
      group: this.#group,
      state: this.#state,
      ...{ phase, filesTotal, bytesTotal, filesDone, bytesDone },
      ...{ replaced, withMeta, known },
      why: this.#why,
      elapsedMs: Math.round(nowMs - this.#startMs),
      done: { ...this.#done },
      copied: this.#copied,
      copiedWhy: this.#copiedWhy,
      damaged: this.#damaged,
      skipped: this.#skipped,
      deleted: this.#deleted,
      reasons: Object.fromEntries(this.#reasons),
      problems: this.#problems.slice(offset, offset + MIGRATION_PROBLEMS_PAGE),
      report: this.#report,
    };
  }
}
