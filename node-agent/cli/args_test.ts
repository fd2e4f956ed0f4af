import assert from "node:assert/strict";
import { exactly, parse, wholeNumber } from "./args.ts";
import { nearest } from "./nearest.ts";

const TABLE = {
  jobs: { kind: "text", short: "j", fallback: "4", help: "" },
  level: { kind: "text", choices: ["A", "B"], help: "" },
  meta: { kind: "list", help: "" },
  force: { kind: "flag", help: "" },
} as const;

Deno.test("parse() reads flags, texts, lists and words", () => {
  const { values, words } = parse(
    ["a", "-j", "8", "--meta", "x=1", "--meta=y=2", "--force", "--", "--b"],
    TABLE,
  );
  assert.deepEqual({ ...values }, {
    jobs: "8",
    level: undefined,
    meta: ["x=1", "y=2"],
    force: true,
    json: false,
    help: false,
  });
  assert.deepEqual(words, ["a", "--b"]);
});

Deno.test("parse() fills in what is missing", () => {
  const { values } = parse([], TABLE);
  assert.equal(values.jobs, "4");
  assert.deepEqual(values.meta, []);
  assert.equal(values.force, false);
});

Deno.test("parse() names the mistake", () => {
  const table: [string[], RegExp][] = [
    [["--forse"], /Unknown option --forse; did you mean --force\?/],
    [["--zzz"], /Unknown option --zzz$/],
    [["--level", "D"], /--level must be A or B, got "D"/],
    [["--jobs"], /jobs/],
    [["--force=yes"], /force/],
  ];
  for (const [args, message] of table) {
    assert.throws(() => parse(args, TABLE), {
      name: "UsageError",
      message,
    }, args.join(" "));
  }
});

Deno.test("wholeNumber() holds its range", () => {
  assert.equal(wholeNumber("--n", "7", { min: 1, max: 9 }), 7);
  for (const text of ["0", "10", "x", "-1", "1.5", ""]) {
    assert.throws(
      () => wholeNumber("--n", text, { min: 1, max: 9 }),
      /--n must/,
    );
  }
});

Deno.test("exactly() names what is missing and what is too much", () => {
  assert.deepEqual(exactly(["a", "b"], "ID", "FILE"), ["a", "b"]);
  assert.throws(() => exactly(["a"], "ID", "FILE"), /Missing FILE/);
  assert.throws(() => exactly(["a", "b"], "ID"), /Unexpected word "b"/);
});

Deno.test("nearest() finds what was meant, or nothing", () => {
  const known = ["upload", "download", "status", "start", "drain"];
  assert.equal(nearest("uplaod", known), "upload");
  assert.equal(nearest("stat", known), "status");
  assert.equal(nearest("dr", known), "drain");
  assert.equal(nearest("sta", known), undefined, "two begin so");
  assert.equal(nearest("dwnload", known), "download");
  assert.equal(nearest("quit", known), undefined);
});
