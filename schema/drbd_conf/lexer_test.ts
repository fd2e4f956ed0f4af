import assert from "node:assert/strict";
import * as fc from "fast-check";
import { ParseError } from "./errors.ts";
import { isBareName, Lexer, quote, quoteName } from "./lexer.ts";

/** Every token of a text as `KIND TEXT LINE`. */
function tokens(text: string): string[] {
  const lexer = new Lexer("f", text);
  const list: string[] = [];
  for (;;) {
    const { kind, text, line } = lexer.next();
    if (kind === "end") return list;
    list.push(`${kind} ${text} ${line}`);
  }
}

Deno.test("next() reads words, strings and marks with their lines", () => {
  const cases: [string, string[]][] = [
    ["", []],
    ["a", ["word a 1"]],
    ["a{b;}", ["word a 1", "mark { 1", "word b 1", "mark ; 1", "mark } 1"]],
    ['verify-alg"sha1"', ["word verify-alg 1", "string sha1 1"]],
    ["# c\n a # d\r\n\tb", ["word a 2", "word b 3"]],
    ["10.0.0.1:7", ["word 10.0.0.1 1", "mark : 1", "word 7 1"]],
    ["/dev/m[0]", ["word /dev/m 1", "mark [ 1", "word 0 1", "mark ] 1"]],
    [String.raw`"a\"b\\c"`, [String.raw`string a"b\c 1`]],
    ['"# no comment; {"', ["string # no comment; { 1"]],
    ['"open\nb', ['mark " 1', "word open 1", "word b 2"]],
    ["\uFEFFa", ["mark \uFEFF 1", "word a 1"]],
    ["使 a", ["mark 使 1", "word a 1"]],
  ];
  for (const [text, expected] of cases) {
    assert.deepEqual(tokens(text), expected);
  }
});

Deno.test("next() bounds words at 128 and strings at 255 characters", () => {
  assert.equal(tokens("x".repeat(128)).length, 1);
  assert.equal(tokens(`"${"x".repeat(255)}"`).length, 1);
  for (const text of ["x".repeat(129), `"${"x".repeat(256)}"`]) {
    assert.throws(() => tokens(`\n${text}`), (error) => {
      assert.ok(error instanceof ParseError);
      assert.equal(
        error.message,
        `f:2: Token too long >>>${"x".repeat(20)}...<<<`,
      );
      return true;
    });
  }
});

Deno.test("sameLine tells whether a token follows on the line of the last one", () => {
  const lexer = new Lexer("f", 'a b\n"c" d');
  const seen: boolean[] = [];
  for (let i = 0; i < 4; i += 1) seen.push(lexer.next().sameLine);
  assert.deepEqual(seen, [false, true, false, true]);
});

Deno.test("skipRestOfLine() passes over what it does not understand", () => {
  const lexer = new Lexer("f", 'a; b "c\nd');
  lexer.next();
  lexer.next();
  assert.equal(lexer.restOfLine(), 'b "c');
  lexer.skipRestOfLine();
  assert.deepEqual(
    { ...lexer.next() },
    { kind: "word", text: "d", file: "f", line: 2, sameLine: false },
  );
});

Deno.test("quote() is undone by the lexer", () => {
  const line = fc.string({ maxLength: 100 })
    .filter((text) => !/[\r\n]/.test(text));
  fc.assert(fc.property(line, (text) => {
    assert.equal(new Lexer("f", quote(text)).next().text, text);
  }));
});

Deno.test("quoteName() quotes what is no name without quotes", () => {
  for (const name of ["on", "device", "yes", "5", "10M", "10.0.0.1"]) {
    assert.equal(isBareName(name), false);
    assert.equal(quoteName(name), `"${name}"`);
  }
  for (const name of ["r0", "all", "timeout", "123456789", "10.0.0"]) {
    assert.equal(quoteName(name), name);
  }
});
