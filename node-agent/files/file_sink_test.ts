import assert from "node:assert/strict";
import { eventually } from "../../tests/helpers/eventually.ts";
import { DiskError, FileSink, SinkDesk } from "./file_sink.ts";

async function withFile(
  work: (path: string, desk: SinkDesk) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-sink-" });
  try {
    await work(`${dir}/file`, new SinkDesk());
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function piece(index: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sizeBytes).fill(index);
}

for (const mayFree of [true, false]) {
  Deno.test(`FileSink writes every piece in order, freeing: ${mayFree}`, () =>
    withFile(async (path, desk) => {
      const file = await desk.openNew(path);
      let grown = 0;
      const grow = (bytes: number) => void (grown = bytes);
      const sink = new FileSink({
        desk,
        file,
        relay: undefined,
        mayFree,
        grow,
      });
      const wanted: Uint8Array[] = [];
      const given: Uint8Array[] = [];
      for (let i = 0; i < 40; i++) {
        const chunk = piece(i, 1 + i * 3000);
        wanted.push(chunk.slice());
        given.push(chunk);
        await sink.take(chunk);
      }
      await sink.end();
      file.close();
      const whole = new Uint8Array(await new Blob(wanted.map(asPart)).bytes());
      assert.deepEqual(await Deno.readFile(path), whole);
      assert.equal(sink.facts().sizeBytes, whole.length);
      assert.equal(grown, whole.length);
      assert.equal(desk.heldBytes, 0);
      const isFreed = given.every(({ length }) => length === 0);
      assert.equal(isFreed, mayFree);
    }));
}

Deno.test("FileSink that fails holds nothing, and says so at the end", () =>
  withFile(async (path, desk) => {
    await Deno.writeFile(path, new Uint8Array(0));
    const file = await Deno.open(path, { read: true }); // not for writing
    const grow = () => {};
    const sink = new FileSink({
      desk,
      file,
      relay: undefined,
      mayFree: true,
      grow,
    });
    await sink.take(piece(1, 1000));
    await sink.take(piece(2, 1000));
    await assert.rejects(sink.end(), { message: "write" });
    sink.close();
    assert.equal(desk.heldBytes, 0);
  }));

Deno.test("FileSink frees what is relayed once the relay is done with it", () =>
  withFile(async (path, desk) => {
    const file = await desk.openNew(path);
    const isSent: (() => void)[] = [];
    const relay = {
      write: () => new Promise<void>((resolve) => isSent.push(resolve)),
      finish: () => Promise.resolve(),
      abort: () => {},
    };
    const grow = () => {};
    const sink = new FileSink({ desk, file, relay, mayFree: true, grow });
    const given = [piece(1, 1000), piece(2, 1000)];
    await sink.take(given[0] ?? piece(0, 0));
    const second = sink.take(given[1] ?? piece(0, 0));
    await eventually(async () => {
      const { size } = await Deno.stat(path);
      return size === 2000 && desk.heldBytes === 0;
    }, { what: "both pieces to be written" });
    assert.deepEqual(given.map(({ length }) => length), [1000, 1000]);
    isSent[0]?.();
    await second; // it waits for the piece before only
    assert.deepEqual(given.map(({ length }) => length), [0, 1000]);
    isSent[1]?.();
    await sink.end();
    file.close();
    assert.deepEqual(given.map(({ length }) => length), [0, 0]);
  }));

function asPart(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

Deno.test("FileSink flushes each time so many bytes were written", () =>
  withFile(async (path, desk) => {
    const file = await desk.openNew(path);
    let flushes = 0;
    file.syncData = () => Promise.resolve(void flushes++);
    const options = { desk, file, relay: undefined, mayFree: false };
    const grow = () => {};
    const sink = new FileSink({ ...options, grow, flushEveryBytes: 1000 });
    for (let i = 0; i < 10; i++) {
      await sink.take(piece(i, 400));
      await sink.end(); // each piece alone
    }
    assert.equal(flushes, 3, "after 1,200, 2,400 and 3,600 bytes");

    file.syncData = () => Promise.reject(new Error("no flush"));
    await sink.take(piece(0, 600));
    await assert.rejects(sink.end(), DiskError);
    sink.close();
  }));
