/**
 * Clients of the volume: reads, writes of unique values, zeroes, flushes, at
 * whatever node is Primary.
 *
 * @module
 */

import type { SimNode } from "./sim_node.ts";
import { PIECE_BYTES, PIECES_PER_BLOCK, type World } from "./world.ts";

/** Longest time that an operation is waited for, in ms. */
const PATIENCE_MS = 1_500;

/** Let clients work until a time. */
export function startVolumeClients(world: World, untilMs: number): void {
  const { plan, scheduler, rng } = world;
  for (let client = 0; client < plan.clients * plan.depth; client++) {
    const step = () => {
      if (scheduler.nowMs >= untilMs) return;
      let isDone = false;
      const next = () => {
        if (isDone) return;
        isDone = true;
        const thinkMs = rng.clients.range(0, 2) * plan.thinkMs;
        scheduler.after(thinkMs, step);
      };
      scheduler.after(PATIENCE_MS, next);
      operate(world, next);
    };
    scheduler.after(rng.clients.range(0, 100), step);
  }
}

function operate(world: World, next: () => void): void {
  const node = primaryOf(world);
  if (node === undefined) return next();
  const { rng: { clients: rng }, plan } = world;
  const draw = rng.next();
  if (draw < plan.readShare) return readSome(node, next);
  if (draw < plan.readShare + plan.flushShare) return flush(node, next);
  const isZero = rng.chance(plan.zeroShare);
  const range = drawRange(node, isZero);
  if (isZero) return zero(node, range, next);
  write(node, range, rng.chance(0.1), next);
}

/** Some node that is Primary. */
export function primaryOf(world: World): SimNode | undefined {
  const primaries = world.nodes.filter((node) =>
    node.core?.state.role === "Primary" && !node.isPaused
  );
  return primaries.length === 0 ? undefined : world.rng.clients.pick(primaries);
}

interface Range {
  readonly first: number;
  readonly count: number;
}

function drawRange({ world, core }: SimNode, isZero: boolean) {
  const { plan, rng: { clients: rng } } = world;
  const bytes = core?.sizeBytes ?? 0;
  const size = plan.growth === undefined || bytes === 0
    ? plan.growth?.firstBlocks ?? plan.blocks
    : bytes / (PIECE_BYTES * PIECES_PER_BLOCK);
  const block = rng.chance(0.8)
    ? rng.between(0, Math.min(plan.hotBlocks, size) - 1)
    : rng.between(0, size - 1);
  const isWhole = rng.chance(0.5);
  const most = size - block;
  const blocks = isZero
    ? rng.between(1, Math.min(6, most))
    : Math.min(most, rng.chance(0.8) ? 1 : rng.between(2, 3));
  if (isWhole || blocks > 1) {
    return {
      first: block * PIECES_PER_BLOCK,
      count: blocks * PIECES_PER_BLOCK,
    };
  }
  const offset = rng.between(0, PIECES_PER_BLOCK - 1);
  return {
    first: block * PIECES_PER_BLOCK + offset,
    count: rng.between(1, PIECES_PER_BLOCK - offset),
  };
}

/** What a client writes: valid during the call only, so one is enough. */
const PAYLOAD = new Uint8Array(4 * PIECES_PER_BLOCK * PIECE_BYTES);

let lastValue = 0;

/** Values are unique in a run. */
export function resetValues(): void {
  lastValue = 100;
}

/** Write to a range through a node; `next` is told when that is over. */
export function write(
  node: SimNode,
  range: Range,
  fua: boolean,
  next: () => void,
): void {
  const { world } = node;
  const value = ++lastValue;
  const data = PAYLOAD.subarray(0, range.count * PIECE_BYTES);
  const view = new DataView(data.buffer);
  for (let at = 0; at < range.count; at++) {
    view.setUint32(at * PIECE_BYTES, value, true);
  }
  const open = world.history.beginWrite(node, range, value);
  if (open === undefined) return next();
  const { releases } = node.failedAnswers;
  node.run((core) => {
    node.trace(`write ${value} to ${range.first}+${range.count}`);
    core.writes.write(range.first * PIECE_BYTES, data, (ok) => {
      node.trace(`write ${value}: ${ok}`);
      if (ok) world.history.endWrite(open);
      else {
        world.mark("write failed");
        node.failedAnswers.failed(`write ${value}`, releases);
      }
      if (ok && fua) return world.scheduler.after(0, () => flush(node, next));
      next();
    });
  });
  // Whoever kept it reads what nobody wrote.
  for (let at = 0; at < range.count; at++) {
    view.setUint32(at * PIECE_BYTES, 0xeeee_eeee, true);
  }
}

function zero(node: SimNode, range: Range, next: () => void): void {
  const { world } = node;
  const { lineage } = world;
  for (let at = 0; at < range.count; at++) {
    if (lineage.isZeroed(range.first + at)) return next();
  }
  const value = ++lastValue;
  for (let at = 0; at < range.count; at++) {
    lineage.noteZero(range.first + at, value);
  }
  const open = world.history.beginWrite(node, range, value);
  if (open === undefined) return next();
  const { releases } = node.failedAnswers;
  node.run((core) => {
    node.trace(`zero ${value} ${range.first}+${range.count}`);
    const mayPunch = world.rng.clients.chance(0.5);
    const [offset, bytes] = [
      range.first * PIECE_BYTES,
      range.count * PIECE_BYTES,
    ];
    core.writes.zero(offset, bytes, mayPunch, (ok) => {
      node.trace(`zero ${value}: ${ok}`);
      if (ok) world.history.endWrite(open);
      else node.failedAnswers.failed(`zero ${value}`, releases);
      next();
    });
  });
}

/** Flush through a node; `next` is told when that is over. */
export function flush(node: SimNode, next: () => void): void {
  const { world } = node;
  const open = world.history.beginFlush(node);
  if (open === undefined) return next();
  node.run((core) => {
    core.writes.flush((ok) => {
      if (ok) world.history.endFlush(node, open);
      world.mark(ok ? "flushed" : "flush failed");
      next();
    });
  });
}

function readSome(node: SimNode, next: () => void): void {
  read(node, drawRange(node, false), next);
}

/** Read a range through a node; `next` is told whether it succeeded. */
export function read(
  node: SimNode,
  range: Range,
  next: (ok: boolean) => void,
): void {
  const { world } = node;
  const open = world.history.beginRead(node);
  if (open === undefined) return next(false);
  const { releases } = node.failedAnswers;
  node.run((core) => {
    const into = new Uint8Array(range.count * PIECE_BYTES);
    core.reads.read(range.first * PIECE_BYTES, into, (ok) => {
      if (!ok) {
        world.mark("read failed");
        node.failedAnswers.failed("a read", releases);
      }
      const view = new DataView(into.buffer);
      for (let at = 0; ok && at < range.count; at++) {
        const content = view.getUint32(at * PIECE_BYTES, true);
        world.history.endRead(node, open, range.first + at, content);
      }
      next(ok);
    });
  });
}
