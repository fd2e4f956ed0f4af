/**
 * The text of a configuration as tokens with their places, blocks and
 * statements. Pure.
 *
 * @module
 */

import { Lexer, type Token } from "./lexer.ts";

/** A token, and where it stands in the text. */
export interface Span extends Token {
  /** First character. */
  readonly start: number;
  /** Behind the last character. */
  readonly end: number;
}

/** Indices of the braces of a block. */
export interface Block {
  /** Of the opening brace; -1 for a whole text. */
  readonly open: number;
  /** Of the closing one. */
  readonly close: number;
}

/** A statement: its first word, and its semicolon. */
export interface Statement {
  /** The word that it begins with. */
  readonly name: Span;
  /** The semicolon. */
  readonly end: Span;
}

/**
 * All tokens.
 *
 * @throws {ParseError} For one that no drbd.conf can have.
 */
export function spansOf(file: string, text: string): Span[] {
  const lexer = new Lexer(file, text);
  const spans: Span[] = [];
  for (;;) {
    lexer.peek();
    const start = lexer.offset;
    const token = lexer.next();
    if (token.kind === "end") return spans;
    spans.push({ ...token, start, end: lexer.offset });
  }
}

const isMark = (span: Span | undefined, text: string) =>
  span?.kind === "mark" && span.text === text;

/** The blocks directly between two indices. */
function* blocks(
  spans: readonly Span[],
  { open, close }: Block,
): Generator<Block> {
  for (let at = open + 1; at < close; at++) {
    if (!isMark(spans[at], "{")) continue;
    const end = closeOf(spans, at, close);
    yield { open: at, close: end };
    at = end;
  }
}

function closeOf(spans: readonly Span[], open: number, max: number): number {
  let depth = 0;
  for (let at = open; at < max; at++) {
    if (isMark(spans[at], "{")) depth++;
    if (isMark(spans[at], "}") && --depth === 0) return at;
  }
  return max;
}

/** `resource NAME { … }`; undefined: it does not stand there, whole. */
export function resourceBlock(
  spans: readonly Span[],
  resource: string,
): Block | undefined {
  const whole = { open: -1, close: spans.length };
  return blocks(spans, whole).find(({ open, close }) =>
    close < spans.length && spans[open - 1]?.text === resource &&
    spans[open - 2]?.text === "resource"
  );
}

/** `SECTION { … }`, directly in a block. */
export function sectionBlock(
  spans: readonly Span[],
  body: Block,
  section: string,
): Block | undefined {
  return blocks(spans, body).find(({ open }) => {
    const [before, head] = [spans[open - 2], spans[open - 1]];
    // A word that ends nothing before it is the head of a block of its own.
    const isFirst = ["{", "}", ";"].some((mark) => isMark(before, mark));
    return isFirst && head?.kind === "word" && head.text === section;
  });
}

/** Statements directly in a block that begin with a name. */
export function statements(
  spans: readonly Span[],
  { open, close }: Block,
  name: string,
): Statement[] {
  const found: Statement[] = [];
  let first: Span | undefined;
  for (let at = open + 1; at < close; at++) {
    const span = spans[at];
    if (span === undefined) break;
    if (isMark(span, "{")) {
      at = closeOf(spans, at, close);
      first = undefined;
    } else if (!isMark(span, ";")) {
      first ??= span;
    } else {
      if (first?.text === name) found.push({ name: first, end: span });
      first = undefined;
    }
  }
  return found;
}
