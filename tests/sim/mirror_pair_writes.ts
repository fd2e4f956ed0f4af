/**
 * A write of a Primary, and everything that can happen in the middle of it.
 *
 * @module
 */

import type { Hardenings } from "../../node-agent/mirror/decisions/hardenings_core.ts";
import {
  crash,
  loseLink,
  noteEvent,
  otherSide,
  type Pair,
  type Side,
  withNode,
} from "./mirror_pair.ts";
import {
  type Circumstances,
  clearBits,
  markBits,
  nameOf,
  overwrite,
  type PairEvent,
} from "./mirror_promises.ts";

/** Longest lineage of a block that is explored. */
const LINEAGE_MAX = 3;

/** How far a write gets before something breaks. */
type WriteEnd =
  | "whole"
  /** We crash when the new generation is stored, before the write. */
  | "generation, crash"
  /** On our disk only; the link is lost, then it is answered. */
  | "local, cut"
  /** On both disks; the peer's answer is lost with the link. */
  | "both, cut"
  /** On our disk only; we crash, nobody was answered. */
  | "local, crash"
  /** On the peer's disk only; we crash, nobody was answered. */
  | "peer, crash";

/** Writes that a Primary may try now. */
export function writeEvents(
  pair: Pair,
  side: Side,
  { hardenings, mayCrashBeforeWrite }: Circumstances,
): PairEvent[] {
  if (pair.nodes[side].disk !== "UpToDate") return [];
  const ends: WriteEnd[] = replicates(pair)
    ? ["whole", "local, cut", "both, cut", "local, crash", "peer, crash"]
    : mayCrashBeforeWrite
    ? ["whole", "generation, crash"]
    : ["whole"];
  return pair.nodes[side].blocks.flatMap((lineage, block) =>
    lineage.length >= LINEAGE_MAX ? [] : ends.map((end) => ({
      name: `write ${nameOf(side)}${block} (${end})`,
      run: () => write(pair, { side, block, end }, hardenings),
    }))
  );
}

/** Writes go to the peer's disk, too. */
function replicates({ link }: Pair): boolean {
  return link.phase !== "down" && link.phase !== "bitmaps" &&
    link.phase !== "announced";
}

function write(
  pair: Pair,
  { side, block, end }: { side: Side; block: number; end: WriteEnd },
  hardenings: Hardenings,
): Pair {
  const id = 1 + Math.max(-1, ...pair.nodes.flatMap((n) => n.blocks.flat()));
  const peer = otherSide(side);
  const bit = 1 << block;
  const log = pair.nodes[side].log | bit;
  const written = [...(pair.nodes[side].blocks[block] ?? []), id];
  if (!replicates(pair)) {
    let now = pair.link.phase === "down"
      ? noteEvent(pair, side, "unreplicated-write", hardenings)
      : markBits(pair, bit);
    if (end === "generation, crash") return crash(now, side, hardenings);
    now = withNode(now, side, { log, bits: now.nodes[side].bits | bit });
    return answer(overwrite(now, side, block, written), id);
  }
  let now = withNode(pair, side, { log });
  if (end !== "peer, crash") now = overwrite(now, side, block, written);
  if (!end.startsWith("local")) now = overwrite(now, peer, block, written);
  if (end === "whole") {
    // Both have the whole block: it is in sync again.
    if (now.link.phase !== "connected") now = clearBits(now, bit);
    return answer(now, id);
  }
  if (end.endsWith("crash")) return crash(now, side, hardenings);
  now = withNode(now, side, { bits: now.nodes[side].bits | bit });
  return answer(loseLink(now, hardenings), id);
}

function answer(pair: Pair, id: number): Pair {
  return { ...pair, answered: new Set([...pair.answered, id]) };
}
