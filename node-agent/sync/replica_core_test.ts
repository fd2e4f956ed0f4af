import assert from "node:assert/strict";
import {
  changeRegister,
  emptyRegister,
  type GroupRegister,
  type RegisterChange,
} from "@kedge/schema/register";
import { ReplicaCore, type ReplicaStart } from "./replica_core.ts";
import type { ReplicaEffect, ReplicaInput } from "./replica_messages.ts";

const GEN = "00000000-0000-4000-8000-000000000000";
const OTHER_GEN = "11111111-0000-4000-8000-000000000000";

Deno.test("a change at B is answered when every peer in sync has it", () => {
  const core = coreOf(registerOf(2));
  link(core, 2);
  assert.deepEqual(core.handle({ kind: "submit", op: 7, level: "B" }), [
    { kind: "append", op: 7, sequence: 1, durable: false },
  ]);
  assert.deepEqual(logged(core, 1, 0), []);
  assert.deepEqual(acked(core, 2, 1, 0), [
    { kind: "answer", op: 7, level: "B", holders: [1, 2] },
  ]);
});

Deno.test("a change at C waits until it is durable here and there", () => {
  const core = coreOf(registerOf(2));
  link(core, 2);
  core.handle({ kind: "submit", op: 7, level: "C" });
  assert.deepEqual(logged(core, 1, 0), []);
  assert.deepEqual(acked(core, 2, 1, 0), []);
  assert.deepEqual(acked(core, 2, 1, 1), []);
  assert.deepEqual(logged(core, 1, 1), [
    { kind: "answer", op: 7, level: "C", holders: [1, 2] },
  ]);
});

Deno.test("a change at A waits for nobody", () => {
  const core = coreOf(registerOf(2));
  core.handle({ kind: "submit", op: 7, level: "A" });
  assert.deepEqual(logged(core, 1, 0), [
    { kind: "answer", op: 7, level: "A", holders: [1] },
  ]);
});

Deno.test("a late peer is shrunk out before anything is answered", () => {
  const core = coreOf(registerOf(2));
  link(core, 2);
  core.handle({ kind: "submit", op: 7, level: "B" });
  logged(core, 1, 1);
  const asked = tickUntil(core, "change-register", 0, 3000);
  assert.equal(asked.kind, "change-register");
  const { request, epoch, change } = asked;
  assert.deepEqual(change, { kind: "shrink", node: 2, by: 1 });
  assert.deepEqual(logged(core, 1, 1), []);

  const effects = core.handle({
    kind: "register-answer",
    request,
    outcome: "changed",
    register: changed(registerOf(2), change),
  });
  assert.deepEqual(effects.map((effect) => effect.kind), [
    "save-register",
    "tell-register",
    "answer",
  ]);
  assert.equal(core.register?.epoch, epoch + 1);
  const answer = effects.at(-1);
  assert.deepEqual(answer, { kind: "answer", op: 7, level: "A", holders: [1] });
});

Deno.test("a peer that is gone is shrunk out even when nothing waits", () => {
  const core = coreOf(registerOf(2));
  link(core, 2);
  core.handle({ kind: "tick", nowMs: 0 });
  core.handle({ kind: "unlinked", peer: 2, session: 1 });
  const asked = tickUntil(core, "change-register", 0, 10_000);
  assert.deepEqual(asked.change, { kind: "shrink", node: 2, by: 1 });
});

Deno.test("an unknown outcome is read again and asked again, unanswered", () => {
  const core = coreOf(registerOf(2));
  core.handle({ kind: "submit", op: 7, level: "B" });
  logged(core, 1, 1);
  const asked = tickUntil(core, "change-register", 0, 3000);
  const effects = core.handle({
    kind: "register-answer",
    request: asked.request,
    outcome: "unknown",
    register: undefined,
  });
  assert.deepEqual(effects, [{ kind: "read-register" }]);
  const again = tickUntil(core, "change-register", 3000, 3000);
  assert.deepEqual(again.change, asked.change);
});

Deno.test("who is out of sync learns it and leaves its changes uncertain", () => {
  const core = coreOf(registerOf(2));
  core.handle({ kind: "submit", op: 7, level: "B" });
  const register = changed(registerOf(2), { kind: "shrink", node: 1, by: 2 });
  const effects = core.handle({ kind: "register", register });
  assert.deepEqual(effects.map((effect) => effect.kind), [
    "save-register",
    "uncertain",
  ]);
  const refusal = core.handle({ kind: "submit", op: 8, level: "A" })[0];
  assert(refusal?.kind === "refuse");
  assert.equal(refusal.reason, "not-in-sync");
});

Deno.test("records of a lower epoch are refused with the register", () => {
  const register = changed(registerOf(2), { kind: "renew", by: 1 });
  const core = coreOf(register);
  link(core, 2);
  const batch = { peer: 2, session: 1, batch: 4 };
  assert.deepEqual(
    core.handle({ kind: "pushed", ...batch, epoch: register.epoch - 1 }),
    [
      { kind: "tell-register", peer: 2, session: 1, register },
      { kind: "reject", ...batch, epoch: register.epoch },
    ],
  );
  assert.deepEqual(
    core.handle({ kind: "pushed", ...batch, epoch: register.epoch }),
    [{ kind: "apply", ...batch }],
  );
});

Deno.test("a peer alone does not move the epoch far ahead", () => {
  const core = coreOf(registerOf(2));
  const far = { ...registerOf(2), epoch: 2 ** 40 };
  assert.deepEqual(core.handle({ kind: "register", register: far }), [
    { kind: "read-register" },
  ]);
  assert.equal(core.register?.epoch, registerOf(2).epoch);
  core.handle({ kind: "register", register: far, askedUnder: 1 });
  assert.equal(core.register?.epoch, 2 ** 40, "a tracker's word counts");
});

Deno.test("a restored KV freezes the node until an operator confirms", () => {
  const core = coreOf(registerOf(2));
  const register = { ...registerOf(2), gen: OTHER_GEN };
  core.handle({ kind: "register", register, askedUnder: 3 });
  const verdict = core.mayWrite();
  assert(!verdict.ok);
  assert.equal(verdict.reason, "frozen");
  core.handle({ kind: "confirm", register });
  assert.equal(core.mayWrite().ok, false, "the epoch did not rise");
  const forced = { ...registerOf(2), epoch: 1003 };
  core.handle({ kind: "register", register: forced, askedUnder: 3 });
  assert.equal(core.mayWrite().ok, false, "nobody confirmed it here");
  core.handle({ kind: "confirm", register: { ...register, epoch: 1003 } });
  assert.equal(core.mayWrite().ok, true);
});

/** A register with members 1…size, all in sync. */
function registerOf(size: number): GroupRegister {
  let register = emptyRegister("group1", GEN);
  for (let node = 1; node <= size; node++) {
    register = changed(register, { kind: "add", node, store: storeOf(node) });
    if (node > 1) register = changed(register, { kind: "grow", node });
  }
  return register;
}

function changed(register: GroupRegister, change: RegisterChange) {
  const result = changeRegister(register, change);
  assert(result.ok);
  return result.register;
}

function storeOf(node: number): string {
  return `00000000-0000-4000-8000-00000000000${node}`;
}

function coreOf(
  register: GroupRegister | undefined,
  start: Partial<ReplicaStart> = {},
) {
  return new ReplicaCore({
    node: 1,
    store: storeOf(1),
    incarnation: 1,
    register,
    head: 0,
    mayHaveLost: false,
    ...start,
  });
}

function link(core: ReplicaCore, peer: number, session = 1): ReplicaEffect[] {
  return core.handle({
    kind: "linked",
    peer,
    session,
    store: storeOf(peer),
    written: 0,
    durable: 0,
    lacksEarlier: false,
    knowsMore: false,
  });
}

function logged(core: ReplicaCore, written: number, durable: number) {
  return core.handle({ kind: "logged", written, durable });
}

function acked(
  core: ReplicaCore,
  peer: number,
  written: number,
  durable: number,
): ReplicaEffect[] {
  const input: ReplicaInput = {
    kind: "acked",
    peer,
    session: 1,
    written,
    durable,
    lacksEarlier: false,
  };
  return core.handle(input);
}

/** Let time pass until an effect of this kind; it must be the only one. */
function tickUntil<Kind extends ReplicaEffect["kind"]>(
  core: ReplicaCore,
  kind: Kind,
  fromMs: number,
  forMs: number,
): Extract<ReplicaEffect, { readonly kind: Kind }> {
  for (let nowMs = fromMs; nowMs <= fromMs + forMs; nowMs += 50) {
    for (const effect of core.handle({ kind: "tick", nowMs })) {
      if (isOfKind(effect, kind)) return effect;
    }
  }
  throw new Error(`no ${kind} within ${forMs} ms`);
}

function isOfKind<Kind extends ReplicaEffect["kind"]>(
  effect: ReplicaEffect,
  kind: Kind,
): effect is Extract<ReplicaEffect, { readonly kind: Kind }> {
  return effect.kind === kind;
}
