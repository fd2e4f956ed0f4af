/** Failures that a person can do something about. */

import { EXIT } from "./exit_codes.ts";

/** The caller misused a command; the message says how. */
export class UsageError extends Error {
  /** Always "UsageError". */
  override readonly name = "UsageError";
}

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

/** The message of anything that was thrown, with its causes. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return error.message + cause;
}
