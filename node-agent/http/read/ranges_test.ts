import assert from "node:assert/strict";
import fc from "fast-check";
import { RANGES_MAX } from "@kedge/schema";
import { rangesOf } from "./ranges.ts";

const one = (from: number, lengthBytes: number) => ({
  kind: "spans",
  spans: [{ from, lengthBytes }],
});

Deno.test("rangesOf() reads the forms of RFC 9110", () => {
  assert.deepEqual(rangesOf("bytes=0-0", 10), one(0, 1));
  assert.deepEqual(rangesOf("bytes=0-", 10), one(0, 10));
  assert.deepEqual(rangesOf("bytes=3-5", 10), one(3, 3));
  assert.deepEqual(rangesOf("bytes=3-500", 10), one(3, 7));
  assert.deepEqual(rangesOf("bytes=-4", 10), one(6, 4));
  assert.deepEqual(rangesOf("bytes=-400", 10), one(0, 10));
  assert.deepEqual(rangesOf("BYTES = 1-1", 10), one(1, 1));
  assert.deepEqual(rangesOf("bytes=9-99999999999999999999", 10), one(9, 1));
});

Deno.test("rangesOf() ignores what it does not understand", () => {
  const odd = [
    null,
    "lines=0-1",
    "bytes",
    "bytes=",
    "bytes=,",
    "bytes=5-3",
    "bytes=a-b",
    "bytes=-",
    "bytes=0-1,x",
    "bytes=1=2",
    "bytes=+1-2",
    "bytes=0x0-1",
  ];
  for (const header of odd) {
    assert.deepEqual(rangesOf(header, 10), { kind: "whole" }, String(header));
  }
});

Deno.test("rangesOf() refuses ranges outside the file", () => {
  for (const header of ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99-"]) {
    assert.equal(rangesOf(header, 10).kind, "refused", header);
  }
  assert.equal(rangesOf("bytes=0-0", 0).kind, "refused");
  assert.equal(rangesOf("bytes=-5", 0).kind, "whole");
});

Deno.test("rangesOf() refuses too many ranges and too long headers", () => {
  const ranges = (count: number) =>
    `bytes=${
      Array.from({ length: count }, (_, i) => `${i * 1000}-${i * 1000}`)
    }`;
  assert.equal(rangesOf(ranges(RANGES_MAX), 1e6).kind, "spans");
  assert.equal(rangesOf(ranges(RANGES_MAX + 1), 1e6).kind, "refused");
  assert.equal(rangesOf(`bytes=0-${"9".repeat(5000)}`, 10).kind, "refused");
});

Deno.test("rangesOf() sends overlapping ranges once", () => {
  const header = `bytes=${Array.from({ length: 32 }, () => "0-")}`;
  assert.deepEqual(rangesOf(header, 1000), one(0, 1000));
  assert.deepEqual(rangesOf("bytes=500-,0-499", 1000), one(0, 1000));
  assert.deepEqual(rangesOf("bytes=900-909,0-9", 1000), {
    kind: "spans",
    spans: [{ from: 900, lengthBytes: 10 }, { from: 0, lengthBytes: 10 }],
  });
});

Deno.test("rangesOf() covers exactly the bytes that were asked for", () => {
  const size = 300;
  const spec = fc.tuple(fc.nat(400), fc.nat(400)).map(([a, b]) =>
    [Math.min(a, b), Math.max(a, b)] as const
  );
  fc.assert(
    fc.property(fc.array(spec, { minLength: 1, maxLength: 8 }), (list) => {
      const header = `bytes=${list.map(([a, b]) => `${a}-${b}`).join(", ")}`;
      const wanted = new Set<number>();
      for (const [a, b] of list) {
        for (let at = a; at <= b && at < size; at++) wanted.add(at);
      }
      const answer = rangesOf(header, size);
      if (answer.kind !== "spans") {
        assert.equal(answer.kind, "refused");
        assert.equal(wanted.size, 0);
        return;
      }
      const sent = new Set<number>();
      for (const { from, lengthBytes } of answer.spans) {
        assert(lengthBytes > 0 && from + lengthBytes <= size);
        for (let at = from; at < from + lengthBytes; at++) {
          assert(!sent.has(at), "a byte is sent twice");
          sent.add(at);
        }
      }
      for (const at of wanted) assert(sent.has(at));
      // Gaps that are cheaper to send than to name: never more than 80 bytes each.
      assert(sent.size <= wanted.size + 80 * (list.length - 1));
    }),
  );
});
