import assert from "node:assert/strict";
import type { GroupRegister } from "@kedge/schema";
import { type LeaseView, READ_LEASE_MS, readVerdict } from "./lease_core.ts";

const REGISTER: GroupRegister = {
  group: "group1",
  gen: "00000000-0000-4000-8000-000000000000",
  epoch: 4,
  members: [],
  insync: [1, 2, 3],
};

Deno.test("a confirmation by a tracker lets reads be served for the lease", () => {
  assert.equal(verdict({ trackerMs: 0, nowMs: 0.98 * READ_LEASE_MS }), "serve");
  assert.equal(verdict({ trackerMs: 0, nowMs: READ_LEASE_MS }), "refuse");
});

Deno.test("peers confirm only all together", () => {
  const peers = (ms: readonly [number, number][]) => new Map(ms);
  const late = { nowMs: READ_LEASE_MS + 100 };
  assert.equal(
    verdict({ ...late, peerMs: peers([[2, 250], [3, 300]]) }),
    "serve",
  );
  assert.equal(verdict({ ...late, peerMs: peers([[2, 200]]) }), "refuse");
  assert.equal(
    verdict({ ...late, peerMs: peers([[2, 9000], [3, 10]]) }),
    "refuse",
  );
});

Deno.test("a node that waits for nobody serves without any contact", () => {
  assert.equal(verdict({ required: [], nowMs: 1e9 }), "serve");
});

Deno.test("a node that is not whole asks about each file", () => {
  assert.equal(verdict({ isWhole: false, trackerMs: 0 }), "confirm");
  assert.equal(verdict({ node: 9, trackerMs: 0 }), "confirm");
});

Deno.test("without a register nothing is served, unless so chosen", () => {
  assert.equal(verdict({ register: undefined }), "refuse");
  const chosen = { isolatedReads: "serve" } as const;
  assert.equal(verdict({ ...chosen, register: undefined }), "serve");
  assert.equal(verdict({ ...chosen, nowMs: 1e9 }), "serve");
});

function verdict(change: Partial<LeaseView>): string {
  return readVerdict({
    register: REGISTER,
    node: 1,
    required: [2, 3],
    isWhole: true,
    nowMs: 0,
    trackerMs: undefined,
    peerMs: new Map(),
    leaseMs: READ_LEASE_MS,
    isolatedReads: "refuse",
    ...change,
  }).kind;
}
