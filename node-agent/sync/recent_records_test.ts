import assert from "node:assert/strict";
import { MIB } from "@kedge/schema";
import { ClientBodies } from "../client_bodies.ts";
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

Deno.test("RecentRecords holds what a peer lacks up to a limit", () => {
  const recent = new RecentRecords(0);
  recent.follow({ next: 0, acked: 0 });
  fill(recent, 40);
  assert.equal(recent.heldBytes, 16 * MIB);
  assert.equal(recent.first, 25);
  assert.equal(recent.pushedBytes, 40 * MIB);
});

Deno.test("RecentRecords holds more for who sends the oldest, and no more than that", () => {
  const recent = new RecentRecords(0);
  const [slow, slower] = [{ next: 1, acked: 0 }, {
    next: 1,
    acked: 0,
  }];
  recent.follow(slow);
  recent.follow(slower);
  fill(recent, 50);
  assert.equal(recent.heldBytes, 50 * MIB);
  slow.next = 41;
  slower.next = 11;
  recent.moved();
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
  recent.follow({ next: 1, acked: 0 });
  for (let sequence = 1; sequence <= 80; sequence++) {
    recent.push(sequence, { encoded: new Uint8Array(MIB), durable: false });
  }
  assert.equal(recent.first, 1);
  recent.stored(80);
  assert.equal(recent.first, 65);
});

Deno.test("RecentRecords lets go of what is stored and every peer has", () => {
  const recent = new RecentRecords(0);
  const [near, far] = [{ next: 3, acked: 2 }, { next: 3, acked: 1 }];
  recent.follow(near);
  recent.follow(far);
  for (let sequence = 1; sequence <= 3; sequence++) {
    recent.push(sequence, { encoded: new Uint8Array(100), durable: false });
  }
  recent.moved();
  assert.equal(recent.first, 1, "nothing is stored");
  recent.stored(3);
  assert.equal(recent.first, 2, "one peer lacks the second");
  far.acked = 2;
  recent.moved();
  assert.equal(recent.first, 3);
  recent.letGo(near);
  assert.equal(recent.first, 3, "the other lacks the third");
  recent.letGo(far);
  assert.equal(recent.first, 4, "nobody is fed from here");
  assert.equal(recent.heldBytes, 0);
});

Deno.test("RecentRecords gives bytes back when it lets go, and not while they are sent", () => {
  const bodies = new ClientBodies();
  const recent = new RecentRecords(0, bodies);
  const peer = { next: 1, acked: 0 };
  recent.follow(peer);
  for (let sequence = 1; sequence <= 3; sequence++) {
    const inline = bodies.take(200_000);
    const letGo = bodies.hold(inline);
    recent.push(sequence, {
      encoded: new Uint8Array(1),
      inline,
      durable: false,
    });
    letGo();
  }
  const roomBytes = 256 * 1024;
  assert.equal(recent.heldBytes, 3 * (roomBytes + 1), "all of their memory");
  assert.equal(recent.pushedBytes, 3 * 200_001);
  recent.stored(3);
  assert.equal(bodies.freeBytes, 0, "the peer has nothing");
  const sent = recent.hold(1, 2);
  peer.acked = 3;
  recent.moved();
  assert.equal(recent.first, 4);
  assert.equal(bodies.freeBytes, roomBytes, "two are under way");
  sent();
  assert.equal(bodies.freeBytes, 3 * roomBytes);
});
