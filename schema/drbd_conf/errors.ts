/**
 * What is wrong with a configuration: errors refuse it, warnings do not.
 *
 * @module
 */

/** Exit code of a command whose configuration is refused (as drbdadm's). */
export const CONFIG_ERROR_EXIT = 10;

/** Where something stands. */
export interface Place {
  /** Path of the file, as the `readFiles` port named it. */
  readonly file: string;
  /** Line, from 1. */
  readonly line: number;
}

/** One thing that is wrong, with its place. */
export interface Finding extends Place {
  /** What is wrong; further lines begin with a tab. */
  readonly text: string;
}

/**
 * The configuration is refused.
 *
 * `message` holds one `FILE:LINE: …` line per finding, in the form that
 * drbdadm prints.
 */
export class ParseError extends Error {
  override readonly name = "ParseError";
  /** Exit code for a command that gives up because of it. */
  readonly exitCode = CONFIG_ERROR_EXIT;
  /** At least one finding, the first is the cause. */
  readonly findings: readonly Finding[];

  /** Refuses a configuration for these reasons (at least one). */
  constructor(findings: readonly Finding[]) {
    super(findings.map(formatFinding).join("\n"));
    this.findings = findings;
  }
}

/** Kinds of warnings. */
export type WarningCode =
  /** Text after a statement that is no configuration was skipped. */
  | "prose-skipped"
  /** The last file ends inside a section. */
  | "missing-brace"
  /** Understood, but it does nothing here. */
  | "not-available"
  /** A value the running system would refuse. */
  | "bad-value"
  /** An option stands twice in one section; the last one counts. */
  | "duplicate-option"
  /** Sections in an order that drbdadm complains about. */
  | "section-order"
  /** A name that nothing has. */
  | "unknown-name"
  /** A disk that two volumes use. */
  | "shared-disk"
  /** A name that means something else in commands. */
  | "reserved-name"
  /** A resource that cannot replicate as it is written. */
  | "incomplete";

/** Something the user should know; the configuration is still usable. */
export interface ConfWarning extends Finding {
  /** Kind of the warning. */
  readonly code: WarningCode;
  /** Resource it concerns, if it is about one. */
  readonly resource?: string;
  /** Whether `up` refuses the resource because of it. */
  readonly refusedAtUp: boolean;
}

/** `FILE:LINE: text`, as drbdadm prints it. */
export function formatFinding(finding: Finding): string {
  return `${finding.file}:${finding.line}: ${finding.text}`;
}

/** A refusal with a single finding. */
export function refusal(at: Place, text: string): ParseError {
  return new ParseError([{ file: at.file, line: at.line, text }]);
}

/** A refusal because another token was expected here. */
export function unexpected(
  at: Place,
  expected: string,
  got: string,
): ParseError {
  return refusal(
    at,
    `Parse error: '${expected}' expected,\n\tbut got '${got}'`,
  );
}
