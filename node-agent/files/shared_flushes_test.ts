import assert from "node:assert/strict";
import { SharedFlushes } from "./shared_flushes.ts";

/** Flushes that end when they are told to. */
class Disk {
  readonly begun: {
    path: string;
    end(): void;
    fail(error: Error): void;
  }[] = [];
  readonly flushes = new SharedFlushes((path) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.begun.push({ path, end: () => resolve(), fail: reject });
    return promise;
  });
}

Deno.test("who asks during a flush shares the next one", async () => {
  const { flushes, begun } = new Disk();
  const done: string[] = [];
  const ask = (name: string) =>
    flushes.flush("/a").then(() => void done.push(name));
  const first = ask("first");
  const later = [ask("second"), ask("third")];
  assert.equal(begun.length, 1, "the others wait");
  begun[0]?.end();
  await first;
  await Promise.resolve();
  assert.deepEqual(done, ["first"]);
  assert.equal(begun.length, 2);
  const fourth = ask("fourth"); // this one has begun before it
  begun[1]?.end();
  await Promise.all(later);
  assert.deepEqual(done, ["first", "second", "third"]);
  begun[2]?.end();
  await fourth;
  assert.equal(begun.length, 3);
});

Deno.test("folders do not wait for one another", async () => {
  const { flushes, begun } = new Disk();
  const first = flushes.flush("/a");
  const other = flushes.flush("/b");
  assert.deepEqual(begun.map(({ path }) => path), ["/a", "/b"]);
  const second = flushes.flush("/a");
  begun[1]?.end();
  await other;
  begun[0]?.end();
  await first;
  begun[2]?.end();
  await second;
});

Deno.test("a flush that failed is not made again for those who wait", async () => {
  const { flushes, begun } = new Disk();
  const first = flushes.flush("/a");
  const waiting = [flushes.flush("/a"), flushes.flush("/a")];
  begun[0]?.fail(new Error("EIO"));
  await assert.rejects(first, /EIO/);
  for (const one of waiting) await assert.rejects(one, /EIO/);
  assert.equal(begun.length, 1);
  const later = flushes.flush("/a");
  begun[1]?.end();
  await later;
});
