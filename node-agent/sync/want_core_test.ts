import assert from "node:assert/strict";
import type { GroupRegister } from "@kedge/schema";
import { newPeer } from "./peer_core.ts";
import { SAFETY_RULES } from "./rules_core.ts";
import { wantedChange, type WantView } from "./want_core.ts";

const STORE = "00000000-0000-4000-8000-000000000001";
const RESET = { kind: "reset", node: 1, store: STORE };

Deno.test("another database than the register's asks to be reset", () => {
  const other = register({ store: "00000000-0000-4000-8000-0000000000ff" });
  assert.deepEqual(wanted({ register: other }), RESET);
  const outside = { ...other, insync: [2] };
  assert.deepEqual(wanted({ register: outside }), RESET);
});

Deno.test("who cannot store leaves the set to another, never to nobody", () => {
  assert.deepEqual(wanted({ cannotStore: true }), RESET);
  assert.equal(wanted({ cannotStore: true, another: false }), undefined);
});

Deno.test("whose files are gone leaves the set to another, else goes on", () => {
  assert.deepEqual(wanted({ filesLost: true }), RESET);
  const alone = { filesLost: true, another: false };
  assert.equal(wanted(alone), undefined);
  assert.deepEqual(wanted({ ...alone, late: newPeer(2) }), {
    kind: "shrink",
    node: 2,
    by: 1,
  });
});

Deno.test("who may have lost records leaves, or asks around and renews", () => {
  const suspicion = { untilMs: undefined };
  assert.deepEqual(wanted({ suspicion }), RESET);
  assert.equal(wanted({ suspicion, another: false }), undefined);
  const last = { ...register(), insync: [1] };
  assert.equal(wanted({ suspicion, register: last }), undefined);
  assert.equal(
    wanted({ suspicion: { untilMs: 200 }, register: last }),
    undefined,
  );
  assert.deepEqual(wanted({ suspicion: { untilMs: 100 }, register: last }), {
    kind: "renew",
    by: 1,
  });
});

Deno.test("a late peer is shrunk out, a late joiner makes promises void", () => {
  const late = newPeer(2);
  assert.deepEqual(wanted({ late }), { kind: "shrink", node: 2, by: 1 });
  assert.deepEqual(wanted({ late: newPeer(3) }), { kind: "renew", by: 1 });
});

Deno.test("who is not in sync, or not in the group, asks for nothing here", () => {
  const late = newPeer(2);
  assert.equal(
    wanted({ late, register: { ...register(), insync: [2] } }),
    undefined,
  );
  assert.equal(
    wanted({ late, register: { ...register(), members: [] } }),
    undefined,
  );
});

function wanted(change: Partial<WantView>) {
  return wantedChange({
    register: register(),
    node: 1,
    store: STORE,
    suspicion: undefined,
    cannotStore: false,
    filesLost: false,
    another: true,
    late: undefined,
    nowMs: 100,
    rules: SAFETY_RULES,
    ...change,
  });
}

function register(ours: { readonly store?: string } = {}): GroupRegister {
  return {
    group: "group1",
    gen: "00000000-0000-4000-8000-000000000000",
    epoch: 4,
    members: [
      { node: 1, store: ours.store ?? STORE },
      { node: 2, store: "00000000-0000-4000-8000-000000000002" },
      { node: 3, store: "00000000-0000-4000-8000-000000000003" },
    ],
    insync: [1, 2],
  };
}
