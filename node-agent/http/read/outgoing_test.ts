import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { Random } from "../../../tests/helpers/random.ts";
import { stored } from "../../../tests/helpers/stored_file.ts";
import type { ByteSpan } from "../../ports.ts";

const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
/** What the first clients may hold, and the answer that went beyond it. */
const HELD_BYTES_MAX = 66 * MIB;

/** A file, and clients that take its content when they are told to. */
async function setUp(sizeBytes: number) {
  const bytes = new Random(1).bytes(sizeBytes);
  const { door, path } = await stored("a.bin", bytes);
  const lengths: number[] = [];
  const { read } = door.files;
  door.files.read = (entry, span, ...rest: []) => {
    lengths.push(span?.lengthBytes ?? sizeBytes);
    return read.call(door.files, entry, span, ...rest);
  };
  const ask = async (span?: ByteSpan | string) => {
    const left = Promise.withResolvers<void>();
    const range = typeof span === "object"
      ? `bytes=${span.from}-${span.from + span.lengthBytes - 1}`
      : span;
    const headers: Record<string, string> = range ? { range } : {};
    const request = new Request(`http://node1.test${path}`, { headers });
    const caller = { address: () => "", left: () => left.promise };
    const response = await door.app.fetch(request, caller);
    return { response, leave: left.resolve };
  };
  return { bytes, lengths, ask };
}

Deno.test("the memory of many slow downloads is bounded", async () => {
  const { bytes, lengths, ask } = await setUp(MIB);
  const clients = await Promise.all(Array.from({ length: 500 }, () => ask()));
  const heldBytes = lengths.reduce((sum, length) => sum + length, 0);
  assert(heldBytes > 60 * MIB, "the first ones get all at once");
  assert(
    heldBytes <= HELD_BYTES_MAX + 500 * PIECE_BYTES,
    `${heldBytes / MIB} MiB were read for clients that take nothing`,
  );
  // Every one of them gets its file in the end.
  for (const { response } of [...clients.slice(0, 2), ...clients.slice(-2)]) {
    assert.equal(response.headers.get("content-length"), String(MIB));
    assert.deepEqual(await response.bytes(), bytes);
  }
});

Deno.test("content is read whole again once slow clients have gone", async () => {
  const { bytes, lengths, ask } = await setUp(3 * MIB);
  const clients = await Promise.all(Array.from({ length: 40 }, () => ask()));
  assert.equal(lengths.splice(0).at(-1), PIECE_BYTES);
  for (const { leave } of clients) leave();
  await new Promise(setImmediate);
  const { response } = await ask();
  assert.deepEqual(lengths.splice(0), [3 * MIB]);
  assert.deepEqual(await response.bytes(), bytes);
});

Deno.test("ranges are read in pieces, too, and short content as it is", async () => {
  const { bytes, lengths, ask } = await setUp(3 * MIB);
  await Promise.all(Array.from({ length: 40 }, () => ask()));
  lengths.length = 0;
  const one = { from: 1000, lengthBytes: MIB };
  const { response } = await ask(one);
  assert.equal(response.status, 206);
  const part = bytes.subarray(one.from, one.from + one.lengthBytes);
  assert.deepEqual(await response.bytes(), part);
  assert.equal(Math.max(...lengths.splice(0)), PIECE_BYTES);
  const several = await ask(`bytes=0-9,1000000-${2 * MIB}`);
  const text = await several.response.bytes();
  assert.equal(
    String(text.length),
    several.response.headers.get("content-length"),
  );
  assert.equal(Math.max(...lengths.splice(0)), PIECE_BYTES);
  const short = await ask({ from: 5, lengthBytes: PIECE_BYTES });
  assert.deepEqual(lengths, [PIECE_BYTES]);
  assert.deepEqual(
    await short.response.bytes(),
    bytes.subarray(5, 5 + PIECE_BYTES),
  );
});
