import assert from "node:assert/strict";
import type { GroupRegister, NodeId } from "@kedge/schema";
import { type Frame, FRAME_KINDS } from "@kedge/schema/wire/frame";
import { encodeText } from "@kedge/schema/wire/sync";
import { eventually } from "../../tests/helpers/eventually.ts";
import { OpenWork } from "./open_work.ts";
import { Tombstones } from "./tombstones.ts";

const AGE_MS = 1000;
const MARK = 7;

/** Node 1 of three, with peers that the test speaks for. */
class Rig {
  readonly open = new OpenWork();
  readonly collected: number[] = [];
  readonly tombstones: Tombstones;
  register: GroupRegister = registerAt(5);
  /** The request that peers were sent last. */
  asked = 0;
  nowMs = 0;
  /** Last number of our log; it is stored at once. */
  head = 3;
  #reported = 0;

  constructor() {
    this.tombstones = new Tombstones({
      node: 1,
      ageMs: AGE_MS,
      clock: { monotonicMs: () => this.nowMs, wallMs: () => 0 },
      logger: { info() {}, warn() {} },
      open: this.open,
      log: {
        incarnation: 10,
        incarnations: () => [],
        positions: () => positions(20, 30),
        head: () => this.head,
        flush: () => Promise.resolve(void this.#reported++),
        tombstoneCount: () => 1,
        tombstoneMark: () => MARK,
        collectTombstones: (mark) => Promise.resolve(this.collected.push(mark)),
      },
      lastGiven: () => this.head,
      register: () => this.register,
      mayCollect: () => true,
      say: (_peer, kind, body) => {
        assert.equal(kind, "report-request");
        assert(typeof body === "object" && body !== null && "number" in body);
        this.asked = Number(body.number);
        return true;
      },
    });
  }

  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    const { asked } = this;
    const reported = this.#reported;
    this.tombstones.tick(this.nowMs);
    if (this.asked === asked) return;
    await eventually(() => this.#reported > reported, { what: "our report" });
  }

  /** A round, with its first wave asked. */
  async begin(): Promise<void> {
    await this.pass(0);
    await this.pass(AGE_MS);
    assert(this.asked > 0, "a round began");
  }

  /** A peer answers that it holds everything. */
  async hears(peer: NodeId, number = this.asked, held = 3): Promise<void> {
    const body = {
      number,
      ends: [{ origin: peer, incarnation: peer * 10, sequence: 4 }],
      positions: [
        { origin: 1, incarnation: 10, sequence: held },
        ...positions(20, 30),
      ],
    };
    assert.equal(this.tombstones.take(peer, frame("report", body)), undefined);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  async allAnswer(): Promise<void> {
    const number = this.asked;
    await this.hears(2, number);
    await this.hears(3, number);
  }
}

function positions(...incarnations: readonly number[]) {
  return incarnations.map((incarnation) => ({
    origin: incarnation / 10,
    incarnation,
    sequence: 4,
  }));
}

function registerAt(epoch: number): GroupRegister {
  const members = [1, 2, 3].map((node) => ({
    node,
    store: crypto.randomUUID(),
  }));
  const gen = crypto.randomUUID();
  return { group: "group1", gen, epoch, members, insync: [1, 2, 3] };
}

function frame(kind: keyof typeof FRAME_KINDS, value: unknown): Frame {
  const body = new Uint8Array(encodeText(value));
  const bodyLength = body.length;
  return { kind, durable: false, bodyLength, bodyCrc: 0, epoch: 5, body };
}

Deno.test("Tombstones collects after two waves of everybody's reports", async () => {
  const rig = new Rig();
  await rig.begin();
  await rig.allAnswer();
  assert.deepEqual(rig.collected, [], "one barrier is not enough");
  await rig.allAnswer();
  assert.deepEqual(rig.collected, [MARK]);
});

Deno.test("Tombstones counts no report that was asked for before a barrier", async () => {
  const rig = new Rig();
  await rig.begin();
  const first = rig.asked;
  await rig.allAnswer();
  assert.notEqual(rig.asked, first);
  await rig.hears(2, first);
  await rig.hears(3, first);
  await rig.hears(2);
  assert.deepEqual(rig.collected, []);
  await rig.hears(3);
  assert.deepEqual(rig.collected, [MARK]);
});

Deno.test("Tombstones waits for a member that does not hold a log", async () => {
  const rig = new Rig();
  await rig.begin();
  await rig.hears(2);
  await rig.hears(3, rig.asked, 2);
  await rig.allAnswer();
  assert.deepEqual(rig.collected, []);
  await rig.pass(400); // the next wave
  await rig.allAnswer();
  await rig.allAnswer();
  assert.deepEqual(rig.collected, [MARK]);
});

Deno.test("Tombstones waits for a fetch that began before the second barrier", async () => {
  const rig = new Rig();
  const fetched = Promise.withResolvers<void>();
  const fetch = rig.open.during(() => fetched.promise);
  await rig.begin();
  await rig.allAnswer();
  const later = rig.open.during(() => new Promise<void>(() => {}));
  await rig.allAnswer();
  assert.deepEqual(rig.collected, []);
  fetched.resolve();
  await fetch;
  await rig.pass(400);
  await rig.allAnswer();
  assert.deepEqual(rig.collected, [MARK], "what began later is no obstacle");
  void later;
});

Deno.test("Tombstones starts over when the epoch moves or a link is lost", async () => {
  const rig = new Rig();
  await rig.begin();
  await rig.allAnswer();
  rig.register = registerAt(6);
  await rig.allAnswer();
  assert.deepEqual(rig.collected, []);
  assert.match(rig.tombstones.status().blocked ?? "", /register moved/);

  await rig.pass(AGE_MS);
  await rig.allAnswer();
  rig.tombstones.unlinked(3);
  await rig.allAnswer();
  assert.deepEqual(rig.collected, []);
  assert.match(rig.tombstones.status().blocked ?? "", /link to node 3/);

  await rig.pass(AGE_MS);
  await rig.allAnswer();
  await rig.allAnswer();
  assert.deepEqual(rig.collected, [MARK]);
});

Deno.test("Tombstones refuses frames that are damaged", () => {
  const rig = new Rig();
  const wrong = [{}, { number: -1 }, "x"];
  for (const body of wrong) {
    assert.match(
      rig.tombstones.take(2, frame("report-request", body)) ?? "",
      /./,
    );
    assert.match(rig.tombstones.take(2, frame("report", body)) ?? "", /./);
  }
});
