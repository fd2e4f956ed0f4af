/**
 * Makes the faults of a disk happen that are more than an error: unreadable
 * sectors, rot, a lost bitmap, a new disk.
 *
 * @module
 */

import type { DiskLoss } from "./plan_extras.ts";
import type { SimNode } from "./sim_node.ts";
import { ROT_FROM } from "./sim_disk.ts";
import { memberOf } from "./sim_register.ts";
import { firstContents, firstState } from "./volume_options.ts";
import { other, PIECES_PER_BLOCK, type World } from "./world.ts";

/** Schedule every one of a plan. */
export function startDiskLosses(world: World): void {
  for (const loss of world.plan.losses) {
    world.scheduler.after(loss.atMs, () => {
      if (world.isHealing) return;
      const node = world.nodes[loss.a];
      node.trace(`fault ${loss.kind} n=${loss.n}`);
      world.mark(`fault ${loss.kind}`);
      happen(world, node, loss);
    });
  }
}

function happen(world: World, node: SimNode, loss: DiskLoss): void {
  const { disk } = node;
  const block = loss.n % world.plan.blocks;
  const first = block * PIECES_PER_BLOCK;
  switch (loss.kind) {
    case "bad-sector":
      for (let at = 0; at < PIECES_PER_BLOCK; at++) disk.bad.add(first + at);
      return;
    case "bit-rot":
      return rot(world, node, first + loss.ms % PIECES_PER_BLOCK);
    case "lose-bitmap":
      disk.isBitmapLost = true;
      return;
    case "wipe":
      return wipe(world, node, loss.ms);
  }
}

/** What is stable there changes: what is in the cache would be written again. */
function rot(world: World, node: SimNode, piece: number): void {
  const { disk } = node;
  if (disk.dirty.has(piece)) return;
  world.taints.add(node, piece, disk.cache[piece] ?? 0);
  disk.cache[piece] = ROT_FROM + piece;
}

/** An operator does that when the other disk is good, and only then. */
function wipe(world: World, node: SimNode, ms: number): void {
  const peer = world.nodes[other(node.id)];
  if (!isTheGoodCopy(world, peer)) return world.mark("wipe put off");
  replaceDisk(node, ms);
}

/** Two volumes that have nothing in common: a person gives one of them up. */
export function giveUpDisk(node: SimNode): void {
  const { lineage, nodes } = node.world;
  const kept = nodes[other(node.id)].disk.cache;
  kept.forEach((content, piece) => {
    const value = lineage.valueOf(piece, content);
    for (;;) {
      const missing = value === undefined
        ? []
        : lineage.missing(piece, value, true);
      if (missing.length === 0) return;
      lineage.excuse(piece, missing);
    }
  });
  replaceDisk(node, 10);
}

/** Somebody puts a new disk, or new metadata, in its place. */
export function replaceDisk(node: SimNode, ms: number): void {
  const { world } = node;
  node.die(false);
  node.diskNumber++;
  const room = Math.max(...world.nodes.map(({ disk }) => disk.room));
  const value = firstContents({ ...world.plan, startsNew: true }, 1);
  node.disk.replace(firstState({ ...world.plan, startsNew: true }), {
    value,
    room,
  });
  node.disk.bad.clear();
  node.trace("has a new disk");
  world.mark("wiped");
  world.scheduler.after(ms, () => node.start());
}

/** Whether a person would throw the other copy away. */
export function isTheGoodCopy(world: World, node: SimNode): boolean {
  const { lineage, register, plan } = world;
  const isUp = node.core?.state.disk === "UpToDate" && !node.isPaused &&
    node.disk.bad.size === 0 && !world.taints.isAny;
  if (!isUp) return false;
  // What the register calls the only copy is not thrown away.
  const me = memberOf(node.id, "", node.diskNumber);
  const isMember = !plan.isFenced ||
    (register.register?.insync.some(({ disk }) => disk === me.disk) ?? true);
  if (!isMember || node.core?.writes.pending !== 0) return false;
  return node.disk.cache.every((content, piece) => {
    const value = lineage.valueOf(piece, content);
    return value !== undefined && lineage.missing(piece, value).length === 0;
  });
}
