/**
 * Metadata that rot while they lie on the disk. Drawn from a stream of its own.
 *
 * - **The superblock** has a checksum: a disk whose superblock rotted is not
 *   attached (119) until somebody makes new metadata, and then it is copied
 *   whole. Nothing is lost. Whatever is saved meanwhile heals it.
 * - **The bitmap** has none (v08). A mark that appears costs a copy. A mark that
 *   vanishes, and is read at the next attach, leaves a difference that nobody
 *   knows of: an online verify finds it, and what only this node had there is
 *   promised by nobody.
 *
 * @module
 */

import { Prng } from "../prng.ts";
import { isTheGoodCopy, replaceDisk } from "./disk_losses.ts";
import { doubtPiece } from "./lying_meta.ts";
import type { MirrorPlan } from "./plan.ts";
import type { SimNode } from "./sim_node.ts";
import { other, PIECES_PER_BLOCK, type World } from "./world.ts";

/** A bit of the metadata of `a` flips; of the bitmap: that of block `n`. */
export interface MetaRot {
  readonly atMs: number;
  readonly a: 0 | 1;
  readonly kind: "superblock" | "bitmap";
  readonly n: number;
}

/** How many seeds have it. */
const SHARE = 0.05;

/** Draw them for what else happens. */
export function drawMetaRots(
  seed: number,
  plan: Omit<MirrorPlan, "metaRots">,
): MetaRot[] {
  const rng = new Prng(seed, 126);
  if (!rng.chance(SHARE)) return [];
  const kind = rng.chance(0.5) ? "superblock" : "bitmap";
  if (kind === "superblock" && !leavesOneGood(plan)) return [];
  const rots = Array.from({ length: rng.between(1, 6) }, (): MetaRot => ({
    atMs: rng.between(50, plan.workMs),
    a: rng.chance(0.5) ? 0 : 1,
    kind,
    n: rng.between(0, rng.pick([1, 4, 63])),
  }));
  return rots.sort((x, y) => x.atMs - y.atMs);
}

/** Whether no other fault takes the other copy, or a person's trust in it. */
function leavesOneGood(plan: Omit<MirrorPlan, "metaRots">): boolean {
  const { liar, metaLiar, fencing, losses, hangs, faults } = plan;
  return liar < 0 && metaLiar < 0 && fencing === "dont-care" &&
    losses.length === 0 && hangs === undefined &&
    !faults.some(({ kind }) => kind.startsWith("eio-"));
}

/** Schedule every one of a plan. */
export function startMetaRots(world: World): void {
  for (const { atMs, a, kind, n } of world.plan.metaRots) {
    world.scheduler.after(atMs, () => {
      if (world.isHealing) return;
      const node = world.nodes[a];
      node.trace(`fault rot of the ${kind} n=${n}`);
      if (kind === "superblock") return rotSuperblock(node);
      node.disk.rotBitmap(n % world.plan.blocks);
      world.mark("a bitmap rotted");
    });
  }
}

/** A person needs the other copy afterwards. */
function rotSuperblock(node: SimNode): void {
  const { world, disk } = node;
  const peer = world.nodes[other(node.id)];
  if (peer.disk.isSuperblockRotten || !isTheGoodCopy(world, peer)) return;
  disk.isSuperblockRotten = true;
  world.mark("a superblock rotted");
}

/** `create-md`, once the other copy is known to be good. */
export function createAnew(node: SimNode): void {
  const peer = node.world.nodes[other(node.id)];
  if (isTheGoodCopy(node.world, peer)) replaceDisk(node, 10);
}

/** The nodes decide by their marks, and some of them are gone. */
export function marksAreMissed({ nodes }: World): void {
  for (const node of nodes) missMarks(node, node.core?.bitmap?.bytes);
}

/** A node goes by these marks, and may save them: some of them are gone. */
export function missMarks(node: SimNode, bitmap: Uint8Array | undefined): void {
  const { disk, world } = node;
  for (const block of disk.rotten) {
    const byte = bitmap?.[block >> 3] ?? 0;
    if ((byte >> (block & 7) & 1) === 1) continue; // it is in memory
    disk.rotten.delete(block);
    const first = block * PIECES_PER_BLOCK;
    for (let at = 0; at < PIECES_PER_BLOCK; at++) {
      doubtPiece(node, first + at);
    }
    world.taints.isAny = true;
    world.mark("a mark was missed");
  }
}
