/** Every rule of NBD requests, on raw sockets. */

import assert from "node:assert/strict";
import { BlockErrno } from "../../node-agent/block_ports.ts";
import { eventually } from "../helpers/eventually.ts";
import { MemoryDevice } from "../helpers/nbd_memory_device.ts";
import { joined, requestBytes } from "../helpers/nbd_raw.ts";
import { enter, RIG_BYTES, startRig } from "../helpers/nbd_rig.ts";

const READ = 0;
const WRITE = 1;
const DISC = 2;
const FLUSH = 3;
const TRIM = 4;
const CACHE = 5;
const WRITE_ZEROES = 6;
const BLOCK_STATUS = 7;
const FUA = 1;
const NO_HOLE = 2;
const DF = 4;
const FAST_ZERO = 16;
const EPERM = 1;
const EIO = 5;
const EINVAL = 22;
const ENOSPC = 28;
const ENOTSUP = 95;

const sector = (byte: number, length = 512) =>
  new Uint8Array(length).fill(byte);

Deno.test("a wrong request magic ends the connection", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  await client.send(new Uint8Array(28).fill(0x25));
  assert.equal(await client.isClosedByServer(), true);
});

Deno.test("WRITE then READ; the cookie comes back whole", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  const cookie = 0xfedcba9876543210n;
  await client.request({ type: WRITE, cookie, offset: 1000, data: sector(7) });
  assert.deepEqual(await client.simple(), { error: 0, cookie });
  assert.deepEqual(
    await client.read(999, 514),
    joined([
      sector(0, 1),
      sector(7),
      sector(0, 1),
    ]),
  );
});

Deno.test("what is beyond the end is refused and changes nothing", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  const size = BigInt(RIG_BYTES);
  const places: [bigint, number][] = [
    [size, 1],
    [size - 1n, 2],
    [size + 1n, 0],
    [0n, RIG_BYTES + 1],
    [2n ** 53n, 512],
    [2n ** 53n + 1n, 512],
    [2n ** 63n, 512],
    [2n ** 64n - 1n, 1],
    [2n ** 64n - 512n, 512], // wraps to 0
    [2n ** 64n - 1n, 0],
    [2n ** 32n, 512],
  ];
  const commands = [
    [READ, EINVAL],
    [TRIM, EINVAL],
    [CACHE, EINVAL],
    [WRITE_ZEROES, ENOSPC],
  ] as const;
  for (const [offset, length] of places) {
    for (const [type, error] of commands) {
      const found = await client.errorOf({ type, offset, length });
      assert.equal(found, error, `${type} at ${offset}, ${length}`);
    }
    const data = sector(1, length);
    assert.equal(await client.errorOf({ type: WRITE, offset, data }), ENOSPC);
  }
  assert.deepEqual(rig.device.calls, []);
  assert.equal((await client.read(RIG_BYTES - 1, 1)).length, 1);
});

Deno.test("payloads over the maximum are dropped and refused", async () => {
  const device = new MemoryDevice(64 * 1024 * 1024);
  await using rig = startRig({ device });
  using client = await enter(rig);
  const length = 32 * 1024 * 1024 + 1;
  assert.equal(await client.errorOf({ type: READ, length }), EINVAL);
  const data = new Uint8Array(length).fill(9);
  assert.equal(await client.errorOf({ type: WRITE, data }), EINVAL);
  assert.deepEqual(device.calls, []);
  assert.deepEqual(await client.read(0, 4), sector(0, 4));
});

Deno.test("a read-only export refuses changes, and takes their payload", async () => {
  await using rig = startRig();
  using client = await enter(rig, "read-only");
  const data = sector(1, 200_000);
  assert.equal(await client.errorOf({ type: WRITE, data }), EPERM);
  assert.equal(await client.errorOf({ type: TRIM, length: 512 }), EPERM);
  assert.equal(await client.errorOf({ type: WRITE_ZEROES, length: 1 }), EPERM);
  assert.equal(await client.errorOf({ type: FLUSH }), 0);
  assert.deepEqual(await client.read(0, 4), sector(0, 4));
});

Deno.test("FUA is taken on every command; others only where they belong", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  const everywhere = [WRITE, TRIM, CACHE, WRITE_ZEROES];
  for (const type of everywhere) {
    const request = { type, flags: FUA, length: 0 };
    assert.equal(await client.errorOf(request), 0, `FUA on ${type}`);
  }
  assert.equal(await client.errorOf({ type: FLUSH, flags: FUA }), 0);
  assert.equal(await client.errorOf({ type: READ, flags: FUA }), 0);
  const misplaced: [number, number][] = [
    [READ, NO_HOLE],
    [READ, DF], // without structured replies
    [READ, FAST_ZERO],
    [WRITE, NO_HOLE],
    [WRITE, DF],
    [FLUSH, DF],
    [TRIM, FAST_ZERO],
    [CACHE, NO_HOLE],
    [WRITE_ZEROES, DF],
    [WRITE_ZEROES, 8],
    ...everywhere.map((type): [number, number] => [type, 32]),
    ...everywhere.map((type): [number, number] => [type, 0x8000]),
  ];
  for (const [type, flags] of misplaced) {
    const data = type === WRITE ? sector(3) : undefined;
    const request = { type, flags, ...(data && { data }) };
    assert.equal(await client.errorOf(request), EINVAL, `${flags} on ${type}`);
  }
  assert.deepEqual(await client.read(0, 8), sector(0, 8));
});

Deno.test("FUA reaches the device on WRITE, TRIM and WRITE_ZEROES", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  for (const flags of [0, FUA]) {
    await client.errorOf({ type: WRITE, flags, data: sector(1) });
    await client.errorOf({ type: TRIM, flags, length: 512 });
    await client.errorOf({ type: WRITE_ZEROES, flags, length: 512 });
  }
  assert.deepEqual(
    rig.device.calls.map(({ kind, fua }) => `${kind} ${fua}`),
    [
      ...["write false", "trim false", "zeroes false"],
      ...["write true", "trim true", "zeroes true"],
    ],
  );
});

Deno.test("FLUSH has neither offset nor length, and asks the device", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  assert.equal(await client.errorOf({ type: FLUSH, offset: 1 }), EINVAL);
  assert.equal(await client.errorOf({ type: FLUSH, length: 1 }), EINVAL);
  assert.deepEqual(rig.device.calls, []);
  assert.equal(await client.errorOf({ type: FLUSH }), 0);
  assert.deepEqual(rig.device.calls.map(({ kind }) => kind), ["flush"]);
});

Deno.test("WRITE_ZEROES reads back as zeroes; its flags reach the device", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  await client.errorOf({ type: WRITE, data: sector(5, 4096) });
  const zero = { type: WRITE_ZEROES, offset: 512, length: 1024 };
  assert.equal(await client.errorOf(zero), 0);
  assert.deepEqual(
    await client.read(0, 4096),
    joined([sector(5), sector(0, 1024), sector(5, 4096 - 512 - 1024)]),
  );
  await client.errorOf({ ...zero, flags: NO_HOLE });
  await client.errorOf({ ...zero, flags: NO_HOLE | FAST_ZERO });
  assert.deepEqual(
    rig.device.calls.filter(({ kind }) => kind === "zeroes")
      .map(({ options }) => [options?.mayPunch, options?.fastOnly]),
    [[true, false], [false, false], [false, true]],
  );
});

Deno.test("ENOTSUP answers FAST_ZERO only", async () => {
  await using rig = startRig();
  rig.device.rule = () => BlockErrno.ENOTSUP;
  using client = await enter(rig);
  const zero = { type: WRITE_ZEROES, length: 512 };
  assert.equal(await client.errorOf({ ...zero, flags: FAST_ZERO }), ENOTSUP);
  assert.equal(await client.errorOf(zero), EIO);
  assert.equal(await client.errorOf({ type: WRITE, data: sector(1) }), EIO);
});

Deno.test("effect lengths may be up to 4 GiB", async () => {
  const device = new MemoryDevice(0);
  device.sizeBytes = 2 ** 40;
  await using rig = startRig({ device });
  using client = await enter(rig);
  const length = 0xffffffff;
  const offset = 2 ** 40 - length;
  for (const type of [TRIM, WRITE_ZEROES, CACHE]) {
    assert.equal(await client.errorOf({ type, offset, length }), 0);
  }
  // In pieces, so that nobody else has to wait for all of it.
  for (const kind of ["trim", "zeroes"]) {
    const pieces = device.calls.filter((call) => call.kind === kind);
    let next = offset;
    for (const piece of pieces) {
      assert.equal(piece.offset, next);
      assert.ok(piece.lengthBytes <= 4 * 1024 * 1024);
      next += piece.lengthBytes;
    }
    assert.equal(next, 2 ** 40);
  }
});

Deno.test("length 0 never disconnects", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  for (const type of [READ, WRITE, TRIM, CACHE, WRITE_ZEROES]) {
    await client.errorOf({ type, length: 0, offset: 512 });
    await client.errorOf({ type, length: 0, offset: RIG_BYTES });
  }
  assert.equal((await client.read(0, 1)).length, 1);
});

Deno.test("unknown commands are EINVAL, and it goes on", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  for (const type of [8, 9, 255, 0xffff]) {
    const request = { type, offset: 2 ** 40, length: 0xffffffff };
    assert.equal(await client.errorOf(request), EINVAL);
  }
  const status = { type: BLOCK_STATUS, length: 512 };
  assert.equal(await client.errorOf(status), EINVAL); // no context chosen
  assert.equal((await client.read(0, 1)).length, 1);
});

Deno.test("a device with larger units refuses smaller requests", async () => {
  await using rig = startRig({ disk: { minimumBlockBytes: 512 } });
  using client = await enter(rig);
  const refused = [{ offset: 1, length: 512 }, { offset: 512, length: 511 }];
  for (const place of refused) {
    assert.equal(await client.errorOf({ type: READ, ...place }), EINVAL);
    assert.equal(await client.errorOf({ type: TRIM, ...place }), EINVAL);
    const data = sector(1, place.length);
    const write = { type: WRITE, offset: place.offset, data };
    assert.equal(await client.errorOf(write), EINVAL);
  }
  const data = sector(2);
  assert.equal(await client.errorOf({ type: WRITE, offset: 512, data }), 0);
});

Deno.test("DISC: what is in flight is answered, then the server closes", async () => {
  await using rig = startRig();
  rig.device.rule = () => "later";
  using client = await enter(rig);
  await client.send(
    requestBytes({ type: WRITE, cookie: 1n, data: sector(1) }),
    requestBytes({ type: READ, cookie: 2n, offset: 8192, length: 4 }),
    requestBytes({ type: FLUSH, cookie: 3n }),
    requestBytes({ type: DISC }),
    requestBytes({ type: WRITE, cookie: 4n, offset: 512, data: sector(4) }),
  );
  await eventually(() => rig.device.waiting.length === 3, { what: "3 calls" });
  assert.equal(rig.exports.openCount, 1);
  rig.device.answerAll();
  const cookies = new Set<bigint>();
  for (let i = 0; i < 3; i++) {
    const { error, cookie } = await client.simple();
    assert.equal(error, 0);
    cookies.add(cookie);
    if (cookie === 2n) await client.take(4);
  }
  assert.deepEqual(cookies, new Set([1n, 2n, 3n]));
  assert.equal(await client.isClosedByServer(), true);
  assert.deepEqual(rig.device.bytes.subarray(0, 512), sector(1));
  assert.deepEqual(rig.device.bytes.subarray(512, 1024), sector(0));
  assert.equal(rig.exports.openCount, 0);
});

Deno.test("a client that says nothing more still gets its replies", async () => {
  await using rig = startRig();
  rig.device.rule = () => "later";
  using client = await enter(rig);
  await client.request({ type: WRITE, data: sector(1), cookie: 5n });
  await client.endOfSpeech();
  await eventually(() => rig.device.waiting.length === 1, { what: "the call" });
  rig.device.answerAll();
  assert.deepEqual(await client.simple(), { error: 0, cookie: 5n });
  assert.equal(await client.isClosedByServer(), true);
});

Deno.test("a client that dies in the middle of a WRITE frees the export", async () => {
  await using rig = startRig();
  for (const sent of [0, 1, 511, 200_000]) {
    using client = await enter(rig);
    await client.send(requestBytes({ type: WRITE, length: 300_000 }));
    await client.send(sector(1, sent));
  }
  await eventually(() => rig.server.connectionCount === 0, {
    what: "no client",
  });
  assert.equal(rig.exports.openCount, 0);
  // Nothing of the small ones; of the large one what came, in whole blocks.
  const written = rig.device.calls.map(({ lengthBytes }) => lengthBytes);
  assert.ok(written.reduce((sum, bytes) => sum + bytes, 0) <= 200_000);
  assert.ok(written.every((bytes) => bytes > 511 && bytes % 4096 === 0));
});
