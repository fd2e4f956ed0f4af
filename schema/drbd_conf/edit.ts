/**
 * Changes options in the text of a configuration, and nothing else: comments,
 * order and spelling of everything around them stay. Pure.
 *
 * Only the sections that stand directly in the resource are touched; those of a
 * volume, a host or a connection win over them, as ever.
 *
 * @module
 */

import { Lexer, quote, type Token } from "./lexer.ts";
import type { SectionName } from "./options/aliases.ts";

/** One option of a resource. */
export interface OptionChange {
  readonly section: SectionName;
  readonly name: string;
  /** `undefined`: the option goes, so that `common` or the default counts. */
  readonly value: string | undefined;
}

/** Where to change it. */
export interface EditPlace {
  /** Path for messages. */
  readonly file: string;
  readonly resource: string;
}

interface Span extends Token {
  readonly start: number;
  readonly end: number;
}

/** Indices of the braces of a block. */
interface Block {
  readonly open: number;
  readonly close: number;
}

/** What one level more is indented by. */
const INDENT = "    ";

/**
 * Make the changes, in order.
 *
 * @returns The new text; `undefined` when the resource does not stand there.
 * @throws {ParseError} For a token that no drbd.conf can have.
 */
export function editOptions(
  text: string,
  place: EditPlace,
  changes: readonly OptionChange[],
): string | undefined {
  let edited: string | undefined = text;
  for (const change of changes) {
    edited = edited === undefined ? undefined : edit(edited, place, change);
  }
  return edited;
}

function edit(
  text: string,
  { file, resource }: EditPlace,
  { section, name, value }: OptionChange,
): string | undefined {
  const spans = spansOf(file, text);
  const body = resourceBlock(spans, resource);
  if (body === undefined) return undefined;
  const wanted = value === undefined ? "" : ` ${quote(value)}`;
  const inside = sectionBlock(spans, body, section);
  if (inside === undefined) {
    if (value === undefined) return text;
    const [before, indent] = beforeClose(text, spans[body.close]);
    const inner = indent + INDENT;
    const lines = [
      `${inner}${section} {`,
      `${inner}${INDENT}${name}${wanted};`,
      `${inner}}`,
    ];
    return `${before}\n${lines.join("\n")}\n${indent}${
      text.slice(spans[body.close]?.start)
    }`;
  }
  const found = statements(spans, inside, name);
  const last = found.at(-1);
  if (value === undefined) return without(text, found);
  if (last !== undefined) {
    return text.slice(0, last.name.end) + wanted + text.slice(last.end.start);
  }
  return added(text, spans[inside.close], `${name}${wanted};`);
}

function spansOf(file: string, text: string): Span[] {
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

/** Blocks that `isHead` begins, directly between two indices. */
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

function resourceBlock(
  spans: readonly Span[],
  resource: string,
): Block | undefined {
  const whole = { open: -1, close: spans.length };
  return blocks(spans, whole).find(({ open, close }) =>
    close < spans.length && spans[open - 1]?.text === resource &&
    spans[open - 2]?.text === "resource"
  );
}

function sectionBlock(
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

/** Statements of a section that begin with a name: first word and semicolon. */
function statements(
  spans: readonly Span[],
  { open, close }: Block,
  name: string,
): { readonly name: Span; readonly end: Span }[] {
  const found: { name: Span; end: Span }[] = [];
  let first: Span | undefined;
  for (const span of spans.slice(open + 1, close)) {
    if (!isMark(span, ";")) {
      first ??= span;
      continue;
    }
    if (first?.text === name) found.push({ name: first, end: span });
    first = undefined;
  }
  return found;
}

function without(
  text: string,
  found: readonly { readonly name: Span; readonly end: Span }[],
): string {
  let edited = text;
  for (const { name, end } of found.toReversed()) {
    const before = edited.slice(0, name.start);
    const after = edited.slice(end.end);
    const isAlone = /(^|\n)[ \t]*$/.test(before) && /^[ \t]*(\n|$)/.test(after);
    edited = isAlone
      ? before.replace(/[ \t]*$/, "") + after.replace(/^[ \t]*\n?/, "")
      : before.replace(/[ \t]*$/, "") + after;
  }
  return edited;
}

/** Text before a closing brace, without the space there; and its indent. */
function beforeClose(text: string, close: Span | undefined): [string, string] {
  const start = close?.start ?? text.length;
  const line = text.slice(text.lastIndexOf("\n", start - 1) + 1, start);
  const indent = /^[ \t]*/.exec(line)?.[0] ?? "";
  return [text.slice(0, start).replace(/\s*$/, ""), indent];
}

/** A statement as the last one of a section. */
function added(text: string, close: Span | undefined, line: string): string {
  const start = close?.start ?? text.length;
  const [before, indent] = beforeClose(text, close);
  const isOwnLine = text.slice(0, start).endsWith(`\n${indent}`);
  return isOwnLine || before.split("\n").at(-1)?.includes("#")
    ? `${before}\n${indent}${INDENT}${line}\n${indent}${text.slice(start)}`
    : `${before} ${line} ${text.slice(start)}`;
}
