/**
 * Two nodes find one another: at the same moment, beside strangers, with wrong
 * secrets, with their port taken.
 *
 * @module
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { freePorts, Side, type SideOptions } from "./rendezvous_fixture.ts";

type More = Partial<Pick<SideOptions, "secret" | "greetingMs">>;

function sides(a: More = {}, b: More = {}): [Side, Side] {
  const [port, peerPort] = freePorts();
  // Another test beside us may get the same port: it is no peer of ours.
  const resource = crypto.randomUUID();
  return [
    new Side({ node: "a", resource, port, peerPort, ...a }),
    new Side({ node: "b", resource, port: peerPort, peerPort: port, ...b }),
  ];
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

async function untilBothHave(a: Side, b: Side): Promise<void> {
  await eventually(() => a.taken !== undefined && b.taken !== undefined, {
    what: "a connection on both sides",
  });
}

function isSame(a: Side, b: Side): boolean {
  const ends = ({ taken }: Side) => {
    const { localAddr, remoteAddr } = taken?.conn ?? {};
    return [localAddr, remoteAddr].map((each) => (each as Deno.NetAddr).port);
  };
  const [from, to] = ends(a);
  const [peerFrom, peerTo] = ends(b);
  return from === peerTo && to === peerFrom;
}

Deno.test("both sides take the same connection, 200 times", async () => {
  const once = async () => {
    const [a, b] = sides();
    using _a = a;
    using _b = b;
    const first = Math.random() < 0.5 ? a : b;
    const second = first === a ? b : a;
    first.rendezvous.seek(0, true);
    const delayMs = Math.random() * 4 - 1;
    if (delayMs > 0) await pause(delayMs);
    second.rendezvous.seek(0, true);
    await untilBothHave(a, b);
    assert.ok(isSame(a, b), "each has another connection");
    await pause(5);
    assert.deepEqual([a.ended, b.ended], [undefined, undefined]);
    assert.deepEqual([a.takenCount, b.takenCount], [1, 1]);
  };
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 20 }, once));
  }
});

Deno.test("strangers on the port do not keep the peer away", async () => {
  const [a, b] = sides();
  using _a = a;
  using _b = b;
  a.rendezvous.seek(0, true);
  const port = a.rendezvous.options.local.port;
  await eventually(() => knocks(port), { what: "a listener" });
  const strangers = await Promise.all([
    shout(port, new Uint8Array(300_000).fill(0x41)),
    shout(port, new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")),
    shout(port, helloOfLength(4_000_000_000)),
    shout(port, helloOfLength(100_000)),
    shout(port, new Uint8Array(0)), // says nothing at all
  ]);
  b.rendezvous.seek(0, true);
  await untilBothHave(a, b);
  assert.ok(isSame(a, b));
  for (const conn of strangers) conn.close();
});

Deno.test("silent callers who fill the port do not keep the peer away", async () => {
  const [port, ownPort, nobody] = freePorts();
  const longMs = { greetingMs: 60_000 };
  // A cannot call: the peer has to get in.
  using a = new Side({ node: "a", port, peerPort: nobody, ...longMs });
  const peerPort = port;
  using b = new Side({ node: "b", port: ownPort, peerPort, ...longMs });
  a.rendezvous.seek(0, true);
  await eventually(() => knocks(port), { what: "a listener" });
  const hosts = ["127.0.0.9", "127.0.0.1"]; // a stranger's, and the peer's own
  const silent: Socket[] = [];
  for (const localAddress of hosts) {
    for (let count = 0; count < 80; count++) {
      const socket = connect({ host: "127.0.0.1", port, localAddress });
      socket.on("error", () => {}).resume();
      await once(socket, "connect");
      silent.push(socket);
    }
  }
  b.rendezvous.seek(0, true);
  await untilBothHave(a, b);
  const held = () => silent.filter(({ closed }) => !closed).length;
  await eventually(() => held() <= 64, { what: "64 places and no more" });
  for (const socket of silent) socket.destroy();
});

Deno.test("a greeting that does not end is cut", async () => {
  const [a] = sides({ greetingMs: 100 });
  using _a = a;
  a.rendezvous.seek(0, true);
  const { port } = a.rendezvous.options.local;
  await eventually(() => knocks(port), { what: "a listener" });
  using slow = await shout(port, new Uint8Array([0x4b, 0x44]));
  const end = await slow.read(new Uint8Array(10)).catch(() => null);
  assert.equal(end, null);
});

for (
  const [what, theirs] of [
    ["another secret", { algorithm: "sha1", secret: "one" }],
    ["no secret", undefined],
  ] as const
) {
  Deno.test(`${what}: who calls is told, and does not try again`, async () => {
    const [a, b] = sides(
      { secret: { algorithm: "sha1", secret: "two" } },
      theirs === undefined ? {} : { secret: theirs },
    );
    using _a = a;
    using _b = b;
    for (const side of [a, b]) side.rendezvous.seek(0, true);
    // The one that called first is refused; the other waits in vain for it.
    const refusals = () => [...a.refusals, ...b.refusals];
    await eventually(() => refusals().length > 0, { what: "a refusal" });
    assert.match(refusals()[0] ?? "", /compare cram-hmac-alg/);
    assert.deepEqual([a.taken, b.taken], [undefined, undefined]);
  });
}

Deno.test("a port that is taken is named, and used when it is free", async () => {
  const [a, b] = sides();
  using _a = a;
  using _b = b;
  const { port } = a.rendezvous.options.local;
  const other = Deno.listen({ hostname: "0.0.0.0", port });
  a.rendezvous.seek(0, true);
  await eventually(() => a.log.length > 0, { what: "a complaint" });
  assert.match(a.log[0] ?? "", new RegExp(`Cannot listen on 0.0.0.0:${port}`));
  await pause(1_000);
  assert.equal(a.log.length, 1, "it is said once");
  other.close();
  await eventually(() => a.log.some((line) => line.startsWith("Listening")), {
    what: "the port",
  });
});

async function knocks(port: number): Promise<boolean> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.close();
  return true;
}

async function shout(port: number, bytes: Uint8Array): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(bytes).catch(() => {});
  return conn;
}

/** A header of a hello, with a body that is longer than allowed. */
function helloOfLength(bodyLength: number): Uint8Array {
  const bytes = new Uint8Array(40);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x4b44_474d);
  view.setUint8(4, 1);
  view.setUint8(5, 1);
  view.setUint32(8, bodyLength);
  return bytes;
}

Deno.test("a connection that waits for room ends when it is closed", async () => {
  const [a, b] = sides();
  using _a = a;
  using _b = b;
  a.room = new Promise(() => {}); // never
  for (const side of [a, b]) side.rendezvous.seek(0, true);
  await untilBothHave(a, b);
  a.taken?.close("silent");
  await eventually(() => a.ended, { what: "the end" });
  assert.equal(a.ended, "silent");
});
