/** Every rule of the NBD handshake, on raw sockets. */

import assert from "node:assert/strict";
import { startRig } from "../helpers/nbd_rig.ts";
import { REFUSAL, RIG_BYTES } from "../helpers/nbd_rig.ts";
import {
  joined,
  optionBytes,
  RawNbd,
  requestBytes,
  u16,
  u32,
  view,
} from "../helpers/nbd_raw.ts";

const FLUSH = 3;
const ACK = 1;
const SERVER = 2;
const INFO = 3;
const META_CONTEXT = 4;
const ERR_UNSUP = 0x80000001;
const ERR_POLICY = 0x80000002;
const ERR_INVALID = 0x80000003;
const ERR_UNKNOWN = 0x80000006;
const ERR_TOO_BIG = 0x80000009;

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
/** Data of INFO and GO. */
const info = (name: string, ...kinds: number[]) =>
  joined([u32(name.length), name, u16(kinds.length), ...kinds.map(u16)]);
/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
const queries = (name: string, ...each: string[]) =>
  joined([
    ...[u32(name.length), name, u32(each.length)],
    ...each.flatMap((query) => [u32(query.length), query]),
  ]);

/** The handshake still works: an unknown option is told so. */
async function isAlive(client: RawNbd): Promise<void> {
  await client.option(0x7777, "?");
  const reply = await client.reply();
  assert.equal(reply.option, 0x7777);
  assert.equal(reply.type, ERR_UNSUP);
}

Deno.test("greeting: magics and exactly FIXED_NEWSTYLE and NO_ZEROES", async () => {
  await using rig = startRig();
  using client = await RawNbd.connect(rig.addr);
  const greeting = await client.take(18);
  assert.equal(greeting.toHex(), "4e42444d4147494349484156454f50540003");
});

Deno.test("greeting: client flags that were not offered end it", async () => {
  await using rig = startRig();
  for (const flags of [4, 0x8000, 0x80000003]) {
    using client = await RawNbd.greet(rig.addr, flags);
    assert.equal(await client.isClosedByServer(), true);
  }
});

Deno.test("greeting: plain newstyle may enter by EXPORT_NAME", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr, 0);
  await client.option(1, "disk");
  const answer = await client.take(8 + 2 + 124);
  assert.equal(view(answer).getBigUint64(0), BigInt(RIG_BYTES));
  assert.ok(answer.subarray(10).every((byte) => byte === 0));
  assert.equal((await client.read(0, 16)).length, 16);
});

Deno.test("options: replies carry the magic and echo the option", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await isAlive(client);
});

Deno.test("options: an unknown one is dropped with its data", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.option(99, new Uint8Array(1000).fill(0x49));
  assert.equal((await client.reply()).type, ERR_UNSUP);
  await isAlive(client);
});

Deno.test("options: a wrong magic ends it", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.send("IHAVEOPS", u32(3), u32(0));
  assert.equal(await client.isClosedByServer(), true);
});

Deno.test("options: 64 KiB of data are taken, more is skipped and told", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.option(98, new Uint8Array(65_536));
  assert.equal((await client.reply()).type, ERR_UNSUP);
  await client.option(98, new Uint8Array(65_537));
  assert.equal((await client.reply()).type, ERR_TOO_BIG);
  await client.option(7, new Uint8Array(300_000));
  assert.equal((await client.reply()).type, ERR_TOO_BIG);
  await isAlive(client);
});

Deno.test("options: too many of them end it", async () => {
  await using rig = startRig({ limits: { optionsMax: 5 } });
  using client = await RawNbd.greet(rig.addr);
  for (let i = 0; i < 5; i++) await isAlive(client);
  await client.option(3);
  assert.equal(await client.isClosedByServer(), true);
});

Deno.test("handshake: a slow client is cut", async () => {
  await using rig = startRig({ limits: { handshakeMs: 100 } });
  using silent = await RawNbd.connect(rig.addr);
  await silent.take(18);
  using half = await RawNbd.greet(rig.addr);
  await half.send("IHAVE");
  assert.equal(await silent.isClosedByServer(), true);
  assert.equal(await half.isClosedByServer(), true);
  // Who is through the handshake in time has all the time of the world.
  using quick = await RawNbd.greet(rig.addr);
  await quick.go("disk");
  using later = await RawNbd.connect(rig.addr);
  await later.take(18);
  assert.equal(await later.isClosedByServer(), true);
  assert.equal((await quick.read(0, 8)).length, 8);
});

Deno.test("handshake: bytes may come one by one, or all at once", async () => {
  await using rig = startRig();
  using slow = await RawNbd.connect(rig.addr);
  await slow.take(18);
  const said = joined([u32(3), optionBytes(7, info("disk"))]);
  for (const byte of said) await slow.send(new Uint8Array([byte]));
  assert.deepEqual((await slow.replies()).map(({ type }) => type), [INFO, ACK]);
  using fast = await RawNbd.connect(rig.addr);
  const read = requestBytes({ type: 0, length: 4, cookie: 7n });
  await fast.send(said, read, read);
  await fast.take(18);
  await fast.replies();
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await fast.simple(), { error: 0, cookie: 7n });
    await fast.take(4);
  }
});

Deno.test("EXPORT_NAME: no padding when that was agreed", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr, 3);
  await client.option(1, "disk");
  const answer = view(await client.take(10));
  assert.equal(answer.getBigUint64(0), BigInt(RIG_BYTES));
  assert.equal((await client.read(0, 4)).length, 4);
});

Deno.test("EXPORT_NAME: the empty name is the default export", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.option(1);
  assert.equal(view(await client.take(10)).getBigUint64(0), BigInt(RIG_BYTES));
});

Deno.test("EXPORT_NAME: unknown, refused and impossible names close", async () => {
  await using rig = startRig();
  const names = ["nothing", "refused", "a".repeat(4097), "di\0sk"];
  for (const name of [...names, new Uint8Array([0xff, 0xfe])]) {
    using client = await RawNbd.greet(rig.addr);
    await client.option(1, name);
    assert.equal(await client.isClosedByServer(), true, String(name));
  }
  using long = await RawNbd.greet(rig.addr);
  await long.send("IHAVEOPT", u32(1), u32(0x7fffffff));
  assert.equal(await long.isClosedByServer(), true);
});

Deno.test("ABORT is acknowledged, whatever it carries, then the server closes", async () => {
  await using rig = startRig();
  for (const data of ["", "why not"]) {
    using client = await RawNbd.greet(rig.addr);
    await client.option(2, data);
    assert.equal((await client.reply()).type, ACK);
    assert.equal(await client.isClosedByServer(), true);
  }
});

Deno.test("LIST: one reply per export, then ACK; never with data", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.option(3);
  const replies = await client.replies();
  assert.deepEqual(
    replies.map(({ type }) => type),
    [SERVER, SERVER, SERVER, ACK],
  );
  const [first] = replies;
  assert.ok(first);
  assert.equal(view(first.data).getUint32(0), 4);
  assert.equal(text(first.data.subarray(4)), "disk" + "a disk in memory");
  await client.option(3, "x");
  assert.equal((await client.reply()).type, ERR_INVALID);
  await isAlive(client);
});

Deno.test("STARTTLS and EXTENDED_HEADERS are not supported", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  for (const option of [5, 11, 4, 0, 12, 0xffffffff]) {
    await client.option(option);
    assert.equal((await client.reply()).type, ERR_UNSUP);
  }
});

Deno.test("INFO tells what GO tells, and stays in the handshake", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.option(6, info("disk", 3, 1, 2, 0, 3, 77));
  const told = await client.replies();
  await client.option(7, info("disk", 3, 1, 2, 0, 3, 77));
  const toldByGo = await client.replies();
  assert.deepEqual(
    toldByGo.map(({ data }) => data.toHex()),
    told.map(({ data }) => data.toHex()),
  );
  const byKind = new Map(
    told.filter(({ type }) => type === INFO)
      .map(({ data }) => [view(data).getUint16(0), data]),
  );
  assert.deepEqual([...byKind.keys()].sort(), [0, 1, 2, 3]);
  assert.equal(byKind.get(0)?.length, 12);
  assert.equal(text(byKind.get(1)?.subarray(2) ?? u16(0)), "disk");
  assert.equal(text(byKind.get(2)?.subarray(2) ?? u16(0)), "a disk in memory");
  assert.equal((await client.read(0, 4)).length, 4);
});

Deno.test("INFO 3: block sizes obey their relations", async () => {
  await using rig = startRig({ disk: { minimumBlockBytes: 512 } });
  using client = await RawNbd.greet(rig.addr);
  await client.option(6, info("disk", 3));
  const sizes = (await client.replies())
    .find(({ type, data }) => type === INFO && view(data).getUint16(0) === 3);
  assert.equal(sizes?.data.length, 14);
  const fields = view(sizes.data);
  const [minimum, preferred, maximum] = [2, 6, 10].map((at) =>
    fields.getUint32(at)
  );
  assert.equal(minimum, 512);
  assert.equal(preferred, 4096);
  assert.equal(maximum, 32 * 1024 * 1024);
});

Deno.test("INFO and GO: unknown names and refusals are told, and it goes on", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  for (const option of [6, 7]) {
    await client.option(option, info("nothing"));
    assert.equal((await client.reply()).type, ERR_UNKNOWN);
    await client.option(option, info("refused"));
    const refusal = await client.reply();
    assert.equal(refusal.type, ERR_POLICY);
    assert.equal(text(refusal.data), REFUSAL);
  }
  await client.go("disk");
  assert.equal((await client.read(0, 4)).length, 4);
});

Deno.test("malformed data is ERR_INVALID, and it goes on", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.agreeStructured();
  const malformed: [number, Uint8Array][] = [
    [6, joined([])],
    [6, u16(0)],
    [6, joined([u32(0)])], // no count
    [6, joined([u32(5), "disk", u16(0)])], // name past the end
    [6, joined([u32(0xffffffff), "disk", u16(0)])],
    [7, joined([u32(4), "disk", u16(1)])], // a kind is missing
    [7, joined([u32(4), "disk", u16(0), "x"])], // trailing
    [7, joined([u32(4), "disk", u16(65535), u16(0)])],
    [7, joined([u32(2), new Uint8Array([0xc3, 0x28]), u16(0)])], // not UTF-8
    [7, joined([u32(2), "d\0", u16(0)])],
    [9, u32(0)], // no count
    [9, joined([u32(4), "disk", u32(1)])],
    [9, joined([u32(4), "disk", u32(0xffffffff)])],
    [10, joined([u32(4), "disk", u32(1), u32(9), "base:"])],
    [10, joined([u32(4), "disk", u32(1), u32(5), "base:", "x"])],
    [10, joined([u32(9), "disk", u32(0)])],
  ];
  for (const [option, data] of malformed) {
    await client.option(option, data);
    const { type } = await client.reply();
    assert.equal(type, ERR_INVALID, `option ${option}: ${data.toHex()}`);
  }
  await client.go("disk");
  await client.request({ type: 0, length: 4 });
  assert.equal((await client.chunk()).type, 1);
});

Deno.test("STRUCTURED_REPLY: ACK without data, ERR_INVALID with", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  await client.option(8, "x");
  assert.equal((await client.reply()).type, ERR_INVALID);
  await client.option(10, queries("disk", "base:allocation"));
  assert.equal((await client.reply()).type, ERR_INVALID);
  await client.option(8);
  assert.equal((await client.reply()).type, ACK);
});

Deno.test("LIST_META_CONTEXT: all, a namespace, a leaf, none", async () => {
  await using rig = startRig();
  using client = await RawNbd.greet(rig.addr);
  for (
    const [asked, isFound] of [
      [[], true],
      [["base:"], true],
      [["base:allocation", "base:allocation"], true],
      [["base:other"], false],
      [["qemu:dirty-bitmap:b"], false],
    ] as const
  ) {
    await client.option(9, queries("disk", ...asked));
    const replies = await client.replies();
    const found = replies.filter(({ type }) => type === META_CONTEXT);
    assert.equal(found.length, isFound ? 1 : 0, String(asked));
    if (found[0] !== undefined) {
      assert.equal(text(found[0].data.subarray(4)), "base:allocation");
    }
    assert.equal(replies.at(-1)?.type, ACK);
  }
  await client.option(9, queries("nothing"));
  assert.equal((await client.reply()).type, ERR_UNKNOWN);
  await client.option(9, queries("refused"));
  assert.equal((await client.reply()).type, ERR_POLICY);
});

Deno.test("SET_META_CONTEXT: only known leaves are chosen", async () => {
  await using rig = startRig();
  const chosen = async (asked: string[][], goName = "disk") => {
    using client = await RawNbd.greet(rig.addr);
    await client.agreeStructured();
    for (const each of asked) {
      const name = each[0] === "nothing" ? "nothing" : "disk";
      await client.option(10, queries(name, ...each));
      await client.replies();
    }
    await client.go(goName);
    await client.request({ type: 7, length: 4096 });
    return (await client.chunk()).type === 5;
  };
  assert.equal(await chosen([["base:allocation"]]), true);
  assert.equal(await chosen([["x:y", "base:allocation", "base:no"]]), true);
  assert.equal(await chosen([]), false);
  assert.equal(await chosen([[]]), false);
  assert.equal(await chosen([["base:"]]), false);
  assert.equal(await chosen([["base:no"]]), false);
  // A later choice replaces the earlier one, even one that fails.
  assert.equal(await chosen([["base:allocation"], []]), false);
  assert.equal(await chosen([["base:allocation"], ["nothing"]]), false);
  // It is valid for its own export only.
  assert.equal(await chosen([["base:allocation"]], "read-only"), false);
});

Deno.test("transmission flags say what the export can", async () => {
  await using rig = startRig();
  const flagsOf = async (name: string, structured: boolean) => {
    using client = await RawNbd.greet(rig.addr);
    if (structured) await client.agreeStructured();
    return (await client.go(name)).flags;
  };
  // FLAGS FLUSH FUA TRIM ZEROES MULTI_CONN CACHE FAST_ZERO
  assert.equal(await flagsOf("disk", false), 0x0d6d);
  assert.equal(await flagsOf("disk", true), 0x0ded);
  // FLAGS READ_ONLY FLUSH FUA CACHE, no MULTI_CONN
  assert.equal(await flagsOf("read-only", false), 0x040f);
});

Deno.test("too many connections: one export, and the whole server", async () => {
  const limits = { exportConnectionsMax: 2, connectionsMax: 4 };
  await using rig = startRig({ limits });
  using first = await RawNbd.greet(rig.addr);
  await first.go("disk");
  using second = await RawNbd.greet(rig.addr);
  await second.go("disk");
  using third = await RawNbd.greet(rig.addr);
  await third.option(7, info("disk"));
  const refusal = await third.reply();
  assert.equal(refusal.type, ERR_POLICY);
  assert.match(text(refusal.data), /2 connections/);
  await third.go("read-only");
  using halfOpen = await RawNbd.greet(rig.addr);
  // Who only holds a place gives it up; who works does not.
  using fourth = await RawNbd.greet(rig.addr);
  assert.equal(await halfOpen.isClosedByServer(), true);
  await fourth.go("read-only");
  assert.equal(await fourth.errorOf({ type: FLUSH }), 0);
  using fifth = await RawNbd.connect(rig.addr);
  assert.equal(await fifth.isClosedByServer(), true);
  assert.equal(await fourth.errorOf({ type: FLUSH }), 0);
});
