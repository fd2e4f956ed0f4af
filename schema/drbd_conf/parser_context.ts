/**
 * What all parts of the parser share: the tokens of the current file, and the
 * warnings so far.
 *
 * @module
 */

import {
  type ConfWarning,
  type Place,
  refusal,
  unexpected,
  type WarningCode,
} from "./errors.ts";
import { isBareName, type Lexer, type Token } from "./lexer.ts";
import { WARNINGS_MAX } from "./limits.ts";
import { parseInteger } from "./numbers.ts";

/** Details of a warning. */
export interface WarningDetails {
  /** Resource it concerns. */
  readonly resource?: string | undefined;
  /** Whether `up` refuses the resource because of it. */
  readonly refusedAtUp?: boolean;
}

/** Collects warnings, up to a bound. */
export class WarningList {
  /** In the order they were found. */
  readonly list: ConfWarning[] = [];

  /** Adds one. */
  add(
    code: WarningCode,
    finding: Place & { readonly text: string },
    details: WarningDetails = {},
  ): void {
    if (this.list.length >= WARNINGS_MAX) return;
    const { resource, refusedAtUp = false } = details;
    this.list.push({
      code,
      file: finding.file,
      line: finding.line,
      text: finding.text,
      refusedAtUp,
      ...(resource === undefined ? {} : { resource }),
    });
  }
}

/** State of the parser within one file. */
export interface ParserContext {
  /** Tokens of the file. */
  readonly lexer: Lexer;
  /** Warnings of the whole configuration. */
  readonly warnings: WarningList;
  /** Whether leniencies of ours are refused. */
  readonly isStrict: boolean;
  /** Resource that is being read, for warnings. */
  readonly resource: string | undefined;
}

/** Takes a mark such as `;`, or refuses. */
export function expectMark(context: ParserContext, mark: string): Token {
  const token = context.lexer.next();
  if (token.kind === "mark" && token.text === mark) return token;
  throw unexpected(token, mark, describe(token));
}

/** Takes a mark if it is next. */
export function acceptMark(context: ParserContext, mark: string): boolean {
  const token = context.lexer.peek();
  if (token.kind !== "mark" || token.text !== mark) return false;
  context.lexer.next();
  return true;
}

/** Takes an unquoted word if it is next. */
export function acceptWord(context: ParserContext, word: string): boolean {
  const token = context.lexer.peek();
  if (token.kind !== "word" || token.text !== word) return false;
  context.lexer.next();
  return true;
}

/** Takes a word or a quoted string; `what` names it in the refusal. */
export function expectText(context: ParserContext, what: string): Token {
  const token = context.lexer.next();
  if (isText(token)) return token;
  throw unexpected(token, what, describe(token));
}

/**
 * Takes a name. Without quotes it is no keyword, number or address: DRBD reads
 * these as something else, and a forgotten name would be hard to find.
 */
export function expectName(context: ParserContext, what: string): Token {
  const token = context.lexer.next();
  if (isName(token)) return token;
  throw unexpected(token, what, describe(token));
}

/** Whether a token can be a name. */
export function isName(token: Token): boolean {
  return token.kind === "string" ||
    (token.kind === "word" && isBareName(token.text));
}

/** Whether a token is a word or a quoted string. */
export function isText(token: Token): boolean {
  return token.kind === "word" || token.kind === "string";
}

/** Takes a whole number between bounds; `name` is the option's. */
export function expectInteger(
  context: ParserContext,
  name: string,
  range: readonly [min: number, max: number],
): number {
  const token = context.lexer.next();
  if (token.kind !== "word" || !/^\d+$/.test(token.text)) {
    throw unexpected(token, "INTEGER", describe(token));
  }
  const [min, max] = range;
  const value = parseInteger(token.text, min, max);
  if (value !== undefined) return value;
  const { text } = token;
  throw refusal(
    token,
    `${name} ${text} => ${text} out of range [${min}..${max}].`,
  );
}

/**
 * Reads statements up to the closing brace. `statement` takes the first token,
 * already read, also the end of the file, which fits nowhere.
 */
export function readBlock(
  context: ParserContext,
  statement: (first: Token) => void,
): void {
  for (;;) {
    const token = context.lexer.next();
    if (token.kind === "mark" && token.text === "}") return;
    statement(token);
  }
}

/**
 * Reads a block whose brace may be missing at the end of the file: the one of
 * `resource` and `common`. drbdadm takes that silently, we warn.
 */
export function readOpenBlock(
  context: ParserContext,
  statement: (first: Token) => void,
): void {
  for (;;) {
    const token = context.lexer.next();
    if (token.kind === "mark" && token.text === "}") return;
    if (token.kind === "end") {
      context.warnings.add("missing-brace", {
        ...token,
        text: "the file ends inside a section; '}' is missing",
      }, { resource: context.resource });
      return;
    }
    statement(token);
  }
}

/** How a token is quoted in a message; nothing at the end of the file. */
export function describe(token: Token): string {
  return token.text;
}
