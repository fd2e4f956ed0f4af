import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import type { GroupRegister } from "@kedge/schema";
import { decideFetch, fetchOrder, type MemberAnswer } from "./fetch_core.ts";

const REGISTER: GroupRegister = {
  group: "group1",
  gen: "00000000-0000-4000-8000-000000000000",
  epoch: 9,
  members: [1, 2, 3].map((node) => ({
    node,
    store: `00000000-0000-4000-8000-00000000000${node}`,
  })),
  insync: [1, 2],
};

const NEVER: MemberAnswer = { kind: "never", serves: true };
const SILENT: MemberAnswer = { kind: "silent" };

Deno.test("fetchOrder() asks the origin first, then members in sync", () => {
  assert.deepEqual(fetchOrder(REGISTER, 1, 3), [3, 2]);
  assert.deepEqual(fetchOrder(REGISTER, 3, 2), [2, 1]);
  assert.deepEqual(fetchOrder(REGISTER, 9, 9), [1, 2, 3]);
});

Deno.test("a file is absent only when every member says so", () => {
  assert.equal(kindOf([NEVER, NEVER]), "absent");
  assert.equal(kindOf([NEVER, SILENT]), "unavailable");
  assert.equal(kindOf([SILENT, NEVER]), "unavailable");
  assert.equal(kindOf([NEVER]), "unavailable");
  assert.equal(kindOf([]), "unavailable");
});

Deno.test("a tombstone anywhere is believed, whatever the others have", () => {
  const has: MemberAnswer = { kind: "has", entry: entry(5), serves: true };
  const dead = { ...entry(1), state: "tombstone" } as const;
  const answer: MemberAnswer = { kind: "has", entry: dead, serves: false };
  assert.equal(kindOf([has, answer]), "tombstone");
  assert.equal(kindOf([answer, SILENT]), "tombstone");
  assert.equal(kindOf([NEVER, NEVER], { ours: dead }), "tombstone");
});

Deno.test("the newest state is taken, from those that have it", () => {
  const old: MemberAnswer = { kind: "has", entry: entry(4), serves: true };
  const recent: MemberAnswer = { kind: "has", entry: entry(5), serves: true };
  const verdict = decide([old, recent]);
  assert.deepEqual(verdict, { kind: "found", entry: entry(5), from: [3] });
});

Deno.test("a copy counts only when somebody who may serve was asked", () => {
  const has: MemberAnswer = { kind: "has", entry: entry(5), serves: false };
  assert.equal(kindOf([SILENT, has], { weKnow: false }), "unavailable");
  assert.equal(kindOf([NEVER, has], { weKnow: false }), "found");
  assert.equal(kindOf([SILENT, has], { weKnow: true }), "found");
});

Deno.test("our own copy is found, with nobody to take it from", () => {
  const verdict = decide([NEVER, SILENT], { ours: entry(5) });
  assert.deepEqual(verdict, { kind: "found", entry: entry(5), from: [] });
});

Deno.test("who is alone and has lost its database proves nothing", () => {
  const members = REGISTER.members.slice(0, 1);
  const register = { ...REGISTER, members, insync: [1] };
  const view = { register, node: 1, ours: undefined, answers: new Map() };
  assert.equal(decideFetch({ ...view, weKnow: false }).kind, "unavailable");
  assert.equal(decideFetch({ ...view, weKnow: true }).kind, "absent");
});

interface Known {
  readonly weKnow?: boolean;
  readonly ours?: FileEntry;
}

/** Answers of nodes 2 and 3, asked by node 1. */
function decide(answers: readonly MemberAnswer[], known: Known = {}) {
  return decideFetch({
    register: REGISTER,
    node: 1,
    weKnow: known.weKnow ?? true,
    ours: known.ours,
    answers: new Map(answers.map((answer, index) => [index + 2, answer])),
  });
}

function kindOf(answers: readonly MemberAnswer[], known: Known = {}): string {
  return decide(answers, known).kind;
}

function entry(version: number): FileEntry {
  return {
    id: "group1/M00/00/00/x",
    state: "present",
    epoch: 3,
    version,
    origin: 2,
    sizeBytes: 1,
    crc32: 7,
    sha256: null,
    type: null,
    name: null,
    meta: {},
    createdS: 0,
    appender: false,
    master: null,
  };
}
