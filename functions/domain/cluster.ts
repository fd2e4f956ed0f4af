/**
 * What the tracker knows of the cluster at one moment, as plain values. All
 * other modules of `domain/` are pure functions of these.
 *
 * @module
 */

import {
  type GroupRegister,
  type GroupSettings,
  type Heartbeat,
  isInSync,
  type NodeId,
  type NodeRecord,
} from "@kedge/schema";

/** One member of a group, as registered and as heard. */
export interface MemberState {
  /** Which node. */
  readonly node: NodeId;
  /** What operators want of it. */
  readonly mode: NodeRecord["mode"];
  /** In the in-sync set, with the database that the set means. */
  readonly insync: boolean;
  /** Reported within `check_active_interval`. */
  readonly alive: boolean;
  /** Since its last report, in ms; `undefined` is never. */
  readonly silentMs: number | undefined;
  /** Its last report. */
  readonly report: Heartbeat | undefined;
}

/** One group. */
export interface GroupState {
  /** Who is in it, who is in sync. */
  readonly register: GroupRegister;
  /** What operators chose. */
  readonly settings: GroupSettings;
  /** Members in the order of joining. */
  readonly members: readonly MemberState[];
}

/** A report, and how long ago it was made. */
export interface HeardReport {
  /** What the node said. */
  readonly heartbeat: Heartbeat;
  /** How long it has said nothing more, in ms. */
  readonly silentMs: number;
}

/** What was read of the KV, parsed. */
export interface ClusterFacts {
  /** Registers by group. */
  readonly registers: readonly GroupRegister[];
  /** Settings by group; missing means all defaults. */
  readonly settings: ReadonlyMap<string, GroupSettings>;
  /** Nodes by number. */
  readonly nodes: ReadonlyMap<NodeId, NodeRecord>;
  /** Last reports by number. */
  readonly reports: ReadonlyMap<NodeId, HeardReport>;
}

/** When a node counts as alive, and what counts when nothing is stored. */
export interface GroupRule {
  /** `check_active_interval`: silence after which it counts as dead, in ms. */
  readonly checkActiveIntervalMs: number;
  /** Settings of a group for which none are stored. */
  readonly defaults: GroupSettings;
}

/**
 * Put the facts of each group together.
 *
 * @param facts What was read.
 * @param rule When a node counts as alive, and the default settings.
 * @returns Groups in the order of the facts.
 */
export function groupStates(
  facts: ClusterFacts,
  rule: GroupRule,
): GroupState[] {
  return facts.registers.map((register) => ({
    register,
    settings: facts.settings.get(register.group) ?? rule.defaults,
    members: register.members.map(({ node, store }) => {
      const heard = facts.reports.get(node);
      const silentMs = heard?.silentMs;
      return {
        node,
        mode: facts.nodes.get(node)?.mode ?? "draining",
        insync: isInSync(register, node) &&
          (heard === undefined || heard.heartbeat.store === store),
        alive: silentMs !== undefined && silentMs <= rule.checkActiveIntervalMs,
        silentMs,
        report: heard?.heartbeat,
      };
    }),
  }));
}
