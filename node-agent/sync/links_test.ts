import assert from "node:assert/strict";
import { eventually, within } from "../../tests/helpers/eventually.ts";
import { MemoryNetwork } from "../../tests/helpers/memory_transport.ts";
import type { ByteChannel } from "../ports.ts";
import { BulkPool, STALL_MS } from "./bulk_pool.ts";
import { DialSchedule } from "./dial_schedule.ts";
import { FrameLink } from "./frame_link.ts";
import { greetAsAcceptor, greetAsDialer } from "./greeting.ts";
import { Liveness } from "./liveness.ts";
import { isWithinHours, Pace } from "./pace.ts";
import { RecentRecords } from "./recent_records.ts";

/** A channel that a test works by hand. */
class HandChannel implements ByteChannel {
  readonly remote = "hand";
  readonly written: Uint8Array[] = [];
  readonly #reads: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  isClosed = false;
  /** Writes wait as long as this does. */
  gate: Promise<void> = Promise.resolve();

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.isClosed) return null;
      const bytes = this.#reads.shift();
      if (bytes !== undefined) {
        into.set(bytes);
        return bytes.length;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.gate;
    this.written.push(bytes.slice());
  }

  close(): void {
    this.isClosed = true;
    this.#wake?.();
  }

  comes(bytes: Uint8Array): void {
    this.#reads.push(bytes);
    this.#wake?.();
  }
}

const ping = { kind: "ping", epoch: 1 } as const;

Deno.test("FrameLink writes the frames of one turn at once", async () => {
  const channel = new HandChannel();
  const link = new FrameLink(channel);
  for (let i = 0; i < 10; i++) link.send(ping);
  await eventually(() => channel.written.length > 0, { what: "a write" });
  assert.equal(channel.written.length, 1);
  assert.equal(channel.written[0]?.length, 280);
});

Deno.test("FrameLink closes when its peer does not read", async () => {
  const channel = new HandChannel();
  channel.gate = new Promise(() => {});
  const link = new FrameLink(channel);
  const body = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 20; i++) {
    link.send({ kind: "chunk", epoch: 1, parts: [body] });
  }
  assert.match(await link.closed, /does not read/);
  assert.equal(link.queuedBytes, 0);
});

Deno.test("FrameLink.room() waits for a slow peer, and for no closed one", async () => {
  const channel = new HandChannel();
  const gate = Promise.withResolvers<void>();
  channel.gate = gate.promise;
  const link = new FrameLink(channel);
  link.send({ kind: "chunk", epoch: 1, parts: [new Uint8Array(900_000)] });
  let hasRoom = false;
  const room = link.room().then(() => hasRoom = true);
  await Promise.resolve();
  assert.equal(hasRoom, false);
  gate.resolve();
  await within(room, { what: "room" });
  link.close("done");
  await within(link.room(), { what: "no wait" });
});

Deno.test("Liveness suspects silence, not a transfer, and not our own pause", async () => {
  const channel = new HandChannel();
  const link = new FrameLink(channel);
  const liveness = new Liveness(link, 0);
  assert.equal(liveness.check(100, false), "fine");
  assert.equal(liveness.check(300, false), "ping");
  // Pings that we wrote ourselves prove nothing.
  link.send(ping);
  await eventually(() => link.writtenBytes > 0, { what: "the ping" });
  assert.equal(liveness.check(1001, false), "suspect");

  const paused = new Liveness(link, 0);
  assert.equal(paused.check(5000, true), "ping");
  assert.equal(paused.check(5900, false), "ping");

  const reading = new Liveness(link, 0);
  channel.comes(new Uint8Array(3));
  await link.fill();
  assert.notEqual(reading.check(1500, false), "suspect");

  const draining = new Liveness(link, 0);
  const gate = Promise.withResolvers<void>();
  channel.gate = gate.promise;
  for (let i = 0; i < 4; i++) {
    link.send({ kind: "chunk", epoch: 1, parts: [new Uint8Array(200_000)] });
  }
  assert.notEqual(draining.check(900, false), "suspect");
  gate.resolve();
  await eventually(() => link.queuedBytes === 0, { what: "the transfer" });
  assert.notEqual(draining.check(1800, false), "suspect");
});

Deno.test("DialSchedule gives the lower number a head start and backs off", () => {
  const info = (node: number) => ({
    node,
    peerAddress: { hostname: "h", port: 1 },
    url: "http://h",
  });
  const schedule = new DialSchedule(5);
  schedule.setPeers([info(1), info(9)], 1000);
  assert.deepEqual(schedule.due(1000).map((dial) => dial.node), [9]);
  assert.deepEqual(schedule.due(1300).map((dial) => dial.node), [1, 9]);
  const [, dial] = schedule.due(1300);
  assert(dial);
  let nowMs = 1300;
  for (let i = 0; i < 8; i++) {
    schedule.began(dial);
    assert(!schedule.due(1e9).includes(dial));
    assert.equal(schedule.ended(dial, "refused", nowMs), i === 0);
    nowMs = dial.dueMs;
  }
  assert.equal(dial.pauseMs, 1000);
  schedule.ended(dial, "", nowMs);
  assert.equal(dial.pauseMs, 100);
  schedule.setPeers([], nowMs);
  assert.deepEqual(schedule.due(1e9), []);
});

Deno.test("RecentRecords lets go of stored records only", () => {
  const recent = new RecentRecords(10);
  recent.follow({ next: 0, acked: 10 });
  const encoded = new Uint8Array(1024 * 1024);
  for (let i = 11; i <= 40; i++) recent.push(i, { encoded, durable: false });
  assert.equal(recent.first, 11);
  assert.equal(recent.last, 40);
  recent.stored(20);
  assert.equal(recent.first, 21);
  recent.stored(40);
  assert.equal(recent.first, 25);
  assert.equal(recent.get(24), undefined);
  assert(recent.get(25));
  assert.throws(() => recent.push(50, { encoded, durable: false }), RangeError);
});

Deno.test("isWithinHours() counts both ends and passes midnight", () => {
  const hours = (startMinute: number, endMinute: number) => ({
    bytesPerSecond: 0,
    startMinute,
    endMinute,
  });
  assert(isWithinHours(0, hours(0, 1439)));
  assert(isWithinHours(1439, hours(0, 1439)));
  assert(isWithinHours(60, hours(60, 120)));
  assert(isWithinHours(120, hours(60, 120)));
  assert(!isWithinHours(121, hours(60, 120)));
  assert(isWithinHours(10, hours(1380, 60)));
  assert(isWithinHours(1400, hours(1380, 60)));
  assert(!isWithinHours(700, hours(1380, 60)));
});

Deno.test("Pace pauses for each file, and a stop ends the pause", async () => {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, wallMs: () => 0 };
  const hours = { startMinute: 0, endMinute: 1439 };
  const pace = new Pace(clock, { bytesPerSecond: 0, fileMs: 20, ...hours });
  await pace.take(1 << 30, 100); // the first goes at once: nothing is owed
  let isThrough = false;
  const second = pace.take(0, 1).then(() => isThrough = true);
  await Promise.resolve();
  assert.equal(isThrough, false);
  nowMs = 2000;
  pace.stop();
  await second;
  const free = new Pace(clock, { bytesPerSecond: 0, ...hours });
  for (let i = 0; i < 3; i++) await free.take(1 << 30, 1000);
});

Deno.test("Pace keeps to its rate and lets go when it is stopped", async () => {
  let waitedMs = 0;
  const clock = {
    monotonicMs: () => performance.now(),
    wallMs: () => new Date(2026, 0, 1, 12, 0).getTime(),
  };
  const pace = new Pace(clock, {
    bytesPerSecond: 1_000_000,
    startMinute: 0,
    endMinute: 1439,
  });
  const startMs = performance.now();
  for (let i = 0; i < 4; i++) await pace.take(50_000, 1);
  waitedMs = performance.now() - startMs;
  assert(waitedMs >= 140, `only ${waitedMs} ms`);
  const closed = new Pace(clock, {
    bytesPerSecond: 0,
    startMinute: 0,
    endMinute: 1,
  });
  const waiting = closed.take(1, 1);
  closed.stop();
  await within(waiting, { what: "the stop", deadlineMs: 5000 });
});

Deno.test("BulkPool keeps connections, and closes one on which nothing moves", async () => {
  const network = new MemoryNetwork();
  const transport = network.transport();
  const identity = (node: number) => ({
    node,
    group: "group1",
    store: crypto.randomUUID(),
    boot: crypto.randomUUID(),
    secretOf: () => "0".repeat(43),
  });
  let accepted = 0;
  const door = transport.listen({ hostname: "h", port: 0 }, (channel) => {
    accepted++;
    void greetAsAcceptor(new FrameLink(channel), identity(2), () => undefined);
  });
  let nowMs = 0;
  const pool = new BulkPool({
    identity: identity(1),
    transport,
    clock: { monotonicMs: () => nowMs, wallMs: () => 0 },
    address: () => door.address,
    epoch: () => 1,
  });
  await pool.use(2, () => Promise.resolve());
  await pool.use(2, () => Promise.resolve());
  assert.equal(accepted, 1);
  await assert.rejects(pool.use(2, () => Promise.reject(new Error("no"))));
  const call = await pool.acquire(2);
  assert.equal(accepted, 2, "a connection in an unknown state is not kept");
  pool.tick(0);
  nowMs = STALL_MS + 1;
  pool.tick(nowMs);
  assert.match(await call.link.closed, /nothing moved/);
  pool.close("end");
  await assert.rejects(pool.acquire(2), /stops/);
});

Deno.test("a node proves only itself: keys of other pairs open nothing", async () => {
  const network = new MemoryNetwork();
  const transport = network.transport();
  const pair = (a: number, b: number) => `${a * b}`.padStart(43, "k");
  const identity = (node: number, keysOf: number) => ({
    node,
    group: "group1",
    store: crypto.randomUUID(),
    boot: crypto.randomUUID(),
    secretOf: (peer: number) => pair(keysOf, peer),
  });
  const greeted: unknown[] = [];
  const door = transport.listen({ hostname: "h", port: 0 }, (channel) => {
    greetAsAcceptor(new FrameLink(channel), identity(2, 2), () => undefined)
      .then((peer) => greeted.push(peer.node), () => greeted.push("refused"));
  });
  const call = async (node: number, keysOf: number) => {
    const link = new FrameLink(await transport.connect(door.address, 1000));
    const to = { to: 2, purpose: "bulk" } as const;
    try {
      await greetAsDialer(link, identity(node, keysOf), to);
    } catch {
      // told by `greeted`
    }
    await eventually(() => greeted.length > 0, { what: "an answer" });
    link.close("end");
    return greeted.shift();
  };
  assert.equal(await call(1, 1), 1);
  assert.equal(await call(1, 3), "refused", "node 3 says that it is node 1");
  door.close();
});
