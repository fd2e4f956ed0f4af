/**
 * Disks that grow, and people who let the volume follow: with the peer or
 * without, while nodes are up or down, with a crash in the middle. Drawn from a
 * stream of its own, so that it changes no other seed.
 *
 * What lies on a disk behind the volume's size differs between the nodes, or is
 * the same where a person may say so (`--assume-clean`). Either is what nobody
 * wrote: {@linkcode Lineage} takes both for one value, the disks are compared as
 * they are.
 *
 * @module
 */

import { Prng } from "../prng.ts";
import type { SimNode } from "./sim_node.ts";
import { other, PIECE_BYTES, PIECES_PER_BLOCK, type World } from "./world.ts";

const BLOCK_BYTES = PIECE_BYTES * PIECES_PER_BLOCK;

/** Something that happens to the size. */
export interface GrowthStep {
  readonly atMs: number;
  readonly a: 0 | 1;
  /** The disk of `a` becomes so large, or `a` is told to resize to that. */
  readonly kind: "disk" | "resize";
  /** 0: as large as possible. */
  readonly blocks: number;
  readonly assumePeerHasSpace: boolean;
  readonly assumeClean: boolean;
  /** This node, or its peer, ends at its so manieth effect from here; -1: none. */
  readonly crash: number;
  readonly crashesPeer: boolean;
  readonly isPowerLoss: boolean;
}

/** How large everything is; in the end it has all of the plan's blocks. */
export interface Growth {
  readonly firstBlocks: number;
  /** Room on each disk at the start. */
  readonly rooms: readonly [number, number];
  /** What is new on the disks is the same on both. */
  readonly isEqual: boolean;
  readonly steps: readonly GrowthStep[];
}

/** How many seeds have it. */
const SHARE = 0.05;

/** Draw it; undefined: the volume has its size for ever. */
export function drawGrowth(
  seed: number,
  { blocks, workMs }: { readonly blocks: number; readonly workMs: number },
): Growth | undefined {
  const rng = new Prng(seed, 121);
  if (!rng.chance(SHARE)) return undefined;
  const firstBlocks = rng.between(1, blocks - 1);
  const room = () =>
    rng.chance(0.5) ? firstBlocks : rng.between(firstBlocks, blocks);
  const isEqual = rng.chance(0.4);
  const count = rng.between(1, 8);
  const steps = Array.from({ length: count }, (): GrowthStep => ({
    atMs: rng.between(30, workMs),
    a: rng.chance(0.5) ? 0 : 1,
    kind: rng.chance(0.4) ? "disk" : "resize",
    blocks: rng.chance(0.5) ? 0 : rng.between(firstBlocks, blocks),
    assumePeerHasSpace: rng.chance(0.5),
    assumeClean: isEqual && rng.chance(0.5),
    crash: rng.chance(0.3) ? rng.between(0, 12) : -1,
    crashesPeer: rng.chance(0.5),
    isPowerLoss: rng.chance(0.3),
  }));
  const rooms = [room(), room()] as const;
  return {
    firstBlocks,
    rooms,
    isEqual,
    steps: steps.sort((x, y) => x.atMs - y.atMs),
  };
}

/** Schedule every step. */
export function startGrowth(world: World): void {
  for (const step of world.plan.growth?.steps ?? []) {
    world.scheduler.after(step.atMs, () => {
      if (!world.isHealing) happen(world, step);
    });
  }
}

/** Both disks have room for everything. */
export function growDisks({ plan, nodes }: World): void {
  for (const { disk } of nodes) disk.grow(plan.blocks);
}

/** A person lets the volume follow its disks. */
export function resize(node: SimNode, step: GrowthStep): void {
  const { world } = node;
  node.run((core) => {
    const before = core.sizeBytes;
    const wish = { ...step, sizeBytes: step.blocks * BLOCK_BYTES };
    node.trace(`command resize ${step.blocks}`);
    core.resize.start(wish, ({ code, why }) => {
      node.trace(`command resize: ${code} ${why ?? ""}`);
      world.mark(code === 1 ? "resize" : "resize refused");
      if (code !== 1) return;
      if (core.sizeBytes > before) world.mark("grown");
      mustBothHaveIt(node);
    });
  });
}

/** The rest of what disks have room for. */
export const ALL_OF_IT: GrowthStep = {
  atMs: 0,
  a: 0,
  kind: "resize",
  blocks: 0,
  assumePeerHasSpace: false,
  assumeClean: false,
  crash: -1,
  crashesPeer: false,
  isPowerLoss: false,
};

function happen(world: World, step: GrowthStep): void {
  const { plan } = world;
  const node = world.nodes[step.a];
  if (step.kind === "disk") {
    node.trace(`its disk grows to ${step.blocks || plan.blocks} blocks`);
    return node.disk.grow(step.blocks || plan.blocks);
  }
  if (step.crash >= 0) {
    const ends = step.crashesPeer ? world.nodes[other(node.id)] : node;
    if (ends.isAlive) {
      ends.crashIn = { left: step.crash, isPowerLoss: step.isPowerLoss };
      world.scheduler.after(600, () => {
        ends.crashIn = undefined;
        ends.start();
      });
    }
  }
  resize(node, step);
}

/** Who is told that it is done, and is connected, has the peer's size. */
function mustBothHaveIt(node: SimNode): void {
  const { world, side, core } = node;
  const peer = side?.other.node;
  const isJoined = side !== undefined && peer?.side === side.other &&
    !side.isClosed && core?.state.connection === "Connected";
  if (!isJoined || peer?.core?.sizeBytes === core?.sizeBytes) return;
  world.fail(
    "size",
    `${node.name} was told that the volume has ${core?.sizeBytes} bytes, ` +
      `its peer has ${peer?.core?.sizeBytes}`,
  );
}
