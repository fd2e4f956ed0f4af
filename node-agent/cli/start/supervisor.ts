/**
 * Keeps programs running: starts each again when it dies, says what it does
 * and why, and stops them in order.
 *
 * @module
 */

import type { Program, ProgramSpec } from "./program.ts";
import { restartDelayMs } from "./restart_core.ts";

/** How long a program may take to stop before SIGKILL, in milliseconds. */
export const STOP_TIMEOUT_MS = 10_000;

/** What a supervisor needs of the world. */
export interface SupervisorPorts {
  /** Start a program. */
  start(spec: ProgramSpec): Program;
  /** Tell the operator. */
  say(line: string): void;
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Wait; rejects when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Called after every start and end of the program. */
  onChange?(): void;
}

/** One program that is kept running. */
export class Supervised {
  readonly #ports: SupervisorPorts;
  readonly #prepare: () => Promise<ProgramSpec>;
  readonly #stopping = new AbortController();
  #program: Program | undefined;
  #loop: Promise<void> | undefined;
  /** How often it ended without being asked to. */
  deaths = 0;
  /** Why it could not even be started the last time. */
  failure: string | undefined;
  /** For messages. */
  readonly name: string;

  /**
   * @param name For messages.
   * @param prepare Makes ready for the next start and says how to start.
   * @param ports The world.
   */
  constructor(
    name: string,
    prepare: () => Promise<ProgramSpec>,
    ports: SupervisorPorts,
  ) {
    this.name = name;
    this.#prepare = prepare;
    this.#ports = ports;
  }

  /** Process number, while it runs. */
  get pid(): number | undefined {
    return this.#program?.pid;
  }

  /** Start it, and start it again whenever it dies. */
  start(): void {
    this.#loop ??= this.#run();
  }

  /** Stop it for good: SIGTERM, and SIGKILL when that takes too long. */
  async stop(timeoutMs: number = STOP_TIMEOUT_MS): Promise<void> {
    this.#stopping.abort();
    const program = this.#program;
    if (program !== undefined) {
      program.kill("SIGTERM");
      const timer = setTimeout(() => {
        this.#ports.say(`${this.name} does not stop: killing it`);
        program.kill("SIGKILL");
      }, timeoutMs);
      await program.ended;
      clearTimeout(timer);
    }
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { say, nowMs, sleep, start } = this.#ports;
    const { signal } = this.#stopping;
    let delayMs: number | undefined;
    while (!signal.aborted) {
      const startedMs = nowMs();
      const how = await this.#runOnce(start);
      if (signal.aborted) return;
      this.deaths++;
      delayMs = restartDelayMs(delayMs, nowMs() - startedMs);
      say(`${this.name} died (${how}): starting it again in ${delayMs} ms`);
      await sleep(delayMs, signal).catch(() => {});
    }
  }

  async #runOnce(start: SupervisorPorts["start"]): Promise<string> {
    try {
      const spec = await this.#prepare();
      if (this.#stopping.signal.aborted) return "stopped";
      this.failure = undefined;
      this.#program = start(spec);
      this.#ports.onChange?.();
      return await this.#program.ended;
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error);
      return this.failure;
    } finally {
      this.#program = undefined;
      this.#ports.onChange?.();
    }
  }
}
