import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { encodeRecordHead } from "@kedge/schema/wire/records";
import { eventually } from "../../tests/helpers/eventually.ts";
import { MemoryStore } from "../../tests/helpers/memory_store.ts";
import { stageFile } from "../../tests/helpers/replica_group.ts";
import { ClientBodies } from "../client_bodies.ts";
import type { ByteChannel } from "../ports.ts";
import { FrameLink } from "./frame_link.ts";
import { LogSender } from "./log_sender.ts";
import { RecentRecords } from "./recent_records.ts";

/** A connection whose writes end when they are told to. */
class StuckChannel implements ByteChannel {
  readonly remote = "stuck";
  readonly writes: (() => void)[] = [];

  read(): Promise<null> {
    return new Promise(() => {});
  }

  write(): Promise<void> {
    return new Promise((resolve) => this.writes.push(resolve));
  }

  /** The writes under way end. */
  async goOn(): Promise<void> {
    this.writes.splice(0).forEach((done) => done());
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  }

  close(): void {}
}

/** A record that is being written to a peer, and is held nowhere else. */
async function sending() {
  const bodies = new ClientBodies();
  const recent = new RecentRecords(0, bodies);
  const log = new MemoryStore(1);
  const channel = new StuckChannel();
  const link = new FrameLink(channel);
  const sender = new LogSender({
    ...{ link, log, recent, positions: [], recordBytesMax: 1 << 18 },
    epoch: () => 1,
    pace: () => Promise.resolve(),
  });
  sender.start();
  const inline = bodies.take(200_000);
  const letGo = bodies.hold(inline);
  const { change } = await stageFile(log, inline);
  const where = { kind: "inline" } as const;
  const encoded = encodeRecordHead(change, where, inline.length);
  recent.push(1, { encoded, inline, durable: false });
  letGo();
  recent.stored(1);
  sender.poke();
  await eventually(() => channel.writes.length === 1, { what: "a write" });
  assert(sender.onAck({ incarnation: 1, written: 1, durable: 1 }));
  assert.equal(recent.first, 2, "the peer says that it has it");
  return { bodies, channel, link };
}

Deno.test("LogSender gives bytes back once the connection has taken them", async () => {
  const { bodies, channel } = await sending();
  let writes = 0;
  while (channel.writes.length > 0) {
    assert.equal(bodies.freeBytes, 0, `write ${++writes} is under way`);
    await channel.goOn();
  }
  assert(writes > 1, "head and bytes are written one after the other");
  assert.equal(bodies.freeBytes, 256 * 1024);
});

Deno.test("LogSender never gives bytes back when the link is closed in a write", async () => {
  const { bodies, channel, link } = await sending();
  link.close("the peer is gone");
  await channel.goOn();
  assert.equal(bodies.freeBytes, 0);
});
