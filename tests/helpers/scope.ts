/**
 * A place for everything that a test must undo.
 *
 * ```ts ignore
 * await using scope = new Scope();
 * const dir = await scope.tempDir();
 * ```
 *
 * What was deferred is undone newest first, also when the test fails. Every
 * process started under a scope carries the scope's mark in its environment, so
 * that the end of the scope finds grandchildren too: by their own mark, never by
 * a name.
 *
 * @module
 */

import { say } from "./say.ts";

/** Environment variable by which a scope knows its processes. */
const MARK = "KEDGE_TEST_SCOPE";

/** Collects what must be undone; undoes it when the test ends. */
export class Scope implements AsyncDisposable {
  /** Mark of every process of this scope. */
  readonly mark: string = crypto.randomUUID();
  readonly #undo: (() => unknown)[] = [];

  /** Start a scope. */
  constructor() {
    this.defer(() => killMarked(this.mark));
  }

  /** Remember something to undo. */
  defer(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  /** Environment for a process of this scope. */
  environment(more: Record<string, string> = {}): Record<string, string> {
    return { ...more, [MARK]: this.mark };
  }

  /** A new directory that goes with the scope. */
  async tempDir(): Promise<string> {
    const dir = await Deno.makeTempDir({ prefix: "kedge-test-" });
    this.#undo.unshift(() => Deno.remove(dir, { recursive: true }));
    return dir;
  }

  /** Undo everything, newest first. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (const undo of this.#undo.reverse()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      // Beside an error of the test itself, the runner would not show these.
      for (const failure of failures) say(`cleanup failed: ${failure}`);
      throw new AggregateError(failures, `cleanup failed: ${failures}`);
    }
  }
}

/**
 * Processes that carry a mark and still run.
 *
 * @param mark Of a {@linkcode Scope}.
 * @returns Their process IDs.
 */
export function markedProcesses(mark: string): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = Deno.readTextFileSync(`/proc/${name}/environ`);
      if (environment.includes(`${MARK}=${mark}`)) found.push(Number(name));
    } catch {
      // It ended while we looked, or is not ours.
    }
  }
  return found;
}

async function killMarked(mark: string): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const pids = markedProcesses(mark);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}
