import assert from "node:assert/strict";
import { Patience } from "./patience.ts";

const LIMITS = { silentMs: 20_000, bytesPerSecondMin: 1024 };
/** A step shorter than the longest silence. */
const STEP_MS = 19_000;

/** A body whose pieces come a step after they are asked for, with its clock. */
function body(lengths: readonly number[]) {
  let nowMs = 0;
  const left = [...lengths];
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(to) {
      nowMs += STEP_MS;
      const length = left.shift();
      if (length === undefined) to.close();
      else to.enqueue(new Uint8Array(length));
    },
  }, { highWaterMark: 0 });
  const patience = new Patience(LIMITS, { monotonicMs: () => nowMs });
  return { stream: patience.incoming(stream), patience, left };
}

Deno.test("a peer that sends a byte now and then is given up", async () => {
  const { stream, patience, left } = body(Array(50).fill(1));
  await assert.rejects(new Response(stream).bytes(), {
    message: /Less than 1024 bytes per second/,
  });
  assert(patience.signal.aborted);
  assert.equal(left.length, 48, "at the second one");
});

Deno.test("a slow peer that is quick enough is heard to its end", async () => {
  const lengths = [20_000, 20_000, 20_000, 20_000];
  const { stream } = body(lengths);
  assert.equal((await new Response(stream).bytes()).length, 80_000);
});

Deno.test("a small file may come late", async () => {
  let isOpen = true;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(to) {
      if (isOpen) to.enqueue(new Uint8Array(10));
      else to.close();
      isOpen = false;
    },
  }, { highWaterMark: 0 });
  const times = [0, STEP_MS, STEP_MS, STEP_MS];
  const clock = { monotonicMs: () => times.shift() ?? STEP_MS };
  const found = new Patience(LIMITS, clock).incoming(stream);
  assert.equal((await new Response(found).bytes()).length, 10);
});
