import assert from "node:assert/strict";
import {
  changeRegister,
  emptyRegister,
  type GroupRegister,
} from "@kedge/schema/register";
import { ReplicaCore } from "./replica_core.ts";
import type { ReplicaEffect } from "./replica_messages.ts";

const storeOf = (node: number) => `00000000-0000-4000-8000-00000000000${node}`;

/** Nodes 1 to `count`, of which the first `insync` are in sync. */
function registerOf(count: number, insync = count): GroupRegister {
  let register = emptyRegister("group1", crypto.randomUUID());
  const change = (given: Parameters<typeof changeRegister>[1]) => {
    const result = changeRegister(register, given);
    assert(result.ok);
    register = result.register;
  };
  for (let node = 1; node <= count; node++) {
    change({ kind: "add", node, store: storeOf(node) });
    if (node > 1) change({ kind: "grow", node });
  }
  for (let node = insync + 1; node <= count; node++) {
    change({ kind: "shrink", node, by: 1 });
  }
  return register;
}

function started(register: GroupRegister): ReplicaCore {
  return new ReplicaCore({
    node: 1,
    store: storeOf(1),
    incarnation: 1,
    register,
    head: 5,
    mayHaveLost: false,
    mayBeOld: true,
  });
}

function link(core: ReplicaCore, peer: number): ReplicaEffect[] {
  return core.handle({
    kind: "linked",
    peer,
    session: peer,
    store: storeOf(peer),
    written: 5,
    durable: 5,
    lacksEarlier: false,
    knowsMore: false,
  });
}

function pass(core: ReplicaCore, fromMs: number, toMs: number) {
  const effects: ReplicaEffect[] = [];
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 50) {
    effects.push(...core.handle({ kind: "tick", nowMs }));
  }
  return effects;
}

const kindsOf = (effects: readonly ReplicaEffect[]) =>
  new Set(effects.map(({ kind }) => kind));

Deno.test("what may be an old copy takes no changes and is no authority", () => {
  const core = started(registerOf(2));
  assert.equal(core.isWhole(), false);
  const [refusal] = core.handle({ kind: "submit", op: 1, level: "A" });
  assert.equal(refusal?.kind, "refuse");
  // It takes nobody out of the set either, however late.
  assert(!kindsOf(pass(core, 0, 20_000)).has("change-register"));
  core.handle({ kind: "vouched" });
  assert.equal(core.isWhole(), true);
  const [append] = core.handle({ kind: "submit", op: 2, level: "A" });
  assert.equal(append?.kind, "append");
});

Deno.test("it promises nothing to a joiner before somebody vouches for it", () => {
  const register = registerOf(2, 1);
  const core = started(register);
  link(core, 2);
  const ask = () =>
    core.handle({
      kind: "join-requested",
      peer: 2,
      session: 2,
      epoch: register.epoch,
    });
  assert(!kindsOf([...ask(), ...pass(core, 0, 1000)]).has("promise"));
  core.handle({ kind: "vouched" });
  assert(kindsOf([...ask(), ...pass(core, 1050, 2000)]).has("promise"));
});

Deno.test("without a tracker, it counts once it equals everybody in sync", () => {
  const core = started(registerOf(3));
  link(core, 2);
  assert(!kindsOf(pass(core, 0, 2000)).has("compare"), "a tracker is asked");
  const first = core.handle({ kind: "tracker", reachable: false });
  comparedAs(core, first, 2);
  pass(core, 5000, 9000);
  assert.equal(core.isWhole(), false, "node 3 was not asked");
  comparedAs(core, link(core, 3), 3);
  pass(core, 12_000, 12_100);
  assert.equal(core.isWhole(), true);
});

Deno.test("without a tracker, the last one in sync asks every member", () => {
  const core = started(registerOf(2, 1));
  core.handle({ kind: "tracker", reachable: false });
  pass(core, 0, 10_000);
  assert.equal(core.isWhole(), false);
  comparedAs(core, link(core, 2), 2);
  pass(core, 12_050, 12_150);
  assert.equal(core.isWhole(), true);
});

/** A comparison with this peer was ordered: it succeeds. */
function comparedAs(
  core: ReplicaCore,
  effects: readonly ReplicaEffect[],
  donor: number,
): void {
  const found = effects.find((effect) => effect.kind === "compare");
  assert.equal(found?.peer, donor);
  const epoch = core.register?.epoch ?? 0;
  core.handle({ kind: "compared", donor, epoch, ok: true });
}

Deno.test("without a tracker, the only member asks nobody", () => {
  const core = started(registerOf(1));
  core.handle({ kind: "tracker", reachable: false });
  pass(core, 0, 100);
  assert.equal(core.isWhole(), true);
});
