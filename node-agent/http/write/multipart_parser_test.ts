import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { Problem } from "@kedge/schema";
import {
  FORM_MARGIN_BYTES_MAX,
  FORM_PARTS_MAX,
  formBoundary,
  MultipartParser,
  PART_HEAD_BYTES_MAX,
} from "./multipart_parser.ts";

interface Part {
  name: string;
  fileName: string | undefined;
  type: string | undefined;
  body: string;
}

const BOUNDARY = "--AaB03x";

/** What browsers write. */
function quote(text: string): string {
  return text.replaceAll('"', "%22").replaceAll("\r", "%0D")
    .replaceAll("\n", "%0A");
}

function encode(
  parts: Part[],
  { preamble = "", padding = "", epilogue = "" } = {},
) {
  let text = preamble;
  for (const { name, fileName, type, body } of parts) {
    text += `--${BOUNDARY}${padding}\r\n`;
    text += `Content-Disposition: form-data; name="${quote(name)}"`;
    if (fileName !== undefined) text += `; filename="${quote(fileName)}"`;
    text += "\r\n";
    if (type !== undefined) text += `content-type: ${type}\r\n`;
    text += `\r\n${body}\r\n`;
  }
  return `${text}--${BOUNDARY}--${epilogue}`;
}

/** Parse bytes cut at the given places; data of a part becomes one text. */
function parse(bytes: Uint8Array, cuts: number[] = []): Part[] {
  const parser = new MultipartParser(BOUNDARY);
  const parts: Part[] = [];
  let data: Uint8Array[] = [];
  const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  for (const [index, edge] of edges.slice(1).entries()) {
    // A copy with another content afterwards: the parser must not keep it.
    const chunk = Uint8Array.from(bytes.subarray(edges[index], edge));
    for (const event of parser.push(chunk)) {
      if (event.kind === "part") parts.push({ ...event.head, body: "" });
      if (event.kind === "data") {
        assert(event.bytes.length > 0);
        data.push(Uint8Array.from(event.bytes));
      }
      const last = parts.at(-1);
      if (event.kind !== "part-end" || last === undefined) continue;
      last.body = Buffer.concat(data).toString("latin1");
      data = [];
    }
    chunk.fill(0x2d);
  }
  parser.finish();
  return parts;
}

const bytesOf = (text: string) => Buffer.from(text, "latin1");

/** Content full of what could be taken for a boundary. */
const hostile = fc.array(
  fc.constantFrom(
    "\r",
    "\n",
    "\r\n",
    "-",
    "--",
    `--${BOUNDARY.slice(0, 5)}`,
    `\r\n--${BOUNDARY.slice(0, -1)}`,
    BOUNDARY,
    "x",
    "\0",
    "\xff",
  ),
  { maxLength: 12 },
).map((list) => list.join("")).filter((text) =>
  !`\r\n${text}\r\n--`.slice(0, -4).includes(`\r\n--${BOUNDARY}`)
);

Deno.test("MultipartParser gives back every part, cut anywhere", () => {
  const ascii = fc.string({ maxLength: 12 }).filter((text) =>
    !/[\\%]/.test(text)
  );
  const part = fc.record({
    name: ascii,
    fileName: fc.option(ascii, { nil: undefined }),
    type: fc.constantFrom(undefined, "text/plain", "image/png; a=b"),
    body: hostile,
  }, { noNullPrototype: true });
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 5 }),
      fc.constantFrom("", "before\r\n", "\r\n", "--\r\n"),
      fc.constantFrom("", " ", " \t"),
      fc.constantFrom("", "\r\n", "\r\nafter\r\n--x"),
      fc.array(fc.nat(1000), { maxLength: 30 }),
      (parts, preamble, padding, epilogue, cuts) => {
        const bytes = bytesOf(encode(parts, { preamble, padding, epilogue }));
        const places = cuts.map((cut) => cut % (bytes.length + 1));
        assert.deepEqual(parse(bytes, places), parts);
      },
    ),
    { numRuns: 400 },
  );
});

Deno.test("MultipartParser does not care where one cut falls", () => {
  const parts = [
    { name: "a", fileName: undefined, type: undefined, body: "" },
    { name: "f", fileName: "x.bin", type: "a/b", body: "\r\n--AaB03\r\n-" },
  ];
  const bytes = bytesOf(encode(parts, { epilogue: "\r\n" }));
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.deepEqual(parse(bytes, [cut]), parts, `cut at ${cut}`);
  }
  const everywhere = Array.from(bytes, (_, at) => at);
  assert.deepEqual(parse(bytes, everywhere), parts);
});

Deno.test("MultipartParser refuses a form without its closing boundary", () => {
  const whole = encode([
    { name: "f", fileName: "x", type: undefined, body: "content" },
  ]);
  for (let end = 0; end < whole.length; end++) {
    const cut = bytesOf(whole.slice(0, end));
    assert.throws(() => parse(cut), { slug: "incomplete-body" }, `at ${end}`);
  }
});

Deno.test("MultipartParser never fails by anything but a Problem", () => {
  const piece = fc.constantFrom(
    `--${BOUNDARY}`,
    "\r\n",
    "--",
    "Content-Disposition: form-data",
    '; name="a"',
    '; filename="',
    "\\",
    '"',
    ": ",
    "\xff\xfe",
    "a".repeat(300),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        parse(bytesOf(pieces.join("")));
      } catch (error) {
        assert(error instanceof Problem, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

function refuses(text: string, pattern: RegExp): void {
  assert.throws(() => parse(bytesOf(text)), (error) => {
    assert(error instanceof Problem);
    assert.match(error.message, pattern);
    return true;
  });
}

Deno.test("MultipartParser has limits", () => {
  const field = { name: "a", fileName: undefined, type: undefined, body: "" };
  const many = (count: number) => Array.from({ length: count }, () => field);
  assert.equal(parse(bytesOf(encode(many(FORM_PARTS_MAX)))).length, 32);
  refuses(encode(many(FORM_PARTS_MAX + 1)), /more than 32 parts/);
  const long = "x".repeat(PART_HEAD_BYTES_MAX);
  refuses(`--${BOUNDARY}\r\nX: ${long}`, /headers over/);
  const margin = "x".repeat(FORM_MARGIN_BYTES_MAX + 100);
  refuses(margin, /outside its parts/);
  refuses(encode([], { epilogue: margin }), /outside its parts/);
  refuses(`--${BOUNDARY}${" ".repeat(100)}\r\n`, /followed by/);
  refuses(`--${BOUNDARY}junk\r\n`, /followed by/);
});

function headOf(disposition: string, more = "") {
  const text =
    `--${BOUNDARY}\r\nContent-Disposition: ${disposition}\r\n${more}` +
    `\r\n\r\n--${BOUNDARY}--`;
  return parse(Buffer.from(text))[0];
}

Deno.test("MultipartParser reads the file names that clients send", () => {
  const named = (disposition: string) => headOf(disposition)?.fileName;
  assert.equal(named('form-data; name="f"; filename="a b.txt"'), "a b.txt");
  assert.equal(named("form-data; name=f; filename=a.txt"), "a.txt");
  assert.equal(named('FORM-DATA; Name=f; FileName="a;b.txt"'), "a;b.txt");
  assert.equal(named('form-data; name="f"; filename="文 é.txt"'), "文 é.txt");
  assert.equal(named('form-data; name="f"; filename="a%22b.txt"'), 'a"b.txt');
  assert.equal(named('form-data; name="f"; filename="a\\"b.txt"'), 'a"b.txt');
  assert.equal(
    named('form-data; name="f"; filename="C:\\dir\\a.txt"'),
    "C:\\dir\\a.txt",
  );
  assert.equal(
    named('form-data; name="f"; filename="100%41.txt"'),
    "100%41.txt",
  );
  assert.equal(
    named("form-data; name=f; filename=x; filename*=UTF-8''%e6%96%87.txt"),
    "文.txt",
  );
  assert.equal(
    named("form-data; name=f; filename*=iso-8859-1'en'%e9.txt"),
    "é.txt",
  );
  assert.equal(named('form-data; name="f"; filename=""'), "");
  assert.equal(named('form-data; name="f"'), undefined);
});

Deno.test("MultipartParser refuses malformed headers of parts", () => {
  const bad: [string, string?][] = [
    ["attachment; name=f"],
    ["form-data"],
    ["form-data; filename=x"],
    ['form-data; name="f'],
    ["form-data; name=f; name=g"],
    ["form-data; name=f; =x"],
    ['form-data; name="f"x'],
    ["form-data; name=f; filename*=UTF-8''%ff"],
    ["form-data; name=f; filename*=koi8-r''a"],
    ["form-data; name=f; filename*=x"],
    ["form-data; name=f", "Content-Disposition: form-data; name=g\r\n"],
    ["form-data; name=f", "no colon\r\n"],
    ["form-data; name=f", "X: a\r\n folded\r\n"],
    ["form-data; name=f", "Content-Transfer-Encoding: base64\r\n"],
  ];
  for (const [disposition, more] of bad) {
    assert.throws(() => headOf(disposition, more), Problem, disposition);
  }
  refuses(
    `--${BOUNDARY}\r\n\r\nx\r\n--${BOUNDARY}--`,
    /no Content-Disposition/,
  );
});

Deno.test("formBoundary() reads the boundary of forms only", () => {
  assert.equal(formBoundary("multipart/form-data; boundary=abc"), "abc");
  assert.equal(formBoundary('Multipart/Form-Data; BOUNDARY="a b"'), "a b");
  assert.equal(formBoundary("multipart/form-data; charset=x; boundary=a"), "a");
  const bad = [
    "multipart/mixed; boundary=a",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary="a "',
    `multipart/form-data; boundary=${"a".repeat(71)}`,
    "multipart/form-data; boundary=a\u00e9",
  ];
  for (const type of bad) assert.equal(formBoundary(type), undefined, type);
});
