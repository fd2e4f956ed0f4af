/** Every rule of NBD replies, on raw sockets. */

import assert from "node:assert/strict";
import { BlockErrno } from "../../node-agent/block_ports.ts";
import { eventually } from "../helpers/eventually.ts";
import { type Chunk, RawNbd, requestBytes, view } from "../helpers/nbd_raw.ts";
import { type NbdRig, RIG_BYTES, startRig } from "../helpers/nbd_rig.ts";

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const TRIM = 4;
const BLOCK_STATUS = 7;
const DF = 4;
const REQ_ONE = 8;
const EIO = 5;
const EINVAL = 22;
const Kind = {
  NONE: 0,
  OFFSET_DATA: 1,
  BLOCK_STATUS: 5,
  ERROR: 0x8001,
  ERROR_OFFSET: 0x8002,
};
const LONG = 1_500_000;

async function enter(rig: NbdRig, structured: boolean): Promise<RawNbd> {
  const client = await RawNbd.greet(rig.addr);
  if (structured) {
    await client.agreeStructured();
    await client.chooseAllocation("disk");
  }
  await client.go("disk");
  return client;
}

function fillDevice(rig: NbdRig): void {
  const { bytes } = rig.device;
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 7 + (i >> 12)) & 0xff;
}

/** All chunks of the next reply. */
async function chunks(client: RawNbd): Promise<Chunk[]> {
  const all: Chunk[] = [];
  for (;;) {
    const chunk = await client.chunk();
    all.push(chunk);
    if (chunk.isDone) return all;
  }
}

Deno.test("without structured replies everything is simple", async () => {
  await using rig = startRig();
  using client = await enter(rig, false);
  assert.equal(
    await client.errorOf({ type: READ, offset: 1e9, length: 1 }),
    EINVAL,
  );
  assert.equal(
    await client.errorOf({ type: WRITE, data: new Uint8Array(4) }),
    0,
  );
  assert.equal(await client.errorOf({ type: FLUSH }), 0);
  assert.deepEqual(await client.read(0, 4), new Uint8Array(4));
  assert.equal(await client.errorOf({ type: BLOCK_STATUS, length: 4 }), EINVAL);
});

Deno.test("structured: READ is one data chunk with DONE, errors too are chunks", async () => {
  await using rig = startRig();
  fillDevice(rig);
  using client = await enter(rig, true);
  const cookie = 0x8899aabbccddeeffn;
  await client.request({ type: READ, cookie, offset: 1000, length: 5000 });
  const chunk = await client.chunk();
  assert.equal(chunk.type, Kind.OFFSET_DATA);
  assert.equal(chunk.isDone, true);
  assert.equal(chunk.cookie, cookie);
  assert.equal(view(chunk.payload).getBigUint64(0), 1000n);
  assert.deepEqual(
    chunk.payload.subarray(8),
    rig.device.bytes.subarray(1000, 6000),
  );
  await client.request({ type: READ, cookie, offset: 2 ** 40, length: 1 });
  const refused = await client.chunk();
  assert.equal(refused.type, Kind.ERROR);
  assert.equal(refused.isDone, true);
  assert.equal(refused.cookie, cookie);
  assert.equal(view(refused.payload).getUint32(0), EINVAL);
  assert.equal(view(refused.payload).getUint16(4), refused.payload.length - 6);
  await client.request({ type: READ, cookie, length: 0 });
  assert.equal((await client.chunk()).type, Kind.NONE);
  assert.equal(await client.errorOf({ type: TRIM, length: 512 }), 0);
});

Deno.test("structured: a failing READ is an error chunk", async () => {
  await using rig = startRig();
  rig.device.rule = () => BlockErrno.EIO;
  using client = await enter(rig, true);
  for (const length of [512, LONG]) {
    await client.request({ type: READ, length });
    const [chunk, ...more] = await chunks(client);
    assert.equal(chunk?.type, Kind.ERROR);
    assert.equal(more.length, 0);
  }
});

Deno.test("simple: a READ that fails before its first byte is an error", async () => {
  await using rig = startRig();
  rig.device.rule = () => BlockErrno.EIO;
  using client = await enter(rig, false);
  for (const length of [512, LONG]) {
    assert.equal(await client.errorOf({ type: READ, length }), EIO);
  }
});

Deno.test("simple: a READ that fails late ends the connection", async () => {
  await using rig = startRig();
  rig.device.rule = ({ offset }) => offset > 500_000 ? BlockErrno.EIO : 0;
  using client = await enter(rig, false);
  await client.request({ type: READ, length: LONG });
  assert.equal((await client.simple()).error, 0);
  await assert.rejects(client.take(LONG), /closed/);
});

Deno.test("structured: long reads cover the request exactly", async () => {
  await using rig = startRig();
  fillDevice(rig);
  using client = await enter(rig, true);
  for (const offset of [0, 12_345]) {
    await client.request({ type: READ, offset, length: LONG });
    const found = new Uint8Array(LONG);
    let next = offset;
    for (const { type, payload } of await chunks(client)) {
      assert.equal(type, Kind.OFFSET_DATA);
      assert.ok(payload.length > 8);
      assert.equal(view(payload).getBigUint64(0), BigInt(next));
      found.set(payload.subarray(8), next - offset);
      next += payload.length - 8;
    }
    assert.equal(next, offset + LONG);
    const there = rig.device.bytes.subarray(offset, offset + LONG);
    assert.deepEqual(found, there);
  }
});

Deno.test("structured: DF gives one content chunk, however long", async () => {
  await using rig = startRig();
  fillDevice(rig);
  using client = await enter(rig, true);
  for (const length of [512, LONG]) {
    await client.request({ type: READ, flags: DF, length });
    const [chunk, ...more] = await chunks(client);
    assert.equal(chunk?.type, Kind.OFFSET_DATA);
    assert.ok(more.every(({ type }) => type === Kind.NONE));
    assert.deepEqual(
      chunk.payload.subarray(8),
      rig.device.bytes.subarray(0, length),
    );
  }
});

Deno.test("structured: a READ that fails late says where", async () => {
  await using rig = startRig();
  fillDevice(rig);
  rig.device.rule = ({ offset }) => offset > 500_000 ? BlockErrno.EIO : 0;
  using client = await enter(rig, true);
  await client.request({ type: READ, length: LONG });
  const found = await chunks(client);
  const error = found.at(-1);
  assert.equal(error?.type, Kind.ERROR_OFFSET);
  assert.equal(view(error.payload).getUint32(0), EIO);
  const at = Number(view(error.payload).getBigUint64(6));
  const told = found.slice(0, -1)
    .reduce((sum, { payload }) => sum + payload.length - 8, 0);
  assert.equal(at, told);
  assert.ok(at > 500_000);
  // The connection is as good as before.
  await client.request({ type: READ, length: 4 });
  assert.equal((await client.chunk()).type, Kind.OFFSET_DATA);
});

Deno.test("structured: a DF read that fails late is filled with zeroes", async () => {
  await using rig = startRig();
  fillDevice(rig);
  rig.device.rule = ({ offset }) => offset > 500_000 ? BlockErrno.EIO : 0;
  using client = await enter(rig, true);
  await client.request({ type: READ, flags: DF, length: LONG });
  const [data, error, ...more] = await chunks(client);
  assert.equal(data?.payload.length, LONG + 8);
  assert.equal(error?.type, Kind.ERROR_OFFSET);
  assert.equal(more.length, 0);
  const at = Number(view(error.payload).getBigUint64(6));
  const content = data.payload.subarray(8);
  const { bytes } = rig.device;
  assert.deepEqual(content.subarray(0, at), bytes.subarray(0, at));
  assert.ok(content.subarray(at).every((byte) => byte === 0));
});

Deno.test("nobody waits for the reply of another request", async () => {
  await using rig = startRig();
  fillDevice(rig);
  using client = await enter(rig, false);
  rig.device.rule = () => "later";
  const offsets = [0, 4096, 8192, 12_288, 131_072, 200_000];
  await client.send(
    ...offsets.map((offset, i) =>
      requestBytes({ type: READ, offset, length: 4096, cookie: BigInt(i) })
    ),
    requestBytes({
      type: WRITE,
      offset: 1e6,
      data: new Uint8Array(512),
      cookie: 99n,
    }),
  );
  const { device } = rig;
  await eventually(() => device.waiting.length === 7, { what: "7 calls" });
  device.rule = () => 0;
  // A later request overtakes them all.
  await client.request({ type: READ, offset: 50, length: 10, cookie: 50n });
  assert.equal((await client.simple()).cookie, 50n);
  assert.deepEqual(await client.take(10), device.bytes.slice(50, 60));
  device.answerAll();
  const seen: bigint[] = [];
  for (let i = 0; i < 7; i++) {
    const { error, cookie } = await client.simple();
    assert.equal(error, 0);
    seen.push(cookie);
    const offset = offsets[Number(cookie)];
    if (offset === undefined) continue; // the WRITE
    const there = device.bytes.slice(offset, offset + 4096);
    assert.deepEqual(await client.take(4096), there);
  }
  // They were answered newest first.
  const reads = seen.filter((cookie) => cookie !== 99n);
  assert.deepEqual(reads, [5n, 4n, 3n, 2n, 1n, 0n]);
  assert.equal(seen.length, 7);
});

Deno.test("failed reads leave no gap among the others", async () => {
  await using rig = startRig();
  fillDevice(rig);
  using client = await enter(rig, false);
  rig.device.rule = ({ offset }) =>
    (offset / 512) % 3 === 0 ? BlockErrno.EIO : 0;
  const count = 300;
  await client.send(
    ...Array.from({ length: count }, (_, i) =>
      requestBytes({
        type: READ,
        offset: i * 512,
        length: 512,
        cookie: BigInt(i),
      })),
  );
  for (let i = 0; i < count; i++) {
    const reply = await client.simple();
    assert.equal(reply.cookie, BigInt(i));
    assert.equal(reply.error, i % 3 === 0 ? EIO : 0);
    if (reply.error !== 0) continue;
    const there = rig.device.bytes.slice(i * 512, i * 512 + 512);
    assert.deepEqual(await client.take(512), there);
  }
});

Deno.test("nothing is sent between the pieces of a long simple reply", async () => {
  await using rig = startRig();
  fillDevice(rig);
  using client = await enter(rig, false);
  const { device } = rig;
  const length = 3_000_000;
  // Only the first piece of the long read is answered at once.
  device.rule = ({ kind, offset }) =>
    kind === "read" && offset === 0 ? 0 : "later";
  const data = new Uint8Array(512);
  await client.send(
    requestBytes({ type: READ, offset: 500_000, length: 4096, cookie: 1n }),
    ...[2n, 3n, 4n].map((cookie) =>
      requestBytes({ type: WRITE, offset: RIG_BYTES - 512, data, cookie })
    ),
    requestBytes({ type: READ, length, cookie: 1000n }),
  );
  const first = await client.simple();
  assert.deepEqual(first, { error: 0, cookie: 1000n });
  const start = await client.take(1000);
  // Everything that came before it is answered in the middle of it.
  device.answerAll(({ kind, lengthBytes }) =>
    kind === "write" || lengthBytes === 4096 ? 0 : "later"
  );
  const answering = eventually(() => {
    device.answerAll();
    device.rule = () => 0;
    return device.waiting.length === 0;
  }, { what: "all pieces", pauseMs: 1 });
  const rest = await client.take(length - 1000);
  await answering;
  assert.deepEqual(start, device.bytes.slice(0, 1000));
  assert.deepEqual(rest, device.bytes.slice(1000, length));
  const seen = new Set<bigint>();
  for (let i = 0; i < 4; i++) {
    const { cookie } = await client.simple();
    seen.add(cookie);
    if (cookie !== 1n) continue;
    const there = device.bytes.slice(500_000, 504_096);
    assert.deepEqual(await client.take(4096), there);
  }
  assert.deepEqual(seen, new Set([1n, 2n, 3n, 4n]));
});

Deno.test("failed long reads give their buffers back", async () => {
  await using rig = startRig({ limits: { replyBuffersMax: 6 } });
  using client = await enter(rig, true);
  for (let round = 0; round < 10; round++) {
    rig.device.rule = () => "later";
    await client.request({ type: READ, length: LONG });
    const what = "a window of pieces";
    await eventually(() => rig.device.waiting.length === 4, { what });
    rig.device.answerAll(({ offset }) =>
      offset === 0 ? BlockErrno.EIO : "later"
    );
    // The device still holds the other pieces: no reply before it lets go.
    assert.equal(rig.exports.openCount, 1);
    rig.device.answerAll();
    const [chunk] = await chunks(client);
    assert.equal(chunk?.type, Kind.ERROR);
  }
  rig.device.rule = () => 0;
  await client.request({ type: READ, length: LONG });
  assert.equal((await chunks(client)).at(-1)?.isDone, true);
});

Deno.test("BLOCK_STATUS: one chunk for the context, one extent of data", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.agreeStructured();
  const id = await client.chooseAllocation("disk");
  await client.go("disk");
  for (const flags of [0, REQ_ONE, REQ_ONE | 1]) {
    for (
      const [offset, length] of [[0, RIG_BYTES], [4096, 1], [77, 5000]] as const
    ) {
      await client.request({
        type: BLOCK_STATUS,
        flags,
        offset,
        length,
        cookie: 3n,
      });
      const chunk = await client.chunk();
      assert.equal(chunk.type, Kind.BLOCK_STATUS);
      assert.equal(chunk.isDone, true);
      assert.equal(chunk.cookie, 3n);
      assert.equal(chunk.payload.length, 12);
      const fields = view(chunk.payload);
      assert.equal(fields.getUint32(0), id);
      assert.equal(fields.getUint32(4), length);
      assert.equal(fields.getUint32(8), 0);
    }
  }
  const wrong = [[0, 0], [RIG_BYTES, 1], [0, RIG_BYTES + 1]] as const;
  for (const [offset, length] of wrong) {
    await client.request({ type: BLOCK_STATUS, offset, length });
    const chunk = await client.chunk();
    assert.equal(chunk.type, Kind.ERROR);
    assert.equal(view(chunk.payload).getUint32(0), EINVAL);
  }
});
