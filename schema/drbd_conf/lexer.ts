/**
 * Characters to tokens: words, quoted strings and punctuation.
 *
 * Tokens are made on demand, because the rest of a line may have to be skipped
 * without being looked at.
 *
 * @module
 */

import { type Place, refusal } from "./errors.ts";
import { STRING_CHARS_MAX, WORD_CHARS_MAX } from "./limits.ts";

/** What a token is; `end` is the end of the file. */
export type TokenKind = "word" | "string" | "mark" | "end";

/** One token. */
export interface Token extends Place {
  /** What it is. A mark is a single character that no word may contain. */
  readonly kind: TokenKind;
  /** The word, the text between the quotes (escapes resolved), or the mark. */
  readonly text: string;
  /** Whether it stands on the same line as the token before it. */
  readonly sameLine: boolean;
}

const WORD = /[A-Za-z0-9/._-]+/y;
const SPACE = /(?:[ \t\r\n\v\f]|#[^\n]*)+/y;
const QUOTED = /"((?:[^"\\\n]|\\[^\n])*)"/y;

/** Reads one file token by token. */
export class Lexer {
  /** Path for messages. */
  readonly file: string;
  readonly #text: string;
  #offset = 0;
  #line = 1;
  #lastLine = 0;
  #ahead: { token: Token; start: number } | undefined;

  /** Begins at the first character of `text`. */
  constructor(file: string, text: string) {
    this.file = file;
    this.#text = text;
  }

  /** The next token, which stays. */
  peek(): Token {
    if (this.#ahead === undefined) {
      this.#skipSpace();
      const start = this.#offset;
      this.#ahead = { token: this.#read(), start };
    }
    return this.#ahead.token;
  }

  /** Takes the next token. */
  next(): Token {
    const token = this.peek();
    this.#ahead = undefined;
    this.#lastLine = this.#line;
    return token;
  }

  /** Where the next token begins once it was looked at, else the last one ends. */
  get offset(): number {
    return this.#ahead?.start ?? this.#offset;
  }

  /** Takes raw text right after the last token, if it fits a sticky pattern. */
  takeRaw(pattern: RegExp): string | undefined {
    if (this.#ahead !== undefined) return undefined;
    pattern.lastIndex = this.#offset;
    const text = pattern.exec(this.#text)?.[0];
    this.#offset += text?.length ?? 0;
    return text;
  }

  /** What is left of the line, from the next token on; it is not taken. */
  restOfLine(): string {
    this.peek();
    const start = this.#ahead?.start ?? this.#offset;
    const end = this.#text.indexOf("\n", start);
    return this.#text.slice(start, end < 0 ? undefined : end).trimEnd();
  }

  /** Takes what is left of the line, unread. */
  skipRestOfLine(): void {
    this.peek();
    const start = this.#ahead?.start ?? this.#offset;
    const end = this.#text.indexOf("\n", start);
    this.#ahead = undefined;
    this.#offset = end < 0 ? this.#text.length : end;
    this.#lastLine = this.#line;
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#offset;
    const space = SPACE.exec(this.#text)?.[0];
    if (space === undefined) return;
    this.#offset += space.length;
    for (const char of space) if (char === "\n") this.#line += 1;
  }

  #read(): Token {
    const first = this.#text[this.#offset];
    if (first === undefined) return this.#token("end", "");
    if (first === '"') return this.#readString();
    WORD.lastIndex = this.#offset;
    const word = WORD.exec(this.#text)?.[0];
    if (word === undefined) return this.#readMark();
    if (word.length > WORD_CHARS_MAX) throw this.#tooLong(word);
    this.#offset += word.length;
    return this.#token("word", word);
  }

  #readMark(): Token {
    const mark = String.fromCodePoint(
      this.#text.codePointAt(this.#offset) ?? 0,
    );
    this.#offset += mark.length;
    return this.#token("mark", mark);
  }

  #readString(): Token {
    QUOTED.lastIndex = this.#offset;
    const match = QUOTED.exec(this.#text);
    // Without an end it is a lone quotation mark, and the parser refuses that.
    if (match === null) return this.#readMark();
    const text = (match[1] ?? "").replaceAll(/\\(.)/g, "$1");
    if (text.length > STRING_CHARS_MAX) throw this.#tooLong(text);
    this.#offset += match[0].length;
    return this.#token("string", text);
  }

  #token(kind: TokenKind, text: string): Token {
    const sameLine = this.#line === this.#lastLine;
    return { kind, text, file: this.file, line: this.#line, sameLine };
  }

  #tooLong(text: string): Error {
    const at = { file: this.file, line: this.#line };
    return refusal(at, `Token too long >>>${text.slice(0, 20)}...<<<`);
  }
}

/** Words that are no names unless they are quoted (9 has the fewest). */
const KEYWORDS: ReadonlySet<string> = new Set([
  "address",
  "ask",
  "common",
  "connection",
  "connection-mesh",
  "device",
  "disk",
  "flexible-meta-disk",
  "floating",
  "global",
  "handlers",
  "host",
  "hosts",
  "ignore-on",
  "include",
  "inside",
  "meta-disk",
  "minor",
  "net",
  "no",
  "node-id",
  "on",
  "options",
  "outside",
  "path",
  "peer",
  "plugin",
  "port",
  "proxy",
  "resource",
  "skip",
  "stacked-on-top-of",
  "startup",
  "syncer",
  "template-file",
  "usage-count",
  "via",
  "volume",
  "yes",
]);

/** Whether a word without quotes is a name, not a keyword or a number. */
export function isBareName(word: string): boolean {
  return !KEYWORDS.has(word) && !/^\d{1,8}[MKGs]?$/.test(word) &&
    !/^\d{1,3}(\.\d{1,3}){3}$/.test(word);
}

/** A name as it is written: bare if it is then still a name. */
export function quoteName(name: string): string {
  return isBareName(name) ? quote(name) : forceQuotes(name);
}

/** Whether a text must be quoted to be read back as one word. */
export function needsQuotes(text: string): boolean {
  return !/^[A-Za-z0-9/._-]{1,128}$/.test(text);
}

/** A text as it is written: bare if possible, else quoted and escaped. */
export function quote(text: string): string {
  if (!needsQuotes(text)) return text;
  return forceQuotes(text);
}

function forceQuotes(text: string): string {
  return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
