/** WRITEs in pieces, and WRITEs of several connections, on raw sockets. */

import assert from "node:assert/strict";
import { BlockErrno } from "../../node-agent/block_ports.ts";
import { eventually } from "../helpers/eventually.ts";
import { requestBytes } from "../helpers/nbd_raw.ts";
import { enter, startRig } from "../helpers/nbd_rig.ts";

const WRITE = 1;
const FUA = 1;
const EIO = 5;

const sector = (byte: number, length = 512) =>
  new Uint8Array(length).fill(byte);

Deno.test("a long WRITE comes in pieces and is answered once, after all", async () => {
  await using rig = startRig();
  rig.device.rule = () => "later";
  using client = await enter(rig);
  const data = new Uint8Array(1_000_000).map((_, i) => i % 251);
  const sent = client.request({ type: WRITE, offset: 1000, data, flags: FUA });
  const handed = () =>
    rig.device.waiting.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  await eventually(() => handed() === data.length, { what: "all pieces" });
  await sent;
  const { waiting } = rig.device;
  assert.ok(waiting.length >= 8 && waiting.length < 40, `${waiting.length}`);
  let offset = 1000;
  for (const piece of waiting) {
    assert.equal(piece.offset, offset);
    assert.equal(piece.fua, false);
    assert.ok(piece.lengthBytes <= 128 * 1024);
    offset += piece.lengthBytes;
    if (piece !== waiting.at(-1)) assert.equal(offset % 4096, 0);
  }
  assert.equal(offset, 1_001_000);
  rig.device.rule = () => 0;
  assert.equal((await client.read(0, 1)).length, 1); // overtakes the WRITE
  rig.device.rule = () => "later";
  rig.device.answerAll();
  // FUA is one flush behind all pieces.
  const what = "the flush";
  await eventually(() => rig.device.waiting.length === 1, { what });
  assert.deepEqual(rig.device.waiting.map(({ kind }) => kind), ["flush"]);
  assert.ok(rig.device.isSettled);
  rig.device.answerAll();
  assert.equal((await client.simple()).error, 0);
  assert.deepEqual(rig.device.bytes.subarray(1000, 1_001_000), data);
});

Deno.test("a long WRITE with FUA fails with its flush", async () => {
  await using rig = startRig();
  rig.device.rule = ({ kind }) => kind === "flush" ? BlockErrno.EIO : 0;
  using client = await enter(rig);
  const data = sector(6, 300_000);
  assert.equal(await client.errorOf({ type: WRITE, data, flags: FUA }), EIO);
});

Deno.test("after a failed piece the rest of a WRITE is dropped", async () => {
  await using rig = startRig();
  rig.device.rule = ({ offset }) => offset >= 131_072 ? BlockErrno.EIO : 0;
  using client = await enter(rig);
  const data = sector(6, 3_000_000);
  assert.equal(await client.errorOf({ type: WRITE, data }), EIO);
  const failed = rig.device.calls.filter(({ offset }) => offset >= 131_072);
  assert.equal(failed.length, 1);
  const at = failed[0]?.offset ?? 0;
  const behind = rig.device.bytes.subarray(at, 3_000_000);
  assert.ok(behind.every((byte) => byte === 0));
  assert.equal((await client.read(0, 1)).length, 1);
});

Deno.test("writes of the same block never mix", async () => {
  await using rig = startRig();
  const clients = await Promise.all([0, 1, 2, 3].map(() => enter(rig)));
  try {
    await Promise.all(clients.map(async (client, c) => {
      const requests = [0, 1, 2, 3].map((i) =>
        requestBytes({ type: WRITE, data: sector(1 + c * 4 + i, 4096) })
      );
      await client.send(...requests);
      for (const _ of requests) assert.equal((await client.simple()).error, 0);
    }));
    const found = rig.device.bytes.subarray(0, 4096);
    assert.deepEqual(found, sector(found[0] ?? 0, 4096));
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
});

Deno.test("what one connection wrote, another reads", async () => {
  await using rig = startRig();
  using writer = await enter(rig);
  using reader = await enter(rig);
  for (let i = 1; i < 50; i++) {
    await writer.errorOf({ type: WRITE, data: sector(i) });
    assert.deepEqual(await reader.read(0, 512), sector(i));
  }
});
