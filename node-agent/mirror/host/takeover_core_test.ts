import { equal } from "node:assert/strict";
import type { MirrorStateView } from "@kedge/schema/mirror/control-api";
import { takeoverPauseMs, takeoverSign } from "./takeover_core.ts";

const BESIDE_PRIMARY: MirrorStateView = {
  connection: "Connected",
  role: "Secondary",
  peerRole: "Primary",
  disk: "UpToDate",
  peerDisk: "UpToDate",
  suspendedByUser: false,
  suspendedNoData: false,
  suspendedFencing: false,
  pausedByDependency: false,
  pausedByPeer: false,
  pausedByUser: false,
};
const ALONE: MirrorStateView = {
  ...BESIDE_PRIMARY,
  connection: "NetworkFailure",
  peerRole: "Unknown",
};
const C = { policy: "on", protocol: "C" } as const;

Deno.test("a good Secondary that loses its Primary begins to ask", () => {
  equal(takeoverSign(BESIDE_PRIMARY, ALONE, C), "begin");
  const waiting = { ...ALONE, connection: "WFConnection" };
  equal(takeoverSign(ALONE, waiting, C), "none");
});

Deno.test("nobody asks beside a Secondary, without a good disk, or when told not to", () => {
  const beside = { ...BESIDE_PRIMARY, peerRole: "Secondary" };
  equal(takeoverSign(beside, ALONE, C), "none");
  const bad = { ...ALONE, disk: "Inconsistent" };
  equal(takeoverSign(BESIDE_PRIMARY, bad, C), "end");
  equal(takeoverSign(BESIDE_PRIMARY, ALONE, { ...C, policy: "off" }), "none");
});

Deno.test("protocol A takes over only if losses are allowed", () => {
  const A = { policy: "on", protocol: "A" } as const;
  equal(takeoverSign(BESIDE_PRIMARY, ALONE, A), "none");
  const lossy = { ...A, policy: "lossy" } as const;
  equal(takeoverSign(BESIDE_PRIMARY, ALONE, lossy), "begin");
});

Deno.test("asking ends with a connection, a role, or a word", () => {
  const waiting = { ...ALONE, connection: "WFConnection" };
  equal(takeoverSign(waiting, BESIDE_PRIMARY, C), "end");
  equal(takeoverSign(waiting, { ...waiting, role: "Primary" }, C), "end");
  equal(
    takeoverSign(waiting, { ...waiting, connection: "StandAlone" }, C),
    "end",
  );
});

Deno.test("the first question waits for the lease, promotions for one another", () => {
  equal(takeoverPauseMs(0, Infinity), 2_000);
  equal(takeoverPauseMs(1, Infinity), 500);
  equal(takeoverPauseMs(9, Infinity), 5_000);
  equal(takeoverPauseMs(0, 1_000), 9_000);
});
