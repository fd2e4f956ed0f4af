/**
 * After the faults: both nodes become equal and serve (I9, I18, I23).
 *
 * @module
 */

import type { SimNode } from "./sim_node.ts";
import { needsScrub } from "./scrub.ts";
import { mustCoverDifferences } from "./step_checks.ts";
import { primaryOf, read } from "./volume_clients.ts";
import { PIECES_PER_BLOCK, type World } from "./world.ts";

/** How long a healed volume may take, in ms. */
const HEAL_MS = 40_000;

/** See the module comment. */
export function mustBecomeWell(world: World): void {
  const { scheduler } = world;
  const deadlineMs = scheduler.nowMs + HEAL_MS;
  for (;;) {
    const why = unwell(world);
    if (why === undefined) break;
    if (scheduler.nowMs > deadlineMs) {
      world.fail("I23", `not well after the faults: ${why}`);
    }
    scheduler.runUntil(scheduler.nowMs + 100);
    mustCoverDifferences(world);
  }
  mustBeEqual(world);
  world.taints.compared();
  mustReadAll(world);
  mustHoldAnswers(world);
}

function unwell(world: World): string | undefined {
  const [a, b] = world.nodes;
  for (const node of [a, b]) {
    const { core } = node;
    if (core === undefined) return `${node.name} is down`;
    const { state } = core;
    if (state.connection !== "Connected") {
      return `${node.name} is ${state.connection}`;
    }
    if (state.disk !== "UpToDate" || state.peerDisk !== "UpToDate") {
      return `${node.name} is ${state.disk}/${state.peerDisk}`;
    }
    if (core.sizeBytes !== node.disk.sizeBytes) {
      return `${node.name} has ${core.sizeBytes} bytes`;
    }
    if (core.bitmap?.count !== 0) return `${node.name} has marked blocks`;
    if (core.writes.pending + core.reads.pending > 0) {
      return `${node.name} has not answered ${core.writes.pending} writes, ` +
        `${core.reads.pending} reads`;
    }
    if (core.writes.unconfirmed > 0) return `${node.name} waits for its peer`;
    if (!core.replica.isDrained) return `${node.name} is not drained`;
  }
  const primary = primaryOf(world);
  if (primary === undefined) return "nobody is Primary";
  if (needsScrub(world)) return "nobody has verified";
  if (world.plan.isFenced && world.register.insync.length < 2) {
    return "the register has one member";
  }
  return undefined;
}

/** Connected, UpToDate, nothing marked: then the disks are the same. */
function mustBeEqual(world: World): void {
  const [a, b] = world.nodes;
  for (let piece = 0; piece < a.disk.cache.length; piece++) {
    if (a.disk.cache[piece] === b.disk.cache[piece]) continue;
    world.fail(
      "I9",
      `piece ${piece} (block ${piece >> 3}) differs silently: ` +
        `${a.disk.cache[piece]} and ${b.disk.cache[piece]}`,
    );
  }
}

function mustReadAll(world: World): void {
  for (let attempt = 1;; attempt++) {
    const left = readAll(world);
    if (left === 0) return;
    // Somebody may have given the role up meanwhile.
    if (attempt === 4) world.fail("I23", `${left} blocks cannot be read`);
    world.scheduler.runUntil(world.scheduler.nowMs + 1_000);
  }
}

/** Read everything; how many blocks could not be read. */
function readAll(world: World): number {
  const primary = primaryOf(world);
  if (primary === undefined) return world.plan.blocks;
  const { blocks } = world.plan;
  let left = blocks;
  for (let block = 0; block < blocks; block++) {
    const range = {
      first: block * PIECES_PER_BLOCK,
      count: PIECES_PER_BLOCK,
    };
    read(primary, range, (ok) => {
      if (ok) left--;
    });
  }
  world.scheduler.runUntil(world.scheduler.nowMs + 500);
  return left;
}

/** Everything answered is part of what is on the disks. */
function mustHoldAnswers(world: World): void {
  const [a]: readonly [SimNode, SimNode] = world.nodes;
  for (let piece = 0; piece < a.disk.cache.length; piece++) {
    const value = world.lineage.valueOf(piece, a.disk.cache[piece] ?? 0);
    if (value === undefined) continue;
    const missing = world.lineage.missing(piece, value);
    if (missing.length > 0) {
      world.fail(
        "I6",
        `piece ${piece} (block ${piece >> 3}) lost ${missing}: it is ${value}`,
      );
    }
  }
}
