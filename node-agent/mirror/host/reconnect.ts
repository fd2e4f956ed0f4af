/**
 * A connection that is made anew, for options that count from the next one on.
 * A Primary answers no write meanwhile, so that none is on one disk only.
 *
 * @module
 */

import type {
  CommandReply,
  MirrorCommand,
} from "@kedge/schema/mirror/control-api";
import { hasConnection } from "@kedge/schema/mirror/pending-options";
import type { MirrorState } from "../decisions/mirror_state.ts";

/** Longest wait for each step, in ms: so long an application waits. */
const RECONNECT_MS = 10_000;
/** Pause between two looks, in ms. */
const LOOK_MS = 20;

/** What is needed of the Worker of a resource. */
export interface ReconnectSide {
  command(
    command: MirrorCommand,
    volume: number | undefined,
  ): Promise<CommandReply>;
  status(): Promise<
    readonly {
      readonly volume: number;
      readonly state: MirrorState;
      /** Writes that the peer has not confirmed. */
      readonly peerPending: number;
    }[]
  >;
}

/** Leave the peer and meet it again. The reply says why not. */
export async function reconnect(
  side: ReconnectSide,
  fencing: string,
): Promise<CommandReply> {
  const volumes = await side.status();
  const refusal = refusalOf(volumes.map(({ state }) => state), fencing);
  if (refusal !== undefined) return refusal;
  const held = volumes.filter(({ state }) =>
    state.role === "Primary" && !state.suspendedByUser
  );
  try {
    for (const { volume } of held) {
      const frozen = await side.command({ kind: "suspend-io" }, volume);
      if (frozen.code !== 1) return frozen;
    }
    if (held.length > 0 && !await isConfirmed(side)) {
      return { code: 20, why: "the peer does not confirm its writes" };
    }
    const left = await side.command({
      kind: "disconnect",
      force: false,
    }, undefined);
    if (left.code !== 1) return left;
    const sought = await side.command({
      kind: "connect",
      discardMyData: false,
      tentative: false,
    }, undefined);
    return sought.code === 1 ? await untilMet(side) : sought;
  } finally {
    // What froze meanwhile for another reason thaws by itself.
    for (const { volume } of held) {
      await side.command({ kind: "resume-io", onlyByUser: true }, volume);
    }
  }
}

function refusalOf(
  states: readonly MirrorState[],
  fencing: string,
): CommandReply | undefined {
  const other = states.find(({ connection }) => connection !== "Connected");
  if (other !== undefined) {
    return hasConnection(other.connection)
      ? { code: -8, why: "the connection is needed until that has ended" }
      : { code: -15, why: "there is no connection to make anew" };
  }
  const isServed = states.some(({ role, peerRole }) =>
    role !== "Primary" && peerRole === "Primary"
  );
  if (isServed) {
    return {
      code: -10,
      why: "say it on the Primary: that one can hold its writes meanwhile",
    };
  }
  // The end of the freeze would also end that of the fence handler.
  if (fencing === "resource-and-stonith") {
    return {
      code: 162,
      why: "not with fencing resource-and-stonith, which may freeze the " +
        'Primary: "drbdadm disconnect", then "drbdadm connect"',
    };
  }
  return undefined;
}

/** Wait until the peer has everything that it was sent. */
function isConfirmed(side: ReconnectSide): Promise<boolean> {
  return isSoon(async () =>
    (await side.status()).every(({ peerPending }) => peerPending === 0)
  );
}

/** Wait for the handshake, and for the resync of what was under way. */
async function untilMet(side: ReconnectSide): Promise<CommandReply> {
  let connections: string[] = [];
  await isSoon(async () => {
    connections = (await side.status()).map(({ state }) => state.connection);
    return connections.includes("StandAlone") ||
      connections.every((each) => each === "Connected");
  });
  if (connections.includes("StandAlone")) {
    return {
      code: 20,
      why: "the peer does not take the connection: its options differ. " +
        'Adjust it there; then "drbdadm connect" on both hosts',
    };
  }
  return connections.every((each) => MET.has(each)) ? { code: 1 } : {
    code: 20,
    why: "the peer did not come back yet: look there; it is waited for",
  };
}

/** The handshake is over, perhaps with a resync. */
const MET: ReadonlySet<string> = new Set([
  "Connected",
  "SyncSource",
  "SyncTarget",
  "PausedSyncS",
  "PausedSyncT",
]);

/** Whether something becomes true within {@link RECONNECT_MS}. */
async function isSoon(isSo: () => Promise<boolean>): Promise<boolean> {
  const endMs = performance.now() + RECONNECT_MS;
  for (;;) {
    if (await isSo()) return true;
    if (performance.now() >= endMs) return false;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}
