/**
 * Sections that are lists of options, checked against their tables.
 *
 * @module
 */

import type { Setting } from "./ast.ts";
import { type Place, refusal, unexpected } from "./errors.ts";
import type { Token } from "./lexer.ts";
import { parseNumber, UNIT_SIZE } from "./numbers.ts";
import { type Alias, ALIASES, type SectionName } from "./options/aliases.ts";
import type {
  ChoiceRow,
  NumberRow,
  OptionRow,
  OptionTable,
  TextRow,
} from "./options/row.ts";
import { TABLES } from "./options/tables.ts";
import {
  acceptMark,
  describe,
  expectMark,
  isText,
  type ParserContext,
  readBlock,
} from "./parser_context.ts";

/** Most names in a list of host names. */
const NAMES_MAX = 64;

/** Receives options with the section that they belong to. */
export type SettingSink = (section: SectionName, setting: Setting) => void;

/** Reads `net { … }` and its like, after the opening brace. */
export function readOptions(
  context: ParserContext,
  section: SectionName | "syncer",
  sink: SettingSink,
): void {
  readBlock(context, (token) => {
    const target = targetOf(section, token);
    const row = TABLES[target.section].get(target.name);
    if (row === undefined) throw notAnOption(section, token);
    const values = target.value === undefined
      ? readValues(context, row, token)
      : readNothing(context, target.value);
    sink(target.section, {
      name: row.name,
      values,
      file: token.file,
      line: token.line,
    });
  });
}

/** Reads options of a table without older spellings, after the brace. */
export function readTable(
  context: ParserContext,
  table: OptionTable,
): Setting[] {
  const settings: Setting[] = [];
  readBlock(context, (token) => {
    const row = table.get(token.text);
    if (token.kind !== "word" || row === undefined) {
      throw unexpected(token, [...table.keys()].join(" | "), describe(token));
    }
    const values = readValues(context, row, token);
    settings.push({
      name: row.name,
      values,
      file: token.file,
      line: token.line,
    });
  });
  return settings;
}

/** Reads the value of an option and its semicolon. */
export function readValues(
  context: ParserContext,
  row: OptionRow,
  name: Place,
): string[] {
  switch (row.kind) {
    case "flag":
      expectMark(context, ";");
      return [];
    case "boolean":
      return [readBoolean(context, row.name)];
    case "names":
      return readNames(context);
    case "text":
      return [checkText(context, row, readOne(context, row.name))];
    case "number":
      return [checkNumber(context, row, readOne(context, row.name))];
    case "choice":
      return [checkChoice(context, row, readOne(context, row.name))];
  }
  return unreachable(row, name);
}

function targetOf(section: SectionName | "syncer", token: Token): Alias {
  if (!isText(token)) throw notAnOption(section, token);
  const alias = ALIASES[section].get(token.text);
  if (alias !== undefined) return alias;
  if (section === "syncer") throw notAnOption(section, token);
  return { section, name: token.text };
}

function notAnOption(section: string, token: Token): Error {
  const what = section === "syncer"
    ? "a syncer option keyword"
    : "an option keyword";
  return unexpected(token, what, describe(token));
}

function readNothing(context: ParserContext, value: string): string[] {
  expectMark(context, ";");
  return [value];
}

function readOne(context: ParserContext, name: string): Token {
  const token = context.lexer.next();
  if (!isText(token)) {
    throw unexpected(token, `value for ${name}`, describe(token));
  }
  expectMark(context, ";");
  return token;
}

function readBoolean(context: ParserContext, name: string): string {
  if (acceptMark(context, ";")) return "yes";
  const token = context.lexer.next();
  if (!isText(token)) throw unexpected(token, "yes | no | ;", describe(token));
  if (token.text !== "yes" && token.text !== "no") {
    throw badValue(token, name, "Value is not 'yes' or 'no'.");
  }
  expectMark(context, ";");
  return token.text;
}

function readNames(context: ParserContext): string[] {
  const names: string[] = [];
  while (isText(context.lexer.peek())) {
    const token = context.lexer.next();
    if (names.length >= NAMES_MAX) throw refusal(token, "too many names");
    names.push(token.text);
  }
  if (names.length === 0) {
    const token = context.lexer.next();
    throw unexpected(token, "host name", describe(token));
  }
  expectMark(context, ";");
  return names;
}

function checkText(
  context: ParserContext,
  row: TextRow,
  token: Token,
): string {
  if (token.text.length > row.maxChars) {
    warnOfValue(context, token, `${row.name} is too long`, [
      `at most ${row.maxChars} characters`,
    ]);
  }
  return token.text;
}

function checkNumber(
  context: ParserContext,
  row: NumberRow,
  token: Token,
): string {
  if (row.symbols.includes(token.text)) return token.text;
  const size = parseNumber(token.text, row.unit);
  if (size === undefined) {
    throw badValue(token, row.name, "Value is not a number.");
  }
  const count = size / UNIT_SIZE[row.unit];
  if (count >= row.min && count <= row.max) return token.text;
  const fault = count < row.min ? "Value is too small." : "Value is too big.";
  if (!row.isCheckedLate) throw badValue(token, row.name, fault);
  const range = `${row.min} to ${row.max}${row.unit === "1" ? "" : row.unit}`;
  warnOfValue(context, token, `${row.name} ${token.text} is out of range`, [
    range,
  ]);
  return token.text;
}

function checkChoice(
  context: ParserContext,
  row: ChoiceRow,
  token: Token,
): string {
  // 8.4 and 9 both take a lower-case protocol.
  const word = row.name === "protocol" ? token.text.toUpperCase() : token.text;
  if (row.values.includes(word)) return word;
  if (row.name === "usage-count") {
    throw unexpected(token, "yes | no | ask", describe(token));
  }
  if (!row.isCheckedLate) {
    const allowed = row.values.toSorted().join(" | ");
    throw badValue(
      token,
      row.name,
      `Value is not valid.\nAllowed values are: ${allowed}`,
    );
  }
  warnOfValue(context, token, `${row.name} ${word} is not known`, row.values);
  return word;
}

function warnOfValue(
  context: ParserContext,
  at: Place,
  fault: string,
  allowed: readonly string[],
): void {
  context.warnings.add("bad-value", {
    file: at.file,
    line: at.line,
    text: `${fault} (allowed: ${allowed.join(" | ")})`,
  }, { resource: context.resource, refusedAtUp: true });
}

function badValue(token: Token, name: string, fault: string): Error {
  const shown = token.text.length > 20
    ? `${token.text.slice(0, 20)}...`
    : token.text;
  return refusal(
    token,
    `Parse error: while parsing value ('${shown}')\nfor ${name}. ${fault}`,
  );
}

function unreachable(row: never, at: Place): never {
  throw refusal(at, `option of unknown kind: ${JSON.stringify(row)}`);
}
