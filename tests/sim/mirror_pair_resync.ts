/**
 * A resync of a pair, step by step: the link may be lost between any two.
 *
 * @module
 */

import {
  finishSource,
  finishTarget,
  startSource,
  startTarget,
} from "../../node-agent/mirror/decisions/uuid_core.ts";
import {
  differingBlocks,
  otherSide,
  type Pair,
  type PairNode,
  type Side,
  unusedGeneration,
  withNode,
} from "./mirror_pair.ts";
import {
  Broken,
  clearBits,
  overwrite,
  type PairEvent,
} from "./mirror_promises.ts";

/** The next steps of a resync that is under way. */
export function resyncEvents(pair: Pair): PairEvent[] {
  switch (pair.link.phase) {
    case "bitmaps":
      return [{ name: "announce", run: () => announce(pair) }];
    case "announced":
      return [{ name: "hear", run: () => hear(pair) }];
    case "syncing":
      return syncEvents(pair);
    case "target-done":
    case "source-done":
      return [{ name: "settle", run: () => settle(pair) }];
    default:
      return [];
  }
}

function announce(pair: Pair): Pair {
  const { link } = pair;
  if (!("from" in link)) return pair;
  const { set } = startSource(
    pair.nodes[link.from].set,
    unusedGeneration(pair),
  );
  const begun = withNode(pair, link.from, { set, mayBeShared: true });
  return { ...begun, link: { ...link, phase: "announced" } };
}

function hear(pair: Pair): Pair {
  const { link } = pair;
  if (!("from" in link)) return pair;
  const to = otherSide(link.from);
  const announced = pair.nodes[link.from].set.bitmap;
  const heard = withNode(pair, to, {
    set: startTarget(pair.nodes[to].set, announced),
    disk: "Inconsistent",
  });
  return { ...heard, link: { ...link, phase: "syncing" } };
}

function syncEvents(pair: Pair): PairEvent[] {
  const { link } = pair;
  if (!("from" in link)) return [];
  const source = pair.nodes[link.from];
  if (source.bits === 0) {
    return [
      { name: "target done", run: () => finish(pair, "target-done") },
      { name: "source done", run: () => finish(pair, "source-done") },
    ];
  }
  return source.blocks.flatMap((_, block) =>
    (source.bits & (1 << block)) === 0
      ? []
      : [{ name: `copy ${block}`, run: () => copy(pair, link.from, block) }]
  );
}

function copy(pair: Pair, from: Side, block: number): Pair {
  const good = pair.nodes[from].blocks[block] ?? [];
  return clearBits(overwrite(pair, otherSide(from), block, good), 1 << block);
}

function finish(pair: Pair, phase: "target-done" | "source-done"): Pair {
  const { link } = pair;
  if (!("from" in link)) return pair;
  const done = phase === "target-done"
    ? finishedTarget(pair, otherSide(link.from), link.told)
    : finishedSource(pair, link.from);
  return { ...done, link: { ...link, phase } };
}

function finishedTarget(
  pair: Pair,
  side: Side,
  told: PairNode["set"],
): Pair {
  return withNode(pair, side, {
    set: finishTarget(pair.nodes[side].set, told),
    disk: "UpToDate",
    savedBits: 0,
    crashedPrimary: false,
  });
}

function finishedSource(pair: Pair, side: Side): Pair {
  return withNode(pair, side, {
    set: finishSource(pair.nodes[side].set),
    savedBits: 0,
    crashedPrimary: false,
  });
}

function settle(pair: Pair): Pair {
  const { link } = pair;
  if (!("from" in link)) return pair;
  if (differingBlocks(pair) !== 0) {
    throw new Broken("equal-when-connected", "after a resync");
  }
  const settled = link.phase === "target-done"
    ? finishedSource(pair, link.from)
    : finishedTarget(pair, otherSide(link.from), link.told);
  return { ...settled, link: { phase: "connected" } };
}
