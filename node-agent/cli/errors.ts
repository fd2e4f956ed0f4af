/** Failures that a person can do something about. */

import { EXIT } from "./exit_codes.ts";

/** The caller misused a command; the message says how. */
export class UsageError extends Error {
  /** Always "UsageError". */
  override readonly name = "UsageError";
}

/** Who read standard output went away, as `head` does: nothing more to say. */
export class ReaderGone extends Error {}

/** Something expected went wrong: cause, next step, exit code. */
export class CliError extends Error {
  /** Always "CliError". */
  override readonly name = "CliError";
  /** What to do now, as a sentence or a command. */
  readonly next: string | undefined;
  /** Exit code, see {@linkcode EXIT}. */
  readonly exit: number;

  /**
   * @param message The cause, as a sentence without a full stop.
   * @param next What to do now.
   * @param exit Exit code; 1 by default.
   */
  constructor(message: string, next?: string, exit: number = EXIT.failed) {
    super(message);
    this.next = next;
    this.exit = exit;
  }
}

/**
 * The message of anything that was thrown, with its cause.
 *
 * Capabilities in URLs are secrets for as long as they live: they are taken out.
 */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return withoutSecrets(String(error));
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return withoutSecrets(error.message + cause);
}

/**
 * A short message for a request that failed before an answer came.
 *
 * @param url Where it went; only host and port are shown.
 * @param error What `fetch` threw; the innermost cause is at the end of it.
 */
export function noAnswer(url: string, error: unknown): TypeError {
  const why = messageOf(error).replace(/\)+$/, "").split(": ").at(-1) ?? "";
  return new TypeError(
    `no answer from ${new URL(url).host}: ${why.replace(/ \(os error.*$/, "")}`,
  );
}

function withoutSecrets(text: string): string {
  return text.replace(/\bcap=[^&\s)"']+/g, "cap=…");
}
