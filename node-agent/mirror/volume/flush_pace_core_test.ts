import assert from "node:assert/strict";
import { FlushPace } from "./flush_pace_core.ts";

const WRITE_BYTES = 4096;
const MUCH_BYTES = 1024 * 1024;

/** A flush as the pace wants it; whether it was in line. */
function flush(pace: FlushPace, ms: number, bytes = WRITE_BYTES): boolean {
  const wasInline = pace.isInline(bytes);
  pace.took({ ms, bytes, wasInline });
  return wasInline;
}

/** Flushes beside the loop until one is in line; each takes so long, in ms. */
function untilInline(pace: FlushPace, ms: number): number {
  for (let count = 0; count < 1_000_000; count++) {
    if (flush(pace, ms)) return count;
  }
  return Infinity;
}

Deno.test("a disk is believed to be quick after many quick flushes", () => {
  assert.equal(untilInline(new FlushPace(), 0.05), 64);
});

Deno.test("a disk with any slow flush among them is not", () => {
  const pace = new FlushPace();
  for (let count = 0; count < 10_000; count++) {
    assert.ok(!flush(pace, count % 50 === 0 ? 2 : 0.1));
  }
});

Deno.test("a flush in line that is slow is the last, for longer each time", () => {
  const pace = new FlushPace();
  const needed: number[] = [];
  for (let count = 0; count < 12; count++) {
    needed.push(untilInline(pace, 0.05));
    assert.ok(flush(pace, 4.1));
  }
  assert.deepEqual(needed.slice(0, 4), [64, 128, 256, 512]);
  assert.deepEqual(needed.slice(-2), [65_536, 65_536]);
});

Deno.test("a moment without the processor is forgiven, if it is rare", () => {
  const pace = new FlushPace();
  untilInline(pace, 0.05);
  for (let count = 0; count < 1_000; count++) {
    assert.ok(flush(pace, count % 100 === 0 ? 4 : 0.002), `${count}`);
  }
  assert.ok(flush(pace, 4));
  assert.ok(flush(pace, 4));
  assert.ok(!flush(pace, 0.002), "two of them, one behind the other, are not");
});

Deno.test("a disk that takes too long on the average is not flushed in line", () => {
  const pace = new FlushPace();
  untilInline(pace, 0.05);
  let count = 0;
  while (flush(pace, 0.1)) count++;
  assert.ok(count >= 64 && count <= 100, `${count}`);
});

Deno.test("flushes of nothing tell nothing", () => {
  const pace = new FlushPace();
  for (let count = 0; count < 10_000; count++) flush(pace, 0.01, 0);
  assert.ok(!flush(pace, 10));
});

Deno.test("much is flushed beside the loop, and judges nobody", () => {
  const pace = new FlushPace();
  untilInline(pace, 0.05);
  assert.ok(!flush(pace, 100, MUCH_BYTES));
  assert.ok(flush(pace, 0.01));
});
