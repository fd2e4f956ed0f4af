/**
 * What a running resource may take.
 *
 * @module
 */

import assert from "node:assert/strict";
import { UNCONFIGURED_STATE } from "./decisions/mirror_state.ts";
import { TEST_CONFIG } from "./core/volume_fixture.ts";
import { specProblem } from "./spec_changes_core.ts";
import type { ResourceSpec } from "./worker_messages.ts";

const SPEC: ResourceSpec = {
  resource: "r0",
  node: "a",
  peerNode: "b",
  local: { hostname: "127.0.0.1", port: 7789 },
  remote: { hostname: "127.0.0.2", port: 7789 },
  secret: undefined,
  secretAlgorithm: undefined,
  connectIntMs: 10_000,
  pingIntMs: 10_000,
  pingTimeoutMs: 500,
  volumes: [{
    volume: 0,
    minor: 1,
    device: "/dev/drbd1",
    paths: {
      disk: "/dev/a",
      metaDisk: "/dev/a",
      placement: { kind: "internal" },
    },
    config: TEST_CONFIG,
  }],
  listen: [],
};
const [VOLUME] = SPEC.volumes;

function codeOf(
  next: Partial<ResourceSpec>,
  state: Partial<typeof UNCONFIGURED_STATE>,
): number | undefined {
  const now = { ...UNCONFIGURED_STATE, ...state };
  return specProblem(SPEC, { ...SPEC, ...next }, () => now)?.code;
}

Deno.test("addresses change without a connection, disks when nothing is attached", () => {
  assert.ok(VOLUME?.paths !== undefined);
  const moved = { remote: { hostname: "127.0.0.3", port: 7789 } };
  const paths = { ...VOLUME.paths, disk: "/dev/other" };
  const elsewhere = { volumes: [{ ...VOLUME, paths }] };
  const running = { connection: "Connected", disk: "UpToDate" } as const;
  assert.equal(codeOf({ pingIntMs: 1_000, secret: "abc" }, running), undefined);
  assert.equal(codeOf(moved, running), 125);
  assert.equal(codeOf(moved, { disk: "UpToDate" }), undefined);
  assert.equal(codeOf(elsewhere, running), 124);
  assert.equal(codeOf(elsewhere, { connection: "Connected" }), undefined);
});

Deno.test("names, minors and the number of volumes stay", () => {
  assert.ok(VOLUME !== undefined);
  assert.equal(codeOf({ peerNode: "c" }, {}), 162);
  assert.equal(codeOf({ volumes: [{ ...VOLUME, minor: 2 }] }, {}), 162);
  assert.equal(codeOf({ volumes: [] }, {}), 162);
});
