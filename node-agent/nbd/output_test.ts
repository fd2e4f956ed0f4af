import assert from "node:assert/strict";
import fc from "fast-check";
import { Output, type Place, REPLY_DATA_BYTES } from "./output.ts";

/** A socket that takes a few bytes at a time. */
class Sink {
  readonly taken: number[] = [];
  constructor(readonly portion: number) {}
  async write(bytes: Uint8Array): Promise<number> {
    await Promise.resolve();
    const count = Math.min(bytes.length, this.portion);
    this.taken.push(...bytes.subarray(0, count));
    return count;
  }
}

const idle = async (output: Output) => {
  for (let i = 0; i < 100_000 && !output.isIdle; i++) await Promise.resolve();
  assert.ok(output.isIdle);
};

/** A reply of `length` bytes that are all `mark`, at least two of them. */
const fill = ({ buffer, from, to }: Place, mark: number) =>
  buffer.bytes.fill(mark, from, to);

Deno.test("Output sends every reply once and whole, in any interleaving", async () => {
  const step = fc.record({
    kind: fc.constantFrom("claim", "open", "finish", "cancel", "flush", "tick"),
    length: fc.oneof(fc.integer({ min: 2, max: 40 }), fc.constant(100_000)),
    which: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const sink = new Sink(70_000);
      const output = new Output(sink, 4, () => {});
      const open: { place: Place; mark: number; length: number }[] = [];
      const expected = new Map<number, number>();
      let mark = 0;
      for (const { kind, length, which } of steps) {
        if (kind === "claim" || kind === "open") {
          if (!output.hasRoom(length)) continue;
          mark++;
          if (kind === "claim") {
            fill(output.claim(length), mark);
            expected.set(mark, length);
          } else open.push({ place: output.open(length), mark, length });
        } else if (kind === "flush") output.flush();
        else if (kind === "tick") await Promise.resolve();
        else {
          const [chosen] = open.splice(which % (open.length || 1), 1);
          if (chosen === undefined) continue;
          if (kind === "cancel") output.cancel(chosen.place);
          else {
            fill(chosen.place, chosen.mark);
            expected.set(chosen.mark, chosen.length);
            output.finish(chosen.place);
          }
        }
      }
      for (const { place } of open) output.cancel(place);
      output.flush();
      await idle(output);
      const runs = new Map<number, number>();
      for (let at = 0; at < sink.taken.length;) {
        const byte = sink.taken[at] ?? 0;
        let to = at;
        while (sink.taken[to] === byte) to++;
        assert.ok(!runs.has(byte), "a reply was cut in two");
        runs.set(byte, to - at);
        at = to;
      }
      const sorted = (map: Map<number, number>) =>
        [...map].sort(([a], [b]) => a - b);
      assert.deepEqual(sorted(runs), sorted(expected));
      // Every buffer came back.
      for (let i = 0; i < 4; i++) assert.ok(output.hasRoom(REPLY_DATA_BYTES));
    }),
    { numRuns: 60 },
  );
});

Deno.test("Output holds everything else back while a stream runs", async () => {
  const sink = new Sink(1000);
  const output = new Output(sink, 4, () => {});
  fill(output.claim(3), 1);
  output.beginStream();
  fill(output.claim(3), 2);
  output.flush();
  for (const mark of [7, 8]) {
    const piece = output.openPiece(5);
    assert.ok(piece);
    fill(piece, mark);
    output.sendPiece(piece);
    fill(output.claim(2), 3);
    output.flush();
  }
  output.endStream();
  await idle(output);
  const text = sink.taken.join("");
  assert.equal(text, "111" + "77777" + "88888" + "222" + "3333");
});

Deno.test("Output has no room while the client takes nothing", () => {
  const stuck = { write: () => new Promise<number>(() => {}) };
  const output = new Output(stuck, 32, () => {});
  for (let i = 0; i < 2; i++) {
    assert.equal(output.hasRoom(100), true);
    output.finish(output.open(REPLY_DATA_BYTES));
    output.flush();
  }
  assert.equal(output.hasRoom(100), false);
  assert.equal(output.openPiece(100), undefined);
  assert.ok(output.stalledSinceMs !== undefined);
});

Deno.test("Output stops for good when the socket fails", async () => {
  const output = new Output(
    { write: () => Promise.reject(new Error("gone")) },
    4,
    () => {},
  );
  const place = output.open(10);
  fill(output.claim(3), 1);
  output.flush();
  await idle(output);
  assert.equal(output.isFailed, true);
  output.finish(place); // the device may still come back
  output.flush();
  assert.equal(output.isIdle, true);
});
