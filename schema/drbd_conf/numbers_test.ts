import assert from "node:assert/strict";
import { parseInteger, parseNumber, type Unit } from "./numbers.ts";

Deno.test("parseNumber() counts suffixes, else the unit of the option", () => {
  const cases: [string, Unit, number | undefined][] = [
    ["0", "1", 0],
    ["4096", "1", 4096],
    ["4096", "k", 4096 * 1024],
    ["100", "s", 51_200],
    ["1024M", "k", 1024 ** 3],
    ["512k", "1", 524_288],
    ["512K", "1", 524_288],
    ["10m", "s", 10 * 1024 ** 2],
    ["2097152s", "s", 1024 ** 3],
    ["1g", "1", 1024 ** 3],
    ["1s", "k", 512],
    ["10T", "s", undefined],
    ["", "1", undefined],
    ["k", "1", undefined],
    ["-1", "1", undefined],
    ["1.5", "1", undefined],
    ["1kk", "1", undefined],
    ["9".repeat(21), "1", undefined],
  ];
  for (const [text, unit, expected] of cases) {
    assert.equal(parseNumber(text, unit), expected, `${text} ${unit}`);
  }
});

Deno.test("parseInteger() takes plain digits between bounds", () => {
  assert.equal(parseInteger("32", 0, 32), 32);
  assert.equal(parseInteger("33", 0, 32), undefined);
  assert.equal(parseInteger("0", 1, 32), undefined);
  assert.equal(parseInteger("1k", 0, 4096), undefined);
  assert.equal(parseInteger("99999999999", 0, 1e12), undefined);
});
