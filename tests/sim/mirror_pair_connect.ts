/**
 * The handshake of a pair: both nodes decide with the real code, and the answers
 * must fit together.
 *
 * @module
 */

import {
  decideHandshake,
  type HandshakeOutcome,
  type HandshakeSide,
} from "../../node-agent/mirror/decisions/handshake_core.ts";
import type { Hardenings } from "../../node-agent/mirror/decisions/hardenings_core.ts";
import { SPLIT_BRAIN_DEFAULTS } from "../../node-agent/mirror/decisions/split_brain_core.ts";
import {
  allBlocks,
  crash,
  differingBlocks,
  otherSide,
  type Pair,
  type PairNode,
  type Side,
  withNode,
} from "./mirror_pair.ts";
import {
  Broken,
  giveUp,
  nameOf,
  type PairEvent,
  SIDES,
} from "./mirror_promises.ts";

/** Ways to connect now: with and without a discard, and with a crash. */
export function connectEvents(pair: Pair, hardenings: Hardenings): PairEvent[] {
  const discards: (Side | undefined)[] = [undefined, 0, 1];
  return discards.flatMap((discard) => {
    // `--discard-my-data` is refused on a Primary (123).
    if (discard !== undefined && pair.nodes[discard].isPrimary) return [];
    const how = discard === undefined ? "" : `, discard ${nameOf(discard)}`;
    const joined = (resolver: Side) =>
      connect(pair, { discard, resolver }, hardenings);
    const whole = SIDES.map((resolver) => ({
      name: `connect${how}`,
      run: () => joined(resolver),
    }));
    const halves = SIDES.map((side) => ({
      name: `connect${how}, crash ${nameOf(side)} before it stores`,
      run: () => crashUnstored(pair, joined(0), side, hardenings),
    }));
    return [...whole, ...halves];
  });
}

/** One side stops between the decision and the disk. */
function crashUnstored(
  before: Pair,
  after: Pair,
  side: Side,
  hardenings: Hardenings,
): Pair {
  const { answered } = after;
  const unstored = withNode(after, side, before.nodes[side]);
  return crash({ ...unstored, answered }, side, hardenings);
}

function connect(
  pair: Pair,
  { discard, resolver }: { discard: Side | undefined; resolver: Side },
  hardenings: Hardenings,
): Pair {
  const decide = (side: Side) =>
    decideHandshake(
      handshakeSide(pair.nodes[side], discard === side),
      handshakeSide(
        pair.nodes[otherSide(side)],
        discard === otherSide(side),
      ),
      {
        resolveConflicts: resolver === side,
        couldDemote: true,
        policies: SPLIT_BRAIN_DEFAULTS,
        hardenings,
      },
    );
  const outcomes = [decide(0), decide(1)] as const;
  checkMirrored(outcomes);
  const [first, second] = outcomes;
  if (first.next === "drop" || second.next === "drop") {
    const isSplit = first.dropReason === "split-brain";
    const isDual = pair.nodes.every((node) => node.isPrimary);
    if (isSplit && !isDual && differingBlocks(pair) === 0) {
      throw new Broken("no-needless-split-brain", `rule ${ruleOf(first)}`);
    }
    return pair;
  }
  const repaired = SIDES.reduce(
    (now, side) => withNode(now, side, { set: outcomes[side].generations }),
    pair,
  );
  if (first.next === "Connected") return joinWithoutSync(repaired, first);
  const from = first.next === "WFBitMapS" ? 0 : 1;
  const accepted = discard === otherSide(from)
    ? giveUp(repaired, otherSide(from))
    : repaired;
  return exchangeBitmaps(accepted, from, outcomes[from]);
}

function handshakeSide(node: PairNode, discardMyData: boolean): HandshakeSide {
  return {
    generations: node.set,
    outOfSyncBlocks: node.bits.toString(2).replaceAll("0", "").length,
    role: node.isPrimary ? "Primary" : "Secondary",
    disk: node.disk,
    crashedPrimary: node.crashedPrimary,
    discardMyData,
  };
}

function checkMirrored(
  [a, b]: readonly [HandshakeOutcome, HandshakeOutcome],
): void {
  if (a.next === "drop" || b.next === "drop") return;
  const mirror = {
    Connected: "Connected",
    WFBitMapS: "WFBitMapT",
    WFBitMapT: "WFBitMapS",
  } as const;
  if (mirror[a.next] === b.next && a.setWholeBitmap === b.setWholeBitmap) {
    return;
  }
  throw new Broken(
    "mirrored",
    `A ${a.next} by rule ${ruleOf(a)}, B ${b.next} by rule ${ruleOf(b)}`,
  );
}

function ruleOf({ comparison }: HandshakeOutcome): number {
  return comparison.rule;
}

function joinWithoutSync(pair: Pair, outcome: HandshakeOutcome): Pair {
  const isNew = pair.nodes.every((node) => node.disk === "Inconsistent");
  if (!isNew && differingBlocks(pair) !== 0) {
    throw new Broken("equal-when-connected", `rule ${ruleOf(outcome)}`);
  }
  const joined: Pair = { ...pair, link: { phase: "connected" } };
  return isNew ? joined : SIDES.reduce(
    (now, side) =>
      withNode(now, side, {
        disk: "UpToDate",
        crashedPrimary: false,
        mayBeShared: true,
      }),
    joined,
  );
}

function exchangeBitmaps(
  pair: Pair,
  from: Side,
  outcome: HandshakeOutcome,
): Pair {
  const { nodes: [a, b] } = pair;
  const union = outcome.setWholeBitmap ? allBlocks(pair) : a.bits | b.bits;
  if ((differingBlocks(pair) & ~union) !== 0) {
    throw new Broken("bitmap-superset", `rule ${ruleOf(outcome)}`);
  }
  const to = otherSide(from);
  const target = pair.nodes[to];
  let now = withNode(pair, from, { disk: "UpToDate" });
  now = withNode(now, to, {
    disk: target.disk === "Inconsistent" ? "Inconsistent" : "Outdated",
  });
  for (const side of SIDES) {
    now = withNode(now, side, { bits: union, savedBits: union });
  }
  return {
    ...now,
    link: { phase: "bitmaps", from, told: pair.nodes[from].set },
  };
}
