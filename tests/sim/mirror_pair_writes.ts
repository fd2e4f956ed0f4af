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
  const disk = diskOf(pair, side);
  if (disk === undefined || pair.nodes[disk].disk !== "UpToDate") return [];
  const ends: WriteEnd[] = replicates(pair)
    ? ["whole", "local, cut", "both, cut", "local, crash", "peer, crash"]
    : mayCrashBeforeWrite
    ? ["whole", "generation, crash"]
    : ["whole"];
  return pair.nodes[disk].blocks.flatMap((lineage, block) =>
    lineage.length >= LINEAGE_MAX ? [] : ends.map((end) => ({
      name: `write ${nameOf(side)}${block} (${end})`,
      run: () => write(pair, { side, block, end }, hardenings),
    }))
  );
}

/** Whose disk a Primary writes on: its own, else the peer's, if it can. */
function diskOf({ nodes, link }: Pair, side: Side): Side | undefined {
  if (!nodes[side].isDetached) return side;
  const peer = otherSide(side);
  return link.phase === "down" || nodes[peer].isDetached ? undefined : peer;
}

/** Writes go to both disks. */
function replicates({ nodes, link }: Pair): boolean {
  return nodes.every((node) => !node.isDetached) && link.phase !== "down" &&
    link.phase !== "bitmaps" &&
    link.phase !== "announced";
}

function write(
  pair: Pair,
  { side, block, end }: { side: Side; block: number; end: WriteEnd },
  hardenings: Hardenings,
): Pair {
  const disk = diskOf(pair, side) ?? side;
  const id = 1 + Math.max(-1, ...pair.nodes.flatMap((n) => n.blocks.flat()));
  const peer = otherSide(side);
  const bit = 1 << block;
  const log = pair.nodes[disk].log | bit;
  const written = [...(pair.nodes[disk].blocks[block] ?? []), id];
  if (!replicates(pair)) {
    let now = pair.link.phase === "down" || pair.link.phase === "connected"
      ? noteEvent(pair, disk, "unreplicated-write", hardenings)
      : markBits(pair, bit);
    if (end === "generation, crash") return crash(now, side, hardenings);
    now = withNode(now, disk, { log, bits: now.nodes[disk].bits | bit });
    return answer(overwrite(now, disk, block, written), id);
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
