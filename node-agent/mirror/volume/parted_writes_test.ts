import assert from "node:assert/strict";
import { partedFileOf, PartedWrites } from "./parted_writes.ts";

Deno.test("PartedWrites tells the first and the last write, also to the next process", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-parted-" });
  try {
    let nowMs = 1000;
    const file = partedFileOf(dir, "../mysql", 0);
    assert.equal(file, `${dir}/..%2Fmysql-0.parted`);
    const first = new PartedWrites(file, () => nowMs);
    assert.equal(first.span, undefined);
    first.wrote();
    nowMs = 2000;
    first.wrote();
    assert.deepEqual(first.span, { fromMs: 1000, untilMs: 2000 });
    // A killed process knows the last write to a minute.
    const killed = new PartedWrites(file, () => nowMs);
    assert.deepEqual(killed.span, { fromMs: 1000, untilMs: 1000 });
    first.keep();
    const second = new PartedWrites(file, () => nowMs);
    assert.deepEqual(second.span, { fromMs: 1000, untilMs: 2000 });
    nowMs = 90_000;
    second.wrote();
    assert.deepEqual(new PartedWrites(file).span, {
      fromMs: 1000,
      untilMs: 90_000,
    });
    second.joined();
    assert.equal(second.span, undefined);
    assert.equal(new PartedWrites(file).span, undefined);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("PartedWrites does without its file", () => {
  const writes = new PartedWrites("/proc/nowhere/x.parted", () => 7);
  writes.wrote();
  writes.keep();
  assert.deepEqual(writes.span, { fromMs: 7, untilMs: 7 });
  writes.joined();
  assert.equal(writes.span, undefined);
});
