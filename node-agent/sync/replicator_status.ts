/**
 * Puts together what `kedge status` shows of replication.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import { isInSync, isMember } from "@kedge/schema/register";
import type { GroupView } from "./group_view.ts";
import type { PeerLinks } from "./peer_links.ts";
import type { ReplicaCore } from "./replica_core.ts";
import type {
  PeerStatus,
  ReplicatorOptions,
  ReplicatorStatus,
} from "./replicator_options.ts";
import type { Sessions } from "./sessions.ts";

/** The parts that are looked at. */
export interface StatusParts extends
  Pick<
    ReplicatorStatus,
    | "pending"
    | "readOnly"
    | "catchUp"
    | "appliedPerS"
    | "root"
    | "tombstones"
    | "log"
    | "trackerFailure"
    | "loopLagMs"
    | "alarms"
  > {
  readonly options: ReplicatorOptions;
  readonly view: GroupView;
  readonly core: ReplicaCore;
  readonly sessions: Sessions;
  readonly links: PeerLinks;
}

/** Look at everything once. */
export function statusOf(parts: StatusParts): ReplicatorStatus {
  const { options, view, core } = parts;
  const { node, group } = options;
  const register = core.register;
  const others = register?.members.map((member) => member.node)
    .filter((member) => member !== node) ?? [];
  return {
    node,
    group,
    epoch: register?.epoch ?? 0,
    gen: register?.gen ?? null,
    insync: register?.insync ?? [],
    role: roleOf(parts),
    mode: view.mode,
    readOnly: parts.readOnly,
    pending: parts.pending,
    peers: others.map((peer) => peerStatus(peer, parts)),
    catchUp: parts.catchUp,
    mayBeOld: core.mayBeOld,
    appliedPerS: parts.appliedPerS,
    root: parts.root,
    tombstones: parts.tombstones,
    log: parts.log,
    trackerFailure: parts.trackerFailure,
    loopLagMs: parts.loopLagMs,
    alarms: parts.alarms,
  };
}

function roleOf({ core, options }: StatusParts): ReplicatorStatus["role"] {
  const register = core.register;
  if (register === undefined) return "unknown";
  if (isInSync(register, options.node)) return "in-sync";
  return isMember(register, options.node) ? "joining" : "outsider";
}

function peerStatus(peer: NodeId, parts: StatusParts): PeerStatus {
  const { core, sessions, links } = parts;
  const session = sessions.get(peer);
  return {
    node: peer,
    insync: core.register !== undefined && isInSync(core.register, peer),
    linked: session !== undefined,
    required: core.requiredPeers().includes(peer),
    lagChanges: session?.sender?.lagChanges ?? null,
    underWayBytes: session?.sender?.underWayBytes ?? 0,
    waitingBytes: sessions.waitingBytes(peer),
    failure: links.lastFailure(peer),
  };
}
