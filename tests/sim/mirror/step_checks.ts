/**
 * What must hold all the time: wherever the disks differ, what is **durable**
 * on one of them says so, or their generations demand a full copy (I9, I10).
 *
 * @module
 */

import { compareGenerations } from "../../../node-agent/mirror/decisions/uuid_compare_core.ts";
import { imageOf } from "./promotions.ts";
import type { SimNode } from "./sim_node.ts";
import { PIECE_BYTES, PIECES_PER_BLOCK, type World } from "./world.ts";

/** Verdicts after which everything, or nothing, is copied. */
const COPIES_ALL: ReadonlySet<string> = new Set([
  "fullSource",
  "fullTarget",
  "splitBrain",
  "unrelated",
]);

/** See the module comment. */
export function mustCoverDifferences(world: World): void {
  const [a, b] = world.nodes;
  // What was on its way may have come since, and its marks may be gone.
  if (world.nodes.some(({ disk }) => disk.lyingMeta?.isOld === true)) return;
  let uncovered = -1;
  // Behind that one of them has not grown yet: it will be marked then.
  const bytes = Math.min(
    ...world.nodes.map(({ disk: { state, sizeBytes } }) =>
      state.agreedBytes || sizeBytes
    ),
  );
  const pieces = bytes / PIECE_BYTES;
  for (let piece = 0; piece < pieces; piece++) {
    if (a.disk.cache[piece] === b.disk.cache[piece]) continue;
    if (world.taints.has(piece)) continue;
    const block = Math.floor(piece / PIECES_PER_BLOCK);
    if (a.disk.covers(block) || b.disk.covers(block)) {
      piece = (block + 1) * PIECES_PER_BLOCK - 1;
      continue;
    }
    uncovered = block;
    break;
  }
  if (uncovered < 0 || copiesAll(world)) return;
  world.fail(
    "I10",
    `block ${uncovered} differs, and neither disk says so; ` +
      `${sayDisk(a)}; ${sayDisk(b)}`,
  );
}

/**
 * Whatever a loss of power would leave on a disk that may serve is a write-order
 * prefix, on either node, at any time (I7, B4).
 */
export function mustSurvivePowerLoss(world: World): void {
  for (const node of world.nodes) {
    const { flags } = node.disk.state;
    const mayServe = flags.consistent && flags.wasUpToDate;
    if (!mayServe || node.disk.isLiar) continue;
    const image = imageOf(node, node.disk.crashImage(world.rng.crashes));
    world.history.mustBeCut(image, `power would be lost on ${node.name}`);
  }
}

function copiesAll(world: World): boolean {
  const [a, b] = world.nodes;
  const side = (node: SimNode) => ({
    generations: node.disk.state.generations,
    crashedPrimary: node.disk.state.flags.crashedPrimary ||
      node.disk.state.flags.primary,
    isPrimary: false,
  });
  const options = { resolveConflicts: true, mutualMatchIsSplitBrain: true };
  const { verdict, rule } = compareGenerations(side(a), side(b), options);
  return COPIES_ALL.has(verdict) || rule === 10;
}

function sayDisk(node: SimNode): string {
  const { generations: set, flags } = node.disk.state;
  const names = [set.current, set.bitmap, ...set.history].map((each) =>
    each.toString(16)
  );
  const on = Object.entries(flags).filter(([, is]) => is).map(([name]) => name);
  return `${node.name} ${names.join(":")} ${on.join("+")}`;
}
