/** What one NBD client may cost, and how its export ends. */

import assert from "node:assert/strict";
import { FileDevice } from "../../node-agent/nbd/file_device.ts";
import { serveNbd } from "../../node-agent/nbd/server.ts";
import { eventually, pause } from "../helpers/eventually.ts";
import { TestExports } from "../helpers/nbd_file_exports.ts";
import { MemoryDevice } from "../helpers/nbd_memory_device.ts";
import { startNbdProcess } from "../helpers/nbd_process.ts";
import { RawNbd, requestBytes } from "../helpers/nbd_raw.ts";
import { enter, type NbdRig, startRig } from "../helpers/nbd_rig.ts";
import { Scope } from "../helpers/scope.ts";

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const TRIM = 4;
const WRITE_ZEROES = 6;
const EIO = 5;
const ESHUTDOWN = 108;

/** Bytes of writes that the device was given. */
const handedBytes = (rig: NbdRig) =>
  rig.device.calls.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);

Deno.test("calls that wait for the device are bounded, then go on", async () => {
  await using rig = startRig({ limits: { flightCallsMax: 10 } });
  rig.device.rule = () => "later";
  using client = await enter(rig);
  const count = 100;
  const sent = client.send(
    ...Array.from(
      { length: count },
      (_, i) => requestBytes({ type: TRIM, length: 512, cookie: BigInt(i) }),
    ),
  );
  const seen = new Set<bigint>();
  while (seen.size < count) {
    const what = "calls of the device";
    await eventually(() => rig.device.waiting.length > 0, { what });
    const answers = rig.device.waiting.length;
    rig.device.answerAll();
    for (let i = 0; i < answers; i++) seen.add((await client.simple()).cookie);
  }
  await sent;
  assert.equal(rig.device.waitingMax, 10);
});

Deno.test("bytes of writes that wait for the device are bounded", async () => {
  const flightBytesMax = 1024 * 1024;
  await using rig = startRig({ limits: { flightBytesMax } });
  const { device } = rig;
  device.rule = () => "later";
  using client = await enter(rig);
  const count = 64;
  const data = new Uint8Array(100_000);
  const sent = client.send(
    ...Array.from({ length: count }, () => requestBytes({ type: WRITE, data })),
  );
  const waitingBytes = () =>
    device.waiting.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  let most = 0;
  for (let answered = 0; answered < count;) {
    await eventually(() => device.waiting.length > 0, { what: "a write" });
    most = Math.max(most, waitingBytes());
    const answers = device.waiting.length;
    device.answerAll();
    for (let i = 0; i < answers; i++) {
      assert.equal((await client.simple()).error, 0);
    }
    answered += answers;
  }
  await sent;
  assert.ok(most < flightBytesMax + data.length, `${most} bytes waited`);
});

Deno.test("a device under pressure is not asked for more", async () => {
  await using rig = startRig();
  using client = await enter(rig);
  const { promise, resolve } = Promise.withResolvers<void>();
  rig.device.relief = promise;
  await client.errorOf({ type: TRIM, length: 512 }); // pressure is seen after
  const asked = client.errorOf({ type: TRIM, length: 512 });
  // The server works on, for others: the second request has long arrived.
  using other = await RawNbd.greet(rig.addr);
  for (let i = 0; i < 20; i++) {
    await other.option(99);
    await other.reply();
  }
  assert.equal(rig.device.calls.length, 1);
  rig.device.relief = undefined;
  resolve();
  assert.equal(await asked, 0);
  assert.equal(rig.device.calls.length, 2);
});

Deno.test("a client that takes no replies costs little and is cut", async () => {
  const device = new MemoryDevice(64 * 1024 * 1024);
  await using rig = startRig({ device, limits: { stallMs: 300 } });
  for (const length of [128 * 1024, 32 * 1024 * 1024]) {
    using client = await enter(rig);
    device.calls.length = 0;
    const reads = Array.from(
      { length: 500 },
      () => requestBytes({ type: READ, length }),
    );
    await client.send(...reads);
    const what = "the client to be cut";
    await eventually(() => rig.exports.openCount === 0, { what });
    const readBytes = device.calls.reduce(
      (sum, call) => sum + call.lengthBytes,
      0,
    );
    // What fits into the socket buffers of both sides, and the backlog.
    assert.ok(readBytes < 32e6, `${readBytes} bytes were read for nobody`);
  }
  assert.match(rig.lines.join("\n"), /takes no replies/);
  using next = await enter(rig);
  assert.equal((await next.read(0, 4)).length, 4);
});

Deno.test("reads that wait hold few buffers", async () => {
  const device = new MemoryDevice(64 * 1024 * 1024);
  await using rig = startRig({ device, limits: { replyBuffersMax: 4 } });
  device.rule = () => "later";
  using client = await enter(rig);
  const count = 50;
  await client.send(
    ...Array.from(
      { length: count },
      () => requestBytes({ type: READ, length: 128 * 1024 }),
    ),
  );
  for (let answered = 0; answered < count;) {
    await eventually(() => device.waiting.length > 0, { what: "a read" });
    const answers = device.waiting.length;
    assert.ok(answers <= 8, `${answers} reads of 128 KiB wait`);
    device.answerAll();
    for (let i = 0; i < answers; i++) {
      await client.simple();
      await client.take(128 * 1024);
    }
    answered += answers;
  }
});

Deno.test("close: what is due is answered, the rest is ESHUTDOWN, then the end", async () => {
  await using rig = startRig({ limits: { closeGraceMs: 300 } });
  rig.device.rule = () => "later";
  using client = await enter(rig);
  const data = new Uint8Array(512).fill(1);
  await client.request({ type: WRITE, data, cookie: 1n });
  await eventually(() => rig.device.waiting.length === 1, {
    what: "the write",
  });
  rig.exports.closeAll();
  const later = [
    { type: READ, length: 512 },
    { type: WRITE, data, offset: 4096 },
    { type: FLUSH },
  ];
  for (const request of later) {
    assert.equal(await client.errorOf(request), ESHUTDOWN);
  }
  assert.equal(rig.exports.openCount, 1); // the device still works for it
  rig.device.answerAll();
  assert.deepEqual(await client.simple(), { error: 0, cookie: 1n });
  assert.equal(rig.exports.openCount, 0);
  assert.equal(await client.isClosedByServer(), true);
  assert.equal(rig.device.calls.length, 1);
});

Deno.test("close: a reply that is due waits for the device as long as it takes", async () => {
  await using rig = startRig({ limits: { closeGraceMs: 10 } });
  rig.device.rule = () => "later";
  using client = await enter(rig);
  await client.request({ type: FLUSH, cookie: 9n });
  await eventually(() => rig.device.waiting.length === 1, {
    what: "the flush",
  });
  rig.exports.closeAll();
  await pause(100); // the grace is over
  rig.device.answerAll();
  assert.deepEqual(await client.simple(), { error: 0, cookie: 9n });
  assert.equal(await client.isClosedByServer(), true);
});

Deno.test("close: an idle or half-sent client does not hold the export", async () => {
  await using rig = startRig({ limits: { closeGraceMs: 50 } });
  using idle = await enter(rig);
  using half = await enter(rig);
  await half.send(requestBytes({ type: WRITE, length: 1_000_000 }));
  await half.send(new Uint8Array(300_000));
  await eventually(() => handedBytes(rig) > 200_000, { what: "pieces" });
  const { length } = rig.device.calls;
  rig.exports.closeAll();
  assert.equal(rig.exports.openCount, 0);
  assert.equal(await idle.isClosedByServer(), true);
  assert.equal(await half.isClosedByServer(), true);
  assert.equal(rig.device.calls.length, length);
});

Deno.test("close: the rest of a WRITE on its way is dropped and told", async () => {
  await using rig = startRig({ limits: { closeGraceMs: 2_000 } });
  using client = await enter(rig);
  await client.send(requestBytes({ type: WRITE, length: 1_000_000 }));
  await client.send(new Uint8Array(300_000));
  await eventually(() => handedBytes(rig) > 200_000, { what: "pieces" });
  const { length } = rig.device.calls;
  rig.exports.closeAll();
  await client.send(new Uint8Array(700_000));
  assert.equal((await client.simple()).error, ESHUTDOWN);
  assert.equal(rig.device.calls.length, length);
});

Deno.test("a device that throws costs the connection, not the server", async () => {
  await using rig = startRig();
  rig.device.rule = ({ offset }) => {
    if (offset === 4096) throw new Error("a fault of the program");
    return offset === 8192 ? "later" : 0;
  };
  for (const type of [READ, WRITE, TRIM]) {
    using client = await enter(rig);
    const data = type === WRITE ? { data: new Uint8Array(512) } : {};
    await client.request({ type: READ, offset: 8192, length: 512 });
    await client.request({ type, offset: 4096, length: 512, ...data });
    assert.equal(await client.isClosedByServer(), true);
  }
  assert.equal(rig.exports.openCount, 0);
  assert.match(rig.lines.join("\n"), /session broke.*a fault of the program/);
  rig.device.answerAll(); // comes back to nobody
  using next = await enter(rig);
  assert.equal((await next.read(0, 4)).length, 4);
});

Deno.test("server: close() ends everything, also half handshakes", async () => {
  const rig = startRig();
  using idle = await enter(rig);
  using greeted = await RawNbd.greet(rig.addr);
  await rig.server.close();
  assert.equal(await idle.isClosedByServer(), true);
  assert.equal(await greeted.isClosedByServer(), true);
  assert.equal(rig.exports.openCount, 0);
  await assert.rejects(RawNbd.connect(rig.addr));
});

Deno.test("server: several addresses, a Unix socket among them", async () => {
  await using scope = new Scope();
  const path = `${await scope.tempDir()}/nbd.sock`;
  const device = new MemoryDevice(65_536);
  const options = {
    listen: [{ path }, { hostname: "127.0.0.1", port: 0 }],
    exports: new TestExports([{ name: "disk", device }]),
    log: { info: () => {}, warn: () => {} },
  };
  const server = serveNbd(options);
  assert.equal(server.addrs.length, 2);
  const { mode } = await Deno.stat(path);
  assert.equal((mode ?? 0) & 0o777, 0o600);
  for (const addr of server.addrs) {
    using client = await RawNbd.greet(addr);
    await client.go("disk");
    assert.equal((await client.read(0, 512)).length, 512);
  }
  // A path where somebody listens is not taken away.
  assert.throws(() => serveNbd({ ...options, listen: { path } }));
  await server.close();
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});

Deno.test("server: a socket that a killed process left is replaced", async () => {
  await using scope = new Scope();
  const killed = await startNbdProcess(scope, { sizeBytes: 65_536 });
  await killed.child.kill();
  const path = killed.socket;
  assert.ok((await Deno.stat(path)).isSocket);
  const server = serveNbd({
    listen: { path },
    exports: new TestExports([
      { name: "disk", device: new MemoryDevice(65_536) },
    ]),
    log: { info: () => {}, warn: () => {} },
  });
  using client = await RawNbd.greet(server.addr);
  await client.go("disk");
  await server.close();
});

Deno.test("file: writes, FUA and FLUSH reach it", async () => {
  await using scope = new Scope();
  const path = `${await scope.tempDir()}/image`;
  await Deno.writeFile(path, new Uint8Array(65_536));
  const device = FileDevice.open(path);
  scope.defer(() => device.close());
  await using rig = startRig({ more: [{ name: "file", device }] });
  using client = await RawNbd.greet(rig.addr);
  await client.go("file");
  const data = new Uint8Array(512).fill(3);
  for (const flags of [0, 1]) {
    const offset = flags * 512;
    assert.equal(await client.errorOf({ type: WRITE, data, flags, offset }), 0);
  }
  const zeroes = { type: WRITE_ZEROES, offset: 256, length: 512, flags: 1 };
  assert.equal(await client.errorOf(zeroes), 0);
  assert.equal(await client.errorOf({ type: FLUSH }), 0);
  const expected = new Uint8Array(1024).fill(3).fill(0, 256, 768);
  assert.deepEqual((await Deno.readFile(path)).slice(0, 1024), expected);
});

Deno.test("file: after a failed write nothing is written or promised", async () => {
  await using scope = new Scope();
  const path = `${await scope.tempDir()}/image`;
  await Deno.writeFile(path, new Uint8Array(65_536));
  const device = FileDevice.open(path, { readOnly: true }); // the kernel refuses to write
  scope.defer(() => device.close());
  await using rig = startRig({ more: [{ name: "file", device }] });
  using client = await RawNbd.greet(rig.addr);
  await client.go("file");
  assert.equal(await client.errorOf({ type: FLUSH }), 0);
  const data = new Uint8Array(512);
  assert.equal(await client.errorOf({ type: WRITE, data }), EIO);
  assert.equal(await client.errorOf({ type: FLUSH }), EIO);
  assert.equal((await client.read(0, 512)).length, 512);
});

Deno.test("file: after a failed flush nothing is promised", async () => {
  await using scope = new Scope();
  const device = FileDevice.open("/dev/zero"); // cannot be flushed
  scope.defer(() => device.close());
  await using rig = startRig({ more: [{ name: "file", device }] });
  using client = await RawNbd.greet(rig.addr);
  await client.go("file");
  for (let i = 0; i < 3; i++) {
    assert.equal(await client.errorOf({ type: FLUSH }), EIO);
  }
  await client.send(
    ...Array.from({ length: 9 }, () => requestBytes({ type: FLUSH })),
  );
  for (let i = 0; i < 9; i++) assert.equal((await client.simple()).error, EIO);
});
