/**
 * Clients that say nonsense to the export of a mirrored volume: their requests
 * fail or their connection ends, other sessions go on, and both disks stay
 * equal.
 *
 * Scenario S65.
 *
 * @module
 */

import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { openExport } from "../helpers/mirror_pair_client.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import { RESOURCE } from "../helpers/mirror_pair.ts";
import { conversation } from "../helpers/nbd_fuzz.ts";
import { optionBytes, RawNbd, u32 } from "../helpers/nbd_raw.ts";
import { Random } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

const TALKS = Number(Deno.env.get("KEDGE_MIRROR_FUZZ") ?? 300);
const MIB = 1024 * 1024;
const [READ, WRITE, ZEROES] = [0, 1, 6];

/** Requests that must be answered with an error, or by a closed connection. */
function badRequests(sizeBytes: number) {
  return {
    "an unknown command": { type: 77, offset: 0, length: 512 },
    "a read behind the end": { type: READ, offset: sizeBytes, length: 512 },
    "a read over the end": {
      type: READ,
      offset: sizeBytes - 512,
      length: 1024,
    },
    "an offset that overflows": {
      type: READ,
      offset: 2n ** 64n - 512n,
      length: 1024,
    },
    "a read of 4 GiB": { type: READ, offset: 0, length: 0xffff_ffff },
    "zeroes over the end": { type: ZEROES, offset: 4096, length: 0xffff_f000 },
    "a write over the end": {
      type: WRITE,
      offset: sizeBytes - 512,
      data: new Uint8Array(1024),
    },
    "flags that do not exist": { type: READ, flags: 0xffff, length: 512 },
  } as const;
}

Deno.test("S65 malformed requests at a mirrored volume", async (t) => {
  await using scope = new Scope();
  const life = await MirrorLife.start(scope, "S65", { protocol: "C" });
  const { a, b } = life.pair;
  const load = await life.load(a, { depth: 4 });
  const { sizeBytes } = life.model;
  for (const [what, request] of Object.entries(badRequests(sizeBytes))) {
    await t.step(what, async () => {
      using client = await openExport(a.exportSocket, RESOURCE);
      await client.request(request);
      const answer = await client.simple().catch(() => undefined);
      if (answer !== undefined) notEqual(answer.error, 0);
    });
  }
  await t.step("an option of 4 GiB, and clients that leave early", async () => {
    const addr = { transport: "unix", path: a.exportSocket } as const;
    using greedy = await RawNbd.greet(addr);
    await greedy.send("IHAVEOPT", u32(7), u32(0xffff_ffff));
    ok((await greedy.reply()).type >= 0x8000_0000); // an error
    using endless = await openExport(a.exportSocket, RESOURCE);
    await endless.request({ type: WRITE, offset: 0, length: 0xffff_ffff });
    await endless.send(new Uint8Array(100_000));
    for (const length of [1, 4, 12, 30]) {
      using early = await RawNbd.greet(addr);
      await early.send(optionBytes(7, u32(6), RESOURCE).subarray(0, length));
    }
    using half = await openExport(a.exportSocket, RESOURCE);
    await half.send(new Uint8Array([0x25, 0x60, 0x95]));
  });
  await load.until(load.acknowledged + 100);
  await load.stop();
  life.wasGood(load);
  await life.nothingIsLost(a);
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await life.disksAreEqual();
});

Deno.test(`S65 ${TALKS} malformed conversations are mirrored alike`, async () => {
  await using scope = new Scope();
  const life = await MirrorLife.start(scope, "S65 fuzz", { protocol: "C" });
  const { a, b } = life.pair;
  const seed = life.random.between(0, 2 ** 31);
  let next = 0;
  const worker = async () => {
    while (next < TALKS) {
      const random = new Random(seed + 7919 * next++);
      await talk(a.exportSocket, conversation(random, [RESOURCE, "other"]));
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  equal(a.child.ended || b.child.ended, false, `seed ${seed}: ${a.log}`);
  const { state, counters } = await a.volume();
  equal(state.role, "Primary");
  ok(counters.writtenBytes > MIB, "hardly anything was written");
  await a.until(
    "quiet",
    ({ applicationPending, peerPending }) =>
      applicationPending + peerPending === 0,
  );
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  deepEqual(await life.difference(), []);
});

/** Say everything, and hear until the server closes or has no more to say. */
async function talk(path: string, bytes: Uint8Array): Promise<void> {
  const conn = await Deno.connect({ transport: "unix", path });
  const answers = new Uint8Array(65_536);
  const heard = (async () => {
    while (await conn.read(answers) !== null);
  })().catch(() => {});
  try {
    for (let at = 0; at < bytes.length;) {
      at += await conn.write(bytes.subarray(at));
    }
    await conn.closeWrite();
    await heard;
  } catch {
    // The server has closed.
  } finally {
    conn.close();
  }
}
