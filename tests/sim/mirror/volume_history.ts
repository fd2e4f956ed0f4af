/**
 * What clients asked and were told. Answers are checked at once where that is
 * possible, and whole histories at the end.
 *
 * @module
 */

import { Branch } from "./branch.ts";
import { brokenCut, type Image, isOf } from "./prefix_cut.ts";
import { ROT_FROM } from "./sim_disk.ts";
import { PowerLosses } from "./power_losses.ts";
import { Promotions } from "./promotions.ts";
import type { SimNode } from "./sim_node.ts";
import { other, PIECES_PER_BLOCK, type World } from "./world.ts";
import { brokenZone } from "./zones.ts";

/** A write that a client waits for. */
export interface OpenWrite {
  readonly branch: Branch;
  readonly node: SimNode;
  readonly first: number;
  readonly count: number;
  readonly value: number;
}

/** A read or a flush that a client waits for. */
export interface OpenQuestion {
  readonly branch: Branch;
  readonly start: number;
  /** What a flush promises: by piece the newest value answered before it. */
  readonly covered: Uint32Array;
}

const NOTHING = new Uint32Array(0);

/** See the module comment. */
export class VolumeHistory {
  world!: World;
  /** Answered writes and reads. */
  answers = 0;
  readonly branches: Branch[] = [];
  /** The line that each node's clients are on. */
  readonly current: (Branch | undefined)[] = [undefined, undefined];
  readonly promotions: Promotions = new Promotions(this);
  readonly losses: PowerLosses = new PowerLosses(this);
  #moment = 0;
  readonly #seen = new Set<number>();
  readonly #onTheirWay = new Set<number>();

  /** Moments are numbers of what happened. */
  nextMoment(): number {
    return ++this.#moment;
  }

  /** A client asks for a write. */
  beginWrite(
    node: SimNode,
    range: { readonly first: number; readonly count: number },
    value: number,
  ): OpenWrite | undefined {
    const branch = this.current[node.id];
    if (branch === undefined) return undefined;
    const start = this.nextMoment();
    for (let at = 0; at < range.count; at++) {
      branch.noteWrite(range.first + at, value, start);
    }
    return { branch, node, ...range, value };
  }

  /** It was answered. */
  endWrite(write: OpenWrite): void {
    const { world } = this;
    const end = this.nextMoment();
    this.answers++;
    // With protocol A a part of it may have been answered before that line
    // began, and have been lost on its way: that part is none of it.
    const isOldA = world.plan.protocol === "A" &&
      this.current[write.node.id] !== write.branch;
    const lines = this.branches.length === 1
      ? this.branches
      : new Set([write.branch, ...this.branches.slice(-2)]);
    const image = isOldA ? this.promotions.imageOf(write.node) : undefined;
    // A person forced the other node meanwhile: this one answers in vain.
    const isOverruled = world.register.isOverruled(write.node.id);
    const holders = this.#holdersOf(write);
    for (let at = 0; at < write.count; at++) {
      const piece = write.first + at;
      for (const branch of lines) {
        const isThere = image === undefined || branch === write.branch ||
          isIn(image, piece, write.value);
        if (!isThere) continue;
        const known = branch.get(piece, write.value);
        if (known?.writeEnd !== Infinity) continue;
        known.writeEnd = end;
        branch.newest[piece] = write.value;
      }
      if (isOverruled) world.lineage.excuse(piece, [write.value]);
      else for (const each of holders) this.#mustHave(each, write, piece);
      world.lineage.answered(piece, write.value);
    }
    const isOnItsWay = world.plan.protocol === "A" &&
      world.sabotage.trustsA !== true &&
      write.node.core?.replicates() === true;
    if (isOnItsWay) this.#onTheirWay.add(write.value);
  }

  /** Whether a client has read it. */
  wasRead(value: number): boolean {
    return this.#seen.has(value);
  }

  /** Whether a write was answered before the peer had it (protocol A). */
  wasOnItsWay(value: number): boolean {
    return this.#onTheirWay.has(value);
  }

  /** A client asks for a read. */
  beginRead(node: SimNode): OpenQuestion | undefined {
    const branch = this.current[node.id];
    return branch &&
      { branch, start: this.nextMoment(), covered: NOTHING };
  }

  /** It was answered, with this content of a piece. */
  endRead(
    node: SimNode,
    read: OpenQuestion,
    piece: number,
    content: number,
  ): void {
    const { world } = this;
    this.answers++;
    const value = world.lineage.valueOf(piece, content) ?? 0;
    if (world.trace !== undefined && piece === world.watched) {
      node.trace(`read of piece ${piece}: ${value}`);
    }
    // The node may have joined another line meanwhile.
    const known = this.current[node.id]?.get(piece, value) ??
      read.branch.get(piece, value);
    if (known === undefined && world.taints.has(piece)) return;
    if (known === undefined) {
      return world.fail(
        "I6",
        `piece ${piece} (block ${piece >> 3}): read ${content}, which is not ` +
          `of branch ${read.branch.number}`,
      );
    }
    this.#seen.add(value);
    known.firstReadEnd = Math.min(known.firstReadEnd, this.nextMoment());
    known.lastReadStart = Math.max(known.lastReadStart, read.start);
  }

  /** What a flush that begins now will promise. */
  beginFlush(node: SimNode): OpenQuestion | undefined {
    const branch = this.current[node.id];
    return branch && {
      branch,
      start: this.nextMoment(),
      covered: branch.newest.slice(),
    };
  }

  /** It was answered: no loss of power takes these (I8). */
  endFlush(node: SimNode, flush: OpenQuestion): void {
    const { world } = this;
    const { branch, covered } = flush;
    this.nextMoment();
    branch.floor = Math.max(branch.floor, flush.start);
    if (this.current[node.id] !== branch) return;
    this.losses.promise(covered);
    for (const each of this.#holdersOfFlush(node)) {
      for (const [piece, versions] of each.disk.dirty) {
        const value = covered[piece] ?? 0;
        if (value === 0) continue;
        const isStable = versions.every((content, at) => {
          // What was wrong below what is not flushed yet, and had no mark.
          if (at === 0 && each.disk.isWrong(piece)) return true;
          if (content >= ROT_FROM) return true;
          const held = world.lineage.valueOf(piece, content);
          return held !== undefined &&
            world.lineage.descends(piece, held, value);
        });
        if (isStable) continue;
        world.fail(
          "I8",
          `flush answered by ${node.name}; piece ${piece} is not stable ` +
            `on ${each.name}: ${versions} should be ${value}`,
        );
      }
    }
  }

  /** The image of a node's disk must be a write-order prefix (I7). */
  mustBeCut(image: Image, what: string): void {
    const { world } = this;
    const lines = this.branches.filter((branch) => isOf(branch, image));
    if (lines.length === 0) return world.mark("an image of no line");
    let broken: string | undefined;
    for (const branch of lines) {
      broken = brokenCut(branch, image);
      if (broken === undefined) return world.mark("a prefix cut");
    }
    const numbers = lines.map(({ number }) => number);
    world.fail("I7", `${what}: ${broken} (branch ${numbers})`);
  }

  /** Every history at the end. */
  check(): void {
    for (const branch of this.branches) {
      for (let piece = 0; piece < branch.pieces; piece++) {
        if (this.world.taints.isSpread(piece)) continue;
        const values = branch.list(piece);
        const broken = values && brokenZone(values);
        if (broken === undefined) continue;
        this.world.fail(
          "I6",
          `piece ${piece} (block ${Math.floor(piece / PIECES_PER_BLOCK)}), ` +
            `branch ${branch.number}: ${broken}`,
        );
      }
    }
  }

  /** Whose disks have stable what a flush covers. */
  #holdersOfFlush(node: SimNode): SimNode[] {
    const { world } = this;
    const { core } = node;
    if (core === undefined) return [];
    const holders = core.state.disk === "UpToDate" ? [node] : [];
    const isBoth = world.plan.protocol === "C" && core.replicates() &&
      core.state.peerDisk === "UpToDate" &&
      core.state.connection === "Connected";
    if (isBoth) holders.push(world.nodes[other(node.id)]);
    if (world.sabotage.bothLie === true) return [];
    return holders.filter(({ id }) => id !== world.plan.liar);
  }

  /** R2, R3: an answered write is on every member of the in-sync set. */
  #holdersOf(write: OpenWrite): SimNode[] {
    const { world } = this;
    if (!world.plan.isFenced || world.plan.protocol === "A") return [];
    const holders: SimNode[] = [];
    for (const { id, boot } of world.register.insync) {
      const node = world.nodes[id];
      // One that was started anew is promoted no more.
      if (boot !== node.bootName() && id !== write.node.id) continue;
      // Its disk is gone, and that is not known yet: it counts again when it was
      // compared.
      const isGone = id !== write.node.id && node.core !== undefined &&
        !node.core.hasLocalDisk;
      if (!isGone) holders.push(node);
    }
    return holders;
  }

  #mustHave(node: SimNode, write: OpenWrite, piece: number): void {
    const { world } = this;
    const held = world.lineage.valueOf(piece, node.disk.cache[piece] ?? 0);
    const isThere = held !== undefined &&
      world.lineage.descends(piece, held, write.value);
    if (isThere) return;
    const isInMemory = node.received.has(write.value);
    if (world.plan.protocol === "B" && isInMemory) return;
    world.fail(
      "I3",
      `${write.node.name} answered ${write.value}, which ${node.name} ` +
        `lacks (piece ${piece}) and should have`,
    );
  }
}

function isIn(image: Image, piece: number, value: number): boolean {
  const seen = image.seen(piece);
  return seen !== undefined && image.descends(piece, seen, value);
}
