import assert from "node:assert/strict";
import fc from "fast-check";
import {
  compareConnection,
  CONNECTION_STATES,
  DISK_STATES,
  isPaused,
  isSuspended,
  type MirrorState,
  ROLES,
  sameState,
  UNCONFIGURED_STATE,
} from "./mirror_state.ts";
import {
  describeRefusal,
  exitCodeOfRefusal,
  STATE_REFUSALS,
} from "./refusals_core.ts";
import { STATE_DEFAULTS, type StateContext } from "./state_context_state.ts";
import { changeState } from "./state_core.ts";
import { sanitizeState } from "./state_sanitize_core.ts";

const CONTEXT: StateContext = {
  options: STATE_DEFAULTS,
  facts: { isOpen: false, stateSent: false, resourcePeerRole: "Unknown" },
};

const CONNECTED: MirrorState = {
  ...UNCONFIGURED_STATE,
  connection: "Connected",
  peerRole: "Secondary",
  disk: "UpToDate",
  peerDisk: "UpToDate",
};

const anyState: fc.Arbitrary<MirrorState> = fc.record({
  connection: fc.constantFrom(...CONNECTION_STATES),
  role: fc.constantFrom("Primary" as const, "Secondary" as const),
  peerRole: fc.constantFrom(...ROLES),
  disk: fc.constantFrom(...DISK_STATES.filter((one) => one !== "DUnknown")),
  peerDisk: fc.constantFrom(...DISK_STATES),
  suspendedByUser: fc.boolean(),
  suspendedNoData: fc.boolean(),
  suspendedFencing: fc.boolean(),
  pausedByDependency: fc.boolean(),
  pausedByPeer: fc.boolean(),
  pausedByUser: fc.boolean(),
});

function change(
  old: MirrorState,
  part: Partial<MirrorState>,
  context = CONTEXT,
) {
  return changeState(old, { ...old, ...part }, context);
}

Deno.test("a new volume cannot be promoted: it has no UpToDate data", () => {
  const fresh: MirrorState = {
    ...UNCONFIGURED_STATE,
    connection: "WFConnection",
    disk: "Inconsistent",
  };
  const answer = change(fresh, { role: "Primary" });
  assert.equal(answer.refused, -2);
  assert.equal(answer.state, fresh, "a refused change changes nothing");
  assert.equal(
    describeRefusal(-2),
    "State change failed: (-2) Need access to UpToDate data",
  );
  assert.equal(exitCodeOfRefusal(-2), 17);
  const forced = change(fresh, { role: "Primary", disk: "UpToDate" });
  assert.equal(forced.applied, true);
});

Deno.test("a second Primary is refused, unless two are allowed", () => {
  const old: MirrorState = { ...CONNECTED, peerRole: "Primary" };
  assert.equal(change(old, { role: "Primary" }).refused, -1);
  const two = {
    ...CONTEXT,
    options: { ...STATE_DEFAULTS, allowTwoPrimaries: true },
  };
  assert.equal(change(old, { role: "Primary" }, two).applied, true);
});

Deno.test("an open device is not demoted", () => {
  const old: MirrorState = { ...CONNECTED, role: "Primary" };
  const context = { ...CONTEXT, facts: { ...CONTEXT.facts, isOpen: true } };
  const answer = change(old, { role: "Secondary" }, context);
  assert.equal(answer.refused, -12);
  assert.equal(
    describeRefusal(-12),
    "State change failed: (-12) Device is held open by someone",
  );
});

Deno.test("losing the link implies what is known of the peer", () => {
  const answer = changeState(
    CONNECTED,
    { ...CONNECTED, connection: "NetworkFailure" },
    CONTEXT,
    { hard: true },
  );
  assert.equal(answer.applied, true);
  assert.deepEqual(answer.implied, [
    { part: "peerRole", wanted: "Secondary", became: "Unknown" },
    { part: "peerDisk", wanted: "UpToDate", became: "DUnknown" },
  ]);
});

Deno.test("an outdated peer is remembered without a connection", () => {
  const old: MirrorState = { ...CONNECTED, peerDisk: "Inconsistent" };
  const lost = changeState(old, { ...old, connection: "Timeout" }, CONTEXT, {
    hard: true,
  });
  assert.equal(lost.state.peerDisk, "Inconsistent");
});

Deno.test("a Primary freezes when fencing must answer first", () => {
  const old: MirrorState = { ...CONNECTED, role: "Primary" };
  const context: StateContext = {
    ...CONTEXT,
    options: { ...STATE_DEFAULTS, fencing: "resource-and-stonith" },
  };
  const lost = changeState(old, { ...old, connection: "BrokenPipe" }, context, {
    hard: true,
  });
  assert.equal(lost.state.suspendedFencing, true);
  assert.ok(isSuspended(lost.state));
});

Deno.test("promotion, detach, disconnect and resync need the peer's consent", () => {
  assert.ok(change(CONNECTED, { role: "Primary" }).clusterWide);
  assert.ok(change(CONNECTED, { disk: "Failed" }).clusterWide);
  assert.ok(change(CONNECTED, { connection: "Disconnecting" }).clusterWide);
  assert.ok(change(CONNECTED, { connection: "StartingSyncT" }).clusterWide);
  assert.ok(!change(CONNECTED, { pausedByUser: true }).clusterWide);
});

Deno.test("a pause renames a running resync, and its end names it back", () => {
  const running: MirrorState = {
    ...CONNECTED,
    connection: "SyncTarget",
    disk: "Inconsistent",
  };
  const paused = change(running, { pausedByUser: true }).state;
  assert.equal(paused.connection, "PausedSyncT");
  assert.ok(isPaused(paused));
  const again = change(paused, { pausedByUser: false }).state;
  assert.equal(again.connection, "SyncTarget");
});

Deno.test("every refusal has a text and an exit code", () => {
  const codes = Object.keys(STATE_REFUSALS).map(Number);
  assert.equal(codes.length, 20);
  assert.deepEqual(
    [exitCodeOfRefusal(-2), exitCodeOfRefusal(-16), exitCodeOfRefusal(-1)],
    [17, 5, 11],
  );
});

Deno.test("connection states keep their order", () => {
  assert.ok(compareConnection("TearDown", "WFConnection") < 0);
  assert.ok(compareConnection("Connected", "WFReportParams") > 0);
  assert.equal(compareConnection("Ahead", "Ahead"), 0);
});

Deno.test("a refused change changes nothing, whatever was wanted", () => {
  fc.assert(fc.property(
    anyState,
    anyState,
    fc.boolean(),
    (old, wanted, hard) => {
      const answer = changeState(old, wanted, CONTEXT, { hard });
      if (answer.refused === undefined) {
        assert.ok(sameState(answer.state, answer.sane));
        return;
      }
      assert.equal(answer.state, old);
      assert.equal(answer.applied, false);
    },
  ));
});

Deno.test("a state without a connection never claims to know the peer", () => {
  fc.assert(fc.property(anyState, anyState, (old, wanted) => {
    const { state } = sanitizeState(old, wanted, CONTEXT);
    if (compareConnection(state.connection, "Connected") >= 0) return;
    assert.equal(state.peerRole, "Unknown");
    assert.equal(state.pausedByPeer, false);
    assert.ok(
      ["Inconsistent", "Outdated", "DUnknown"].includes(state.peerDisk),
    );
  }));
});
