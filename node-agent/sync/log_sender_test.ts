import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import {
  INLINE_BODY_BYTES_MAX,
  RECORD_BODY_BYTES_MAX,
  type SyncPosition,
} from "@kedge/schema";
import { decodeRecords } from "@kedge/schema/wire/records";
import type { ByteChannel, LogPlace } from "../ports.ts";
import { eventually } from "../../tests/helpers/eventually.ts";
import { MemoryStore } from "../../tests/helpers/memory_store.ts";
import { MemoryNetwork } from "../../tests/helpers/memory_transport.ts";
import { stageFile } from "../../tests/helpers/replica_group.ts";
import { encodeRecord, encodeRecordHead } from "@kedge/schema/wire/records";
import { FrameLink } from "./frame_link.ts";
import { encodeNamed } from "./log_encoding.ts";
import { LogSender } from "./log_sender.ts";
import { RecentRecords } from "./recent_records.ts";

async function linkPair(): Promise<[FrameLink, FrameLink]> {
  const transport = new MemoryNetwork().transport();
  const accepted = Promise.withResolvers<ByteChannel>();
  const door = transport.listen(
    { hostname: "here", port: 0 },
    accepted.resolve,
  );
  const near = new FrameLink(await transport.connect(door.address, 100));
  const far = new FrameLink(await accepted.promise);
  near.trust();
  far.trust();
  return [near, far];
}

function at(sequence: number): SyncPosition {
  return { origin: 1, incarnation: 1, sequence };
}

/** A sender, and the sequences that arrive at the other end. */
class Rig {
  readonly store = new MemoryStore(1);
  recent = new RecentRecords(0);
  readonly seen: string[] = [];
  /** State and content of every record that arrived. */
  readonly kinds: string[] = [];
  epoch = 1;
  paced = 0;
  /** Of the bytes of each record that came. */
  readonly sums: number[] = [];
  readonly #bytes = new Uint8Array(30_000);

  near: FrameLink | undefined;
  recordBytesMax = RECORD_BODY_BYTES_MAX;

  async sender(
    positions: SyncPosition[] = [],
    toldCut?: LogPlace,
  ): Promise<LogSender> {
    const [near, far] = await linkPair();
    this.near = near;
    void this.#listen(far);
    const sender = new LogSender({
      link: near,
      log: this.store,
      recent: this.recent,
      positions,
      toldCut,
      recordBytesMax: this.recordBytesMax,
      epoch: () => this.epoch,
      pace: (bytes) => {
        this.paced += bytes;
        return Promise.resolve();
      },
    });
    return sender;
  }

  async add(bytes = this.#bytes, isCopied = true): Promise<void> {
    const { change } = await stageFile(this.store, bytes);
    const content = { kind: "inline", bytes } as const;
    const where = { kind: "inline" } as const;
    const sequence = this.recent.last + 1;
    const record = isCopied
      ? { encoded: encodeRecord(change, where, bytes) }
      : {
        encoded: encodeRecordHead(change, where, bytes.length),
        inline: bytes,
        named: () => encodeNamed(change),
      };
    this.recent.push(sequence, { ...record, durable: false });
    await this.store.append({ sequence, change, content }, false);
    this.recent.stored(sequence);
  }

  async #listen(far: FrameLink): Promise<void> {
    for (;;) {
      const frame = await far.receive();
      if (frame === undefined) return;
      const decoded = decodeRecords(frame.body, "group1");
      assert(decoded.ok);
      const { incarnation, firstSequence, records } = decoded.value;
      records.forEach(({ change, content, inline }, i) => {
        this.sums.push(inline.reduce((sum, byte) => sum + byte, 0));
        this.seen.push(`${incarnation}/${firstSequence + i}@${frame.epoch}`);
        this.kinds.push(`${change.entry.state} ${content.kind}`);
      });
    }
  }

  async has(...wanted: string[]): Promise<void> {
    await eventually(() => {
      assert.deepEqual(this.seen, wanted);
      return true;
    }, { what: wanted.join(), pauseMs: 2, deadlineMs: 3000 });
  }
}

Deno.test("LogSender sends nothing before it is started, then all of it", async () => {
  const rig = new Rig();
  const sender = await rig.sender();
  await rig.add();
  await rig.add();
  sender.poke();
  await rig.has();
  sender.start();
  await rig.has("1/1@1", "1/2@1");
  await rig.add();
  sender.poke();
  await rig.has("1/1@1", "1/2@1", "1/3@1");
  assert.equal(rig.paced, 0, "what is in memory is not catching up");
});

Deno.test("LogSender sends long bytes from where they lie", async () => {
  const rig = new Rig();
  const sender = await rig.sender();
  const filled = (byte: number) => new Uint8Array(20_000).fill(byte);
  await rig.add(filled(1), false);
  await rig.add(filled(2));
  await rig.add(filled(3), false);
  assert(rig.recent.heldBytes > 60_000, "what is not copied counts");
  sender.start();
  await rig.has("1/1@1", "1/2@1", "1/3@1");
  assert.deepEqual(rig.sums, [20_000, 40_000, 60_000]);
  assert(sender.underWayBytes > 60_000);
});

Deno.test("LogSender waits for a peer behind the cut, and goes on behind it", async () => {
  const rig = new Rig();
  for (let i = 0; i < 5; i++) await rig.add();
  const cut = { incarnation: 1, sequence: 3 };
  await rig.store.cutLog(cut);
  const sender = await rig.sender([at(2)], cut);
  assert.equal(sender.standing.lacksEarlier, true);
  sender.start();
  await rig.has();
  assert.equal(sender.onAck({ incarnation: 1, written: 4, durable: 4 }), false);
  assert.equal(sender.onAck({ incarnation: 1, written: 3, durable: 3 }), true);
  assert.equal(sender.standing.lacksEarlier, false);
  await rig.has("1/4@1", "1/5@1");
});

Deno.test("LogSender closes a link whose peer knows of an older cut", async () => {
  const rig = new Rig();
  for (let i = 0; i < 5; i++) await rig.add();
  const sender = await rig.sender([at(2)]);
  await rig.store.cutLog({ incarnation: 1, sequence: 3 });
  sender.start();
  await eventually(() => rig.near?.closedWhy?.includes("forgotten"), {
    what: "the link to close",
    pauseMs: 2,
  });
});

Deno.test("LogSender gathers what nobody waits for, until somebody does", async () => {
  const rig = new Rig();
  const sender = await rig.sender();
  sender.start();
  await rig.add();
  sender.pokeSoon();
  await Promise.resolve();
  assert.equal(sender.underWayBytes, 0, "it waits for more");
  await rig.add();
  sender.poke();
  await rig.has("1/1@1", "1/2@1");
  await rig.add();
  sender.pokeSoon();
  await rig.has("1/1@1", "1/2@1", "1/3@1");
});

Deno.test("LogSender sends at once what is much, though nobody waits for it", async () => {
  const rig = new Rig();
  const sender = await rig.sender();
  sender.start();
  const turns = async () => {
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  };
  await turns();
  for (let i = 0; i < 17; i++) { // 510 kB
    await rig.add();
    sender.pokeSoon();
  }
  await turns();
  assert.equal(sender.underWayBytes, 0, "it waits for more");
  await rig.add();
  sender.pokeSoon();
  await turns();
  assert(sender.underWayBytes > 520_000);
});

Deno.test("LogSender has records kept that it has not sent", async () => {
  const rig = new Rig();
  const sender = await rig.sender();
  sender.start();
  const long = new Uint8Array(200_000);
  for (let i = 0; i < 200; i++) await rig.add(long, false); // 40 MB
  sender.poke();
  await eventually(() => rig.seen.length > 40, { what: "a full window" });
  assert.equal(sender.next, rig.seen.length + 1);
  assert(rig.recent.heldBytes > 30e6, "what is not sent");
  assert.equal(rig.recent.first, sender.next);
  sender.stop();
  assert(rig.recent.heldBytes < 17e6, "it is let go");
});

Deno.test("LogSender reads old runs from the log, at the pace of catching up", async () => {
  const rig = new Rig();
  const { change } = await stageFile(rig.store, Uint8Array.of(1));
  const content = { kind: "inline", bytes: Uint8Array.of(1) } as const;
  await rig.store.append({ sequence: 1, change, content }, false);
  rig.store.restart();
  await rig.add();
  (await rig.sender()).start();
  await rig.has("1/1@1", "2/1@1");
  assert(rig.paced > 0);
});

Deno.test("LogSender asks the log what became of records from before the link", async () => {
  const rig = new Rig();
  await rig.add();
  await rig.add();
  const [first] = rig.store.list();
  assert(first);
  const dead = { ...first, state: "tombstone", version: 2 } as const;
  await rig.store.adopt([{ entry: dead, content: { kind: "none" } }]);
  (await rig.sender()).start();
  await rig.has("1/1@1", "1/2@1");
  assert.deepEqual(rig.kinds, ["tombstone none", "present inline"]);
  await rig.store.collectTombstones(rig.store.tombstoneMark());
  (await rig.sender()).start();
  await eventually(() => rig.kinds.length === 4, { what: "both again" });
  assert.deepEqual(rig.kinds.slice(2), ["present gone", "present inline"]);
});

Deno.test("LogSender stops at its window until the peer acknowledges", async () => {
  const rig = new Rig();
  const sender = await rig.sender();
  for (let i = 0; i < 400; i++) await rig.add(); // 12 MB
  sender.start();
  await eventually(() => sender.underWayBytes >= 8 * 1024 * 1024, {
    what: "a full window",
  });
  const sent = rig.seen.length;
  assert(sent < 400, `${sent} were sent`);
  assert(sender.onAck({ incarnation: 1, written: 200, durable: 0 }));
  await eventually(() => rig.seen.length === 400, { what: "the rest" });
  assert(!sender.onAck({ incarnation: 1, written: 401, durable: 0 }));
});

Deno.test("LogSender goes back after a reject and waits for the epoch", async () => {
  const rig = new Rig();
  await rig.add();
  await rig.add();
  const sender = await rig.sender();
  sender.start();
  await rig.has("1/1@1", "1/2@1");
  assert(sender.onAck({ incarnation: 1, written: 1, durable: 0 }));
  sender.onReject(3);
  sender.poke();
  await rig.add();
  sender.poke();
  await rig.has("1/1@1", "1/2@1");
  rig.epoch = 3;
  sender.poke();
  await rig.has("1/1@1", "1/2@1", "1/2@3", "1/3@3");
});

Deno.test("LogSender goes on where the peer is, run by run", async () => {
  const rig = new Rig();
  await rig.add();
  await rig.add();
  rig.store.restart();
  const at = (incarnation: number, sequence: number) => ({
    origin: 1,
    incarnation,
    sequence,
  });
  rig.recent = new RecentRecords(0);
  await rig.add();
  await rig.add();
  const sender = await rig.sender([at(1, 1), at(2, 1), at(77, 9)]);
  assert.deepEqual(sender.standing, {
    written: 1,
    durable: 1,
    lacksEarlier: true,
    knowsMore: false, // run 77 is from before this node was wiped
  });
  assert.equal(sender.lagChanges, 2);
  sender.start();
  await rig.has("1/2@1", "2/2@1");
  assert(!sender.onAck({ incarnation: 77, written: 10, durable: 0 }));
  assert(sender.onAck({ incarnation: 1, written: 2, durable: 2 }));
  assert.equal(sender.standing.lacksEarlier, false);
  const unsure = await rig.sender([at(1, 1)]);
  unsure.start();
  await eventually(() => unsure.underWayBytes > 60_000, { what: "all sent" });
  assert(unsure.onAck({ incarnation: 1, written: 2, durable: 1 }));
  assert.equal(unsure.standing.lacksEarlier, true, "stored, not flushed there");
  assert(unsure.onAck({ incarnation: 2, written: 2, durable: 1 }));
  assert.equal(
    unsure.standing.lacksEarlier,
    false,
    "a flush covers all before",
  );
  const more = await rig.sender([at(2, 3)]);
  assert.equal(more.standing.knowsMore, true);
});

Deno.test("LogSender sends an older peer no more bytes than it takes", async () => {
  const rig = new Rig();
  rig.recordBytesMax = INLINE_BODY_BYTES_MAX;
  const fits = new Uint8Array(INLINE_BODY_BYTES_MAX);
  const isTooLong = new Uint8Array(INLINE_BODY_BYTES_MAX + 1);
  await rig.add(isTooLong, false); // it comes from the log
  await rig.add(fits, false);
  rig.recent = new RecentRecords(rig.recent.last);
  const sender = await rig.sender();
  sender.start();
  await rig.has("1/1@1", "1/2@1");
  await rig.add(isTooLong, false); // it comes from memory
  await rig.add(fits, false);
  sender.poke();
  await rig.has("1/1@1", "1/2@1", "1/3@1", "1/4@1");
  const kinds = ["present elsewhere", "present inline"];
  assert.deepEqual(rig.kinds, [...kinds, ...kinds]);
});

Deno.test("LogSender sends a peer that takes more no more than a frame holds", async () => {
  const rig = new Rig();
  rig.recordBytesMax = 1 << 30;
  await rig.add(new Uint8Array(RECORD_BODY_BYTES_MAX + 1), false);
  await rig.add(new Uint8Array(RECORD_BODY_BYTES_MAX), false);
  await rig.add(new Uint8Array(1 << 20), false);
  rig.recent = new RecentRecords(rig.recent.last); // they come from the log
  const sender = await rig.sender();
  sender.start();
  await rig.has("1/1@1", "1/2@1", "1/3@1");
  const elsewhere = "present elsewhere";
  assert.deepEqual(rig.kinds, [elsewhere, "present inline", elsewhere]);
});
