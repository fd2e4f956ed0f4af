import assert from "node:assert/strict";
import { MIB } from "@kedge/schema";
import { RecentRecords } from "./recent_records.ts";

/** Push stored records of one MiB each, up to a sequence. */
function fill(recent: RecentRecords, last: number): void {
  for (let sequence = recent.last + 1; sequence <= last; sequence++) {
    const inline = new Uint8Array(MIB - 1);
    recent.push(sequence, {
      encoded: new Uint8Array(1),
      inline,
      durable: false,
    });
    recent.stored(sequence);
  }
}

Deno.test("RecentRecords holds what nobody waits for up to a limit", () => {
  const recent = new RecentRecords(0);
  fill(recent, 40);
  assert.equal(recent.heldBytes, 16 * MIB);
  assert.equal(recent.first, 25);
  assert.equal(recent.pushedBytes, 40 * MIB);
});

Deno.test("RecentRecords holds more for who sends the oldest, and no more than that", () => {
  const recent = new RecentRecords(0);
  const [slow, slower] = [{ next: 1 }, { next: 1 }];
  recent.follow(slow);
  recent.follow(slower);
  fill(recent, 50);
  assert.equal(recent.heldBytes, 50 * MIB);
  slow.next = 41;
  slower.next = 11;
  recent.sent();
  assert.equal(recent.first, 11, "the slowest counts");
  recent.letGo(slower);
  assert.equal(recent.heldBytes, 16 * MIB);
  assert.equal(recent.first, 35);
  fill(recent, 200);
  assert.equal(recent.first, 185, "who fell out is not waited for");
  assert.equal(recent.get(184), undefined);
  slow.next = 185;
  fill(recent, 300);
  assert.equal(recent.heldBytes, 16 * MIB, "once more than the limit is lost");
});

Deno.test("RecentRecords holds what is not stored, whatever it is", () => {
  const recent = new RecentRecords(0);
  for (let sequence = 1; sequence <= 80; sequence++) {
    recent.push(sequence, { encoded: new Uint8Array(MIB), durable: false });
  }
  assert.equal(recent.first, 1);
  recent.stored(80);
  assert.equal(recent.first, 65);
});
