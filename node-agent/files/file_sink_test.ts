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

Deno.test("FileSink writes in the event loop while it may, short pieces only", () =>
  withFile(async (path, desk) => {
    let isQuick = true;
    let count = 0;
    const here = (work: () => void) => {
      if (!isQuick) return false;
      count++;
      work();
      return true;
    };
    const file = await desk.openNew(path, here);
    assert.equal(count, 1, "the file was made there");
    file.write = () => Promise.reject(new Error("by a thread"));
    const grow = () => {};
    const options = { desk, file, relay: undefined, mayFree: true, here, grow };
    const sink = new FileSink(options);
    const first = piece(1, 256 * 1024);
    await sink.take(first);
    assert.equal((await Deno.stat(path)).size, 256 * 1024);
    assert.deepEqual([count, first.length, desk.heldBytes], [2, 0, 0]);

    await sink.take(piece(2, 256 * 1024 + 1));
    await assert.rejects(sink.end(), { message: "write" });
    isQuick = false;
    const slow = new FileSink(options);
    await slow.take(piece(3, 10));
    await assert.rejects(slow.end(), { message: "write" });
    assert.equal(count, 2, "neither of these was written there");
    sink.close();
  }));

Deno.test("FileSink writes nothing in the event loop before what came first", () =>
  withFile(async (path, desk) => {
    let isQuick = false;
    const here = (work: () => void) => {
      if (isQuick) work();
      return isQuick;
    };
    const file = await desk.openNew(path, here);
    const turn = Promise.withResolvers<void>();
    file.write = async (bytes) => {
      await turn.promise;
      return file.writeSync(bytes);
    };
    const grow = () => {};
    const options = { desk, file, relay: undefined, mayFree: true, here, grow };
    const sink = new FileSink(options);
    await sink.take(piece(1, 10)); // a thread has it
    isQuick = true;
    await sink.take(piece(2, 10));
    turn.resolve();
    await sink.end();
    await sink.take(piece(3, 10));
    file.close();
    const wanted = [1, 2, 3].flatMap((index) => [...piece(index, 10)]);
    assert.deepEqual([...await Deno.readFile(path)], wanted);
  }));

Deno.test("FileSink says when a write in the event loop fails, and holds nothing", () =>
  withFile(async (path, desk) => {
    await Deno.writeFile(path, new Uint8Array(0));
    const file = await Deno.open(path, { read: true }); // not for writing
    const here = (work: () => void) => (work(), true);
    await assert.rejects(desk.openNew(path, here), DiskError, "it exists");
    const grow = () => {};
    const options = { desk, file, relay: undefined, mayFree: true, here, grow };
    const sink = new FileSink(options);
    await assert.rejects(sink.take(piece(1, 1000)), DiskError);
    sink.close();
    assert.equal(desk.heldBytes, 0);
  }));

Deno.test("FileSink flushes what it wrote in the event loop by a thread", () =>
  withFile(async (path, desk) => {
    const here = (work: () => void) => (work(), true);
    const file = await desk.openNew(path, here);
    let flushes = 0;
    file.syncData = () => Promise.resolve(void flushes++);
    const options = { desk, file, relay: undefined, mayFree: false, here };
    const grow = () => {};
    const sink = new FileSink({ ...options, grow, flushEveryBytes: 1000 });
    for (let i = 0; i < 10; i++) {
      await sink.take(piece(i, 400));
      await sink.end();
    }
    assert.equal(flushes, 3, "after 1,200, 2,400 and 3,600 bytes");

    file.syncData = () => Promise.reject(new Error("no flush"));
    await sink.take(piece(0, 600));
    await assert.rejects(sink.end(), DiskError);
    sink.close();
  }));
