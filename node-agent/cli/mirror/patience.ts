/**
 * Waiting for the mirror daemon: who is waited for is said, and a daemon that
 * does not answer at all is given up. A command that takes its time (a fence
 * handler, a resize, a disk that hangs) is waited for as long as the daemon
 * itself answers.
 *
 * @module
 */

import { parseDuration } from "@kedge/schema/config/units";
import type { CommandContext } from "../context.ts";
import { CliError, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { daemonLog, daemonPid } from "./run_dir.ts";

/** How long a daemon may say nothing at all, in ms. */
const GIVE_UP_MS = 20_000;
/** After so long people are told that it says nothing, in ms. */
const TELL_MS = 2_000;
/** After so long people are told that it is at work, in ms. */
const AT_WORK_MS = 5_000;

/** What is needed of a command's world. */
export type PatienceContext = Pick<CommandContext, "env" | "err">;

/** The daemon is there, and does not answer. */
export class SilentDaemonError extends CliError {
  /**
   * @param runDir Its folder.
   * @param ms How long it was waited for.
   */
  constructor(runDir: string, ms: number) {
    const { text, pid } = processOf(runDir);
    const waited = Math.round(ms / 100) / 10;
    super(
      `the mirror daemon ${text}has not answered for ${waited} s`,
      `"kedge mirror status" tries again; its log is ${daemonLog(runDir)}` +
        (pid === undefined ? "" : `; if it is stopped: "kill -CONT ${pid}"`),
      EXIT.unreachable,
    );
  }
}

/** See the module comment. */
export class Patience {
  readonly #giveUpMs: number;
  readonly #tellMs: number;

  /**
   * @param isAlive Asks the daemon for any answer.
   * @throws {UsageError} For a KEDGE_PATIENCE that is no duration.
   */
  constructor(
    readonly runDir: string,
    readonly isAlive: (signal: AbortSignal) => Promise<unknown>,
    readonly context?: PatienceContext,
  ) {
    const text = context?.env.KEDGE_PATIENCE;
    const ms = text === undefined ? GIVE_UP_MS : parseDuration(text);
    if (ms === undefined || ms <= 0) {
      throw new UsageError("KEDGE_PATIENCE must be a duration such as 20s");
    }
    this.#giveUpMs = ms;
    this.#tellMs = Math.min(TELL_MS, ms / 2);
  }

  /**
   * Wait for an answer.
   *
   * @param what The request, for people.
   * @param ask Is told when it was given up.
   * @throws {SilentDaemonError}
   */
  async over<T>(
    what: string,
    ask: (givenUp: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const end = new AbortController();
    const given = new AbortController();
    const watching = this.#watch(what, end.signal);
    watching.catch(() => {}); // nobody waits any more
    const answer = ask(given.signal);
    answer.catch(() => {});
    try {
      return await Promise.race([answer, watching]);
    } catch (error) {
      given.abort();
      throw error;
    } finally {
      end.abort();
    }
  }

  /** Ends, by throwing, when the daemon has been silent for too long. */
  async #watch(what: string, signal: AbortSignal): Promise<never> {
    const startMs = performance.now();
    await pause(this.#tellMs, signal);
    let isTold = false;
    for (;;) {
      await this.#sign(signal);
      const waitedMs = performance.now() - startMs;
      if (!isTold && waitedMs >= AT_WORK_MS) {
        isTold = true;
        this.context?.err.line(
          `the mirror daemon is at work on "${what}"; Ctrl-C ends the ` +
            "waiting, not the work",
        );
      }
      await pause(this.#tellMs, signal);
    }
  }

  /** Any answer; in good time, or it is said, or it is too late. */
  async #sign(signal: AbortSignal): Promise<void> {
    const seen = this.isAlive(signal);
    seen.catch(() => {});
    const tell = setTimeout(() => {
      this.context?.err.line(
        `waiting for the mirror daemon ${processOf(this.runDir).text}`.trim() +
          `, which does not answer in ${this.runDir}`,
      );
    }, Math.min(200, this.#giveUpMs / 4));
    const late = Promise.withResolvers<never>();
    const giveUp = setTimeout(
      () => late.reject(new SilentDaemonError(this.runDir, this.#giveUpMs)),
      this.#giveUpMs - this.#tellMs,
    );
    const ended = () => late.reject(signal.reason);
    signal.addEventListener("abort", ended);
    late.promise.catch(() => {});
    try {
      await Promise.race([seen, late.promise]);
    } finally {
      clearTimeout(tell);
      clearTimeout(giveUp);
      signal.removeEventListener("abort", ended);
    }
  }
}

/** `(process 7, stopped) `, as far as that can be known. */
function processOf(
  runDir: string,
): { readonly text: string; readonly pid?: number } {
  try {
    const pid = Number(Deno.readTextFileSync(daemonPid(runDir)));
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const [, letter = ""] = /\) ([A-Za-z]) /.exec(stat) ?? [];
    const state = { T: ", stopped", t: ", held by a debugger" }[letter] ??
      { D: ", waiting for a disk", Z: ", dead" }[letter] ?? "";
    return { text: `(process ${pid}${state}) `, pid };
  } catch {
    return { text: "" };
  }
}

/** Rejects when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", ended);
      resolve();
    }, ms);
    signal.addEventListener("abort", ended, { once: true });
  });
}
