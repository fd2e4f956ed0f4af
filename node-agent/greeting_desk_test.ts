import assert from "node:assert/strict";
import {
  GreetingDesk,
  GREETINGS_MAX,
  hostOf,
  type Place,
  STRANGERS_PER_ADDRESS_MAX,
} from "./greeting_desk.ts";

/** A connection of this address; tells whether it was closed. */
class Caller implements Place {
  isClosed = false;
  readonly host: string;

  constructor(host: string) {
    this.host = host;
  }

  close(): void {
    this.isClosed = true;
  }
}

function enter(desk: GreetingDesk, count: number, host: (n: number) => string) {
  const callers = Array.from({ length: count }, (_, n) => new Caller(host(n)));
  for (const caller of callers) desk.enter(caller);
  return callers;
}

Deno.test("one stranger's address holds few places, its newest ones", () => {
  const desk = new GreetingDesk();
  const callers = enter(desk, 60, () => "10.0.0.9");
  assert.equal(desk.size, STRANGERS_PER_ADDRESS_MAX);
  const open = callers.filter(({ isClosed }) => !isClosed);
  assert.deepEqual(open, callers.slice(-STRANGERS_PER_ADDRESS_MAX));
});

Deno.test("strangers of many addresses never cost a peer its place", () => {
  const desk = new GreetingDesk();
  desk.setPeers(["10.0.0.2"]);
  const [peer] = enter(desk, 1, () => "10.0.0.2");
  enter(desk, 5 * GREETINGS_MAX, (n) => `10.1.${n >> 8}.${n & 255}`);
  assert.equal(desk.size, GREETINGS_MAX);
  assert.equal(peer?.isClosed, false);
});

Deno.test("a new connection always gets a place, also from a full address", () => {
  const desk = new GreetingDesk();
  desk.setPeers(["127.0.0.1"]); // strangers and a peer on one host
  const silent = enter(desk, GREETINGS_MAX, () => "127.0.0.1");
  const [peer] = enter(desk, 1, () => "127.0.0.1");
  assert.equal(silent[0]?.isClosed, true);
  assert.equal(peer?.isClosed, false);
  assert.equal(desk.size, GREETINGS_MAX);
});

Deno.test("an address that somebody has proven himself from is no stranger", () => {
  const desk = new GreetingDesk();
  const peer = new Caller("peer-2.example");
  desk.enter(peer);
  desk.leave(peer, true);
  const more = enter(desk, 40, () => "peer-2.example");
  assert(more.every(({ isClosed }) => !isClosed));
  for (const caller of more) desk.leave(caller, false);
  assert.equal(desk.size, 0);
});

Deno.test("hostOf() is the address without its port", () => {
  assert.equal(hostOf("10.0.0.1:99"), "10.0.0.1");
  assert.equal(hostOf("::ffff:10.0.0.1:99"), "10.0.0.1");
  assert.equal(hostOf("fe80::1:99"), "fe80::1");
});
