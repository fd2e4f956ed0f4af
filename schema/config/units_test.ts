import assert from "node:assert/strict";
import {
  hostPortText,
  isLoopback,
  parseDuration,
  parseHostPort,
  parseRate,
  parseReserve,
  parseSize,
  parseTimeOfDay,
  reserveBytes,
} from "./units.ts";

Deno.test("parseSize() reads what people write", () => {
  const table: [string, number | undefined][] = [
    ["0", 0],
    ["1048576", 1_048_576],
    ["64KB", 65_536],
    ["64 kib", 65_536],
    ["1.5 GB", 1.5 * 1024 ** 3],
    ["2T", 2 * 1024 ** 4],
    ["-1", undefined],
    ["1 XB", undefined],
    ["", undefined],
    ["1e9", undefined],
    ["99999999999 TB", undefined],
  ];
  for (const [text, bytes] of table) assert.equal(parseSize(text), bytes, text);
});

Deno.test("parseDuration() takes a bare number as seconds", () => {
  assert.equal(parseDuration("30"), 30_000);
  assert.equal(parseDuration("500ms"), 500);
  assert.equal(parseDuration("2h"), 7_200_000);
  assert.equal(parseDuration("7d"), 604_800_000);
  assert.equal(parseDuration("soon"), undefined);
});

Deno.test("parseRate() allows /s", () => {
  assert.equal(parseRate("20MB/s"), 20 * 1024 ** 2);
  assert.equal(parseRate("20MB"), 20 * 1024 ** 2);
});

Deno.test("parseReserve() reads bytes and percent; reserveBytes() applies it", () => {
  assert.deepEqual(parseReserve("20%"), { kind: "percent", percent: 20 });
  assert.deepEqual(parseReserve("4GB"), {
    kind: "bytes",
    bytes: 4 * 1024 ** 3,
  });
  assert.equal(parseReserve("100%"), undefined);
  assert.equal(reserveBytes({ kind: "percent", percent: 20 }, 1001), 200);
  assert.equal(reserveBytes({ kind: "bytes", bytes: 7 }, 1001), 7);
});

Deno.test("parseTimeOfDay() reads minutes after midnight", () => {
  assert.equal(parseTimeOfDay("00:00"), 0);
  assert.equal(parseTimeOfDay("23:59"), 1439);
  assert.equal(parseTimeOfDay("24:00"), undefined);
  assert.equal(parseTimeOfDay("12:60"), undefined);
});

Deno.test("parseHostPort() reads names, IPv4 and IPv6, and writes them back", () => {
  for (const text of ["127.0.0.1:8080", "[::1]:80", "host.example:1"]) {
    const address = parseHostPort(text);
    assert(address !== undefined, text);
    assert.equal(hostPortText(address), text);
  }
  assert.deepEqual(parseHostPort(":80"), { hostname: "0.0.0.0", port: 80 });
  for (const text of ["8080", "host", "a:b", "a:70000", "::1:80", "a b:1"]) {
    assert.equal(parseHostPort(text), undefined, text);
  }
});

Deno.test("isLoopback() knows this host only", () => {
  for (const name of ["127.0.0.1", "127.9.9.9", "::1", "LocalHost"]) {
    assert(isLoopback(name), name);
  }
  for (const name of ["0.0.0.0", "10.0.0.1", "127.evil.example", "::"]) {
    assert(!isLoopback(name), name);
  }
});
