/**
 * Everything that can happen to a pair (`mirror_pair.ts`).
 *
 * @module
 */

import type { Hardenings } from "../../node-agent/mirror/decisions/hardenings_core.ts";
import {
  attachDisk,
  crash,
  loseDisk,
  loseLink,
  newGeneration,
  noteEvent,
  otherSide,
  type Pair,
  restart,
  type Side,
  withNode,
} from "./mirror_pair.ts";
import { connectEvents } from "./mirror_pair_connect.ts";
import { resyncEvents } from "./mirror_pair_resync.ts";
import { writeEvents } from "./mirror_pair_writes.ts";
import {
  type Circumstances,
  giveUp,
  markBits,
  nameOf,
  type PairEvent,
  SIDES,
} from "./mirror_promises.ts";

/** Everything that may happen in a state. */
export function eventsOf(pair: Pair, where: Circumstances): PairEvent[] {
  const events = [
    ...SIDES.flatMap((side) => nodeEvents(pair, side, where)),
    ...linkEvents(pair, where.hardenings),
  ];
  return where.mayRot ? [...events, ...verifyEvents(pair)] : events;
}

function nodeEvents(
  pair: Pair,
  side: Side,
  where: Circumstances,
): PairEvent[] {
  const { hardenings, mayForce } = where;
  const node = pair.nodes[side];
  const name = nameOf(side);
  if (!node.isUp) {
    return [{ name: `restart ${name}`, run: () => restart(pair, side) }];
  }
  const events: PairEvent[] = [
    { name: `crash ${name}`, run: () => crash(pair, side, hardenings) },
    ...diskEvents(pair, side, where),
  ];
  if (node.isPrimary) {
    events.push({ name: `demote ${name}`, run: () => demote(pair, side) });
    return [...events, ...writeEvents(pair, side, where)];
  }
  const peer = pair.nodes[otherSide(side)];
  const isAlone = pair.link.phase === "down";
  if (node.isDetached) return events;
  if (node.disk === "UpToDate" && (isAlone || !peer.isPrimary)) {
    events.push({
      name: `promote ${name}`,
      run: () => promote(pair, side, hardenings),
    });
  }
  if (mayForce && node.disk !== "UpToDate" && isAlone) {
    events.push({ name: `force ${name}`, run: () => force(pair, side) });
  }
  return events;
}

function diskEvents(
  pair: Pair,
  side: Side,
  { hardenings, mayLoseDisk }: Circumstances,
): PairEvent[] {
  const name = nameOf(side);
  const node = pair.nodes[side];
  if (node.isDetached) {
    // A Primary without a disk may have written: it must be told apart first.
    return node.isPrimary ? [] : [{
      name: `attach ${name}`,
      run: () => attachDisk(pair, side, hardenings),
    }];
  }
  const isCalm = pair.link.phase === "connected" &&
    pair.nodes.every((each) => each.disk === "UpToDate" && !each.isDetached);
  return mayLoseDisk && isCalm
    ? [{
      name: `lose disk ${name}`,
      run: () => loseDisk(pair, side, hardenings),
    }]
    : [];
}

function promote(pair: Pair, side: Side, hardenings: Hardenings): Pair {
  const primary = withNode(pair, side, { isPrimary: true });
  return pair.link.phase === "down"
    ? noteEvent(primary, side, "promoted-alone", hardenings)
    : primary;
}

/** `primary --force`: a person takes these data, whatever they lack. */
function force(pair: Pair, side: Side): Pair {
  const forced = withNode(pair, side, { isPrimary: true, disk: "UpToDate" });
  return newGeneration(giveUp(forced, otherSide(side)), side);
}

function demote(pair: Pair, side: Side): Pair {
  const { bits, isDetached } = pair.nodes[side];
  // Nothing can be saved on a lost disk.
  if (isDetached) return withNode(pair, side, { isPrimary: false });
  return withNode(pair, side, { isPrimary: false, savedBits: bits, log: 0 });
}

function linkEvents(pair: Pair, hardenings: Hardenings): PairEvent[] {
  if (pair.link.phase === "down") {
    const areUp = pair.nodes.every((node) => node.isUp && !node.isDetached);
    return areUp ? connectEvents(pair, hardenings) : [];
  }
  const cut = { name: "cut", run: () => loseLink(pair, hardenings) };
  return [cut, ...resyncEvents(pair)];
}

/** A disk of a Secondary lost a write, and a verify has found it. */
function verifyEvents(pair: Pair): PairEvent[] {
  return SIDES.flatMap((side) => {
    const node = pair.nodes[side];
    const lineage = node.blocks[0] ?? [];
    const mayVerify = pair.link.phase === "connected" && node.bits === 0 &&
      pair.nodes.every((each) => !each.isDetached) &&
      !node.isPrimary && node.disk === "UpToDate" && lineage.length > 0;
    if (!mayVerify) return [];
    const blocks = [lineage.slice(0, -1), ...node.blocks.slice(1)];
    return [{
      name: `verify finds ${nameOf(side)}0 old`,
      run: () => markBits(withNode(pair, side, { blocks }), 1),
    }];
  });
}
