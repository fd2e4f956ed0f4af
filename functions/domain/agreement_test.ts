import assert from "node:assert/strict";
import type { Agreement } from "@kedge/schema";
import { heartbeatOf } from "../testing.ts";
import { agreementOf } from "./agreement.ts";
import type { MemberState } from "./cluster.ts";
import { lagEtaS } from "./lag.ts";
import { groupOf, memberOf } from "./testing.ts";

interface Given {
  readonly hash?: string;
  /** What of node 1's log it has. */
  readonly at?: number;
  /** What of it is in its hash; all when missing. */
  readonly hashedAt?: number;
  readonly insync?: boolean;
  readonly alive?: boolean;
  /** Of the report; that of the register when missing. */
  readonly epoch?: number;
}

const HEAD = 10;
const EPOCH = groupOf([]).register.epoch;
const perS = {
  peers: [],
  catchUp: null,
  appliedPerS: 2,
  tombstones: { count: 0, forgotten: 0, blocked: null },
  pending: 0,
};

function member(node: number, given: Given): MemberState {
  const { hash, at = HEAD, insync = true, alive = true } = given;
  const position = { origin: 1, incarnation: 1, sequence: at };
  const hashed = [{ ...position, sequence: given.hashedAt ?? at }];
  return memberOf(node, {
    insync,
    alive,
    report: heartbeatOf({
      head: {
        origin: node,
        incarnation: 1,
        sequence: node === 1 ? HEAD : 0,
      },
      positions: [position],
      replication: perS,
      epoch: given.epoch ?? EPOCH,
      ...(hash === undefined ? {} : {
        root: { hash: hash.repeat(32), positions: hashed },
      }),
    }),
  });
}

function verdicts(...given: Given[]): Agreement[] {
  const group = groupOf(given.map((one, at) => member(at + 1, one)));
  return group.members.map((one) => agreementOf(group, one));
}

Deno.test("agreementOf(): equal hashes at quiet, whatever else", () => {
  assert.deepEqual(verdicts({ hash: "a" }), ["same"]);
  assert.deepEqual(verdicts({ hash: "a" }, { hash: "a" }), ["same", "same"]);
  assert.deepEqual(verdicts({ hash: "a" }, {}), ["same", "unknown"]);
  const dead = { hash: "b", alive: false };
  assert.deepEqual(verdicts({ hash: "a" }, dead), ["same", "unknown"]);
});

Deno.test("agreementOf(): another hash is no fault while something is under way", () => {
  const late = { hash: "b", at: 7 };
  assert.deepEqual(verdicts({ hash: "a" }, late), ["same", "behind"]);
  const stale = { hash: "a", hashedAt: 7 };
  assert.deepEqual(verdicts({ hash: "a" }, stale), ["same", "behind"]);
  const joining = { hash: "b", insync: false };
  assert.deepEqual(verdicts({ hash: "a" }, joining), ["same", "behind"]);
  const justJoined = { hash: "b", epoch: EPOCH - 1 };
  assert.deepEqual(verdicts({ hash: "a" }, justJoined), ["same", "behind"]);
});

Deno.test("agreementOf(): another hash at the same place is a difference", () => {
  const [a, b] = [{ hash: "a" }, { hash: "b" }];
  assert.deepEqual(verdicts(a, b), ["differs", "differs"]);
  assert.deepEqual(verdicts(a, a, b), ["same", "same", "differs"]);
  assert.deepEqual(verdicts(b, { ...a, at: 9 }, b), ["same", "behind", "same"]);
});

Deno.test("lagEtaS() is the lag at the rate of the last seconds", () => {
  const group = groupOf([member(1, {}), member(2, { at: 3 })]);
  const [first, second] = group.members;
  assert(first && second);
  assert.equal(lagEtaS(group, first), null);
  assert.equal(lagEtaS(group, second), 4);
});
