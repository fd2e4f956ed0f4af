/**
 * Text that is passed over: `skip` sections, and prose after a statement.
 *
 * @module
 */

import { refusal, unexpected } from "./errors.ts";
import type { Token } from "./lexer.ts";
import { describe, isText, type ParserContext } from "./parser_context.ts";

/** Passes over `skip [words] { … }`, whose first word was taken. */
export function skipSection(context: ParserContext): void {
  let token = context.lexer.next();
  while (isText(token)) token = context.lexer.next();
  if (token.text !== "{") {
    throw unexpected(token, "[ some_text ] {", describe(token));
  }
  const open = token;
  for (let depth = 1; depth > 0;) {
    token = context.lexer.next();
    if (token.kind === "end") {
      throw refusal(open, "Parse error: '}' of this section is missing");
    }
    if (token.kind !== "mark") continue;
    if (token.text === "{") depth += 1;
    if (token.text === "}") depth -= 1;
  }
}

/**
 * Passes over prose on the line of the statement before it, with a warning that
 * quotes it. A well-known tutorial has such a line, where `#` is missing.
 *
 * Only text that cannot be meant as configuration: it begins with no keyword,
 * and has no `;`, `{` or `}` before the end of the line or a comment.
 */
export function skipProse(
  context: ParserContext,
  isKeyword: (token: Token) => boolean,
): void {
  if (context.isStrict) return;
  const token = context.lexer.peek();
  if (token.kind === "end" || !token.sameLine || isKeyword(token)) return;
  const prose = context.lexer.restOfLine();
  if (/[;{}]/.test(prose.replace(/#.*/, ""))) return;
  context.lexer.skipRestOfLine();
  context.warnings.add("prose-skipped", {
    file: token.file,
    line: token.line,
    text: "this is no configuration and was skipped; put '#' in front of it: " +
      prose.slice(0, 200),
  }, { resource: context.resource });
}
