/**
 * What clients asked and were told. Answers are checked at once where that is
 * possible, and whole histories at the end.
 *
 * A branch is a line of history: a new one begins when a node becomes Primary
 * without everything that was answered before (people may ask for that).
 *
 * @module
 */

import type { Loss } from "./sim_disk.ts";
import type { SimNode } from "./sim_node.ts";
import { other, type World } from "./world.ts";
import { brokenZone, type ValueHistory } from "./zones.ts";

/** One line of history; by piece, by value. */
interface Branch {
  readonly number: number;
  readonly pieces: Map<number, Map<number, ValueHistory>>;
}

/** A write that a client waits for. */
export interface OpenWrite {
  readonly branch: Branch;
  readonly node: SimNode;
  readonly first: number;
  readonly count: number;
  readonly value: number;
  readonly start: number;
}

/** See the module comment. */
export class VolumeHistory {
  world!: World;
  /** Answered writes and reads. */
  answers = 0;
  #moment = 0;
  #branches: Branch[] = [];
  readonly #current: (Branch | undefined)[] = [undefined, undefined];
  /** Values that a flush promised, newest per piece. */
  readonly #promised = new Map<number, number>();
  /** Values that were not flushed when a machine lost power: which. */
  readonly #suspects = new Map<string, number>();
  /** The newest answered value per piece. */
  readonly #newest = new Map<number, number>();

  /** A node became Primary. */
  promoted(node: SimNode): void {
    const { world } = this;
    const view = this.#viewOf(node);
    const peer = world.nodes[other(node.id)];
    // With a register there is one Primary, whatever the other one believes.
    const isContested = (!world.plan.isFenced || node.isForced) &&
      peer.core?.state.role === "Primary";
    const whole = view !== undefined && this.#isComplete(view, node);
    const mine = this.#current[node.id];
    const theirs = this.#current[peer.id];
    const last = mine ?? theirs;
    const isOne = mine === undefined || theirs === undefined || mine === theirs;
    if (whole && last !== undefined && isOne && !isContested) {
      this.#current[0] = this.#current[1] = last;
      return this.#noteLeftovers(last, node, view);
    }
    if (last !== undefined) world.mark("new branch");
    const branch = { number: this.#branches.length, pieces: new Map() };
    node.trace(`begins branch ${branch.number}`);
    this.#branches.push(branch);
    this.#current[node.id] = branch;
    if (!isContested) this.#current[peer.id] = branch;
    if (isContested) world.mark("split brain made");
    const pieces = world.nodes[0].disk.cache.length;
    for (let piece = 0; piece < pieces; piece++) {
      const value = view?.(piece);
      if (value !== undefined) this.#noteFirst(branch, piece, value);
    }
    world.lineage.beginWith((piece) => view?.(piece));
  }

  /** A client asks for a write. */
  beginWrite(
    node: SimNode,
    range: { readonly first: number; readonly count: number },
    value: number,
  ): OpenWrite | undefined {
    const branch = this.#current[node.id];
    if (branch === undefined) return undefined;
    const start = ++this.#moment;
    for (let at = 0; at < range.count; at++) {
      this.#pieceOf(branch, range.first + at).set(value, {
        value,
        writeStart: start,
        writeEnd: Infinity,
        firstReadEnd: Infinity,
        lastReadStart: -Infinity,
      });
    }
    return { branch, node, ...range, value, start };
  }

  /** It was answered. */
  endWrite(write: OpenWrite): void {
    const { world } = this;
    const end = ++this.#moment;
    this.answers++;
    for (let at = 0; at < write.count; at++) {
      const piece = write.first + at;
      for (
        const branch of new Set([write.branch, ...this.#branches.slice(-2)])
      ) {
        const known = branch.pieces.get(piece)?.get(write.value);
        if (known?.writeEnd === Infinity) known.writeEnd = end;
      }
      this.#mustBeSomewhere(write, piece);
      world.lineage.answered(piece, write.value);
      this.#newest.set(piece, write.value);
    }
  }

  /** A client asks for a read: returns its moment. */
  beginRead(node: SimNode): { branch: Branch; start: number } | undefined {
    const branch = this.#current[node.id];
    return branch && { branch, start: ++this.#moment };
  }

  /** It was answered, with this content of a piece. */
  endRead(
    read: { readonly branch: Branch; readonly start: number },
    piece: number,
    content: number,
  ): void {
    const { world } = this;
    this.answers++;
    const value = world.lineage.valueOf(piece, content);
    const known = value === undefined
      ? undefined
      : this.#pieceOf(read.branch, piece).get(value);
    if (known === undefined) {
      return world.fail(
        "I6",
        `piece ${piece} (block ${piece >> 3}): read ${content}, which is not ` +
          `of branch ${read.branch.number}`,
      );
    }
    known.firstReadEnd = Math.min(known.firstReadEnd, ++this.#moment);
    known.lastReadStart = Math.max(known.lastReadStart, read.start);
  }

  /** What a flush that begins now will promise. */
  beginFlush(): ReadonlyMap<number, number> {
    return new Map(this.#newest);
  }

  /** It was answered: no loss of power takes these (I8). */
  endFlush(node: SimNode, covered: ReadonlyMap<number, number>): void {
    const { world } = this;
    const nodes = [node];
    const peer = world.nodes[other(node.id)];
    const core = node.core;
    const isBoth = world.plan.protocol === "C" && core?.replicates() === true &&
      core.state.peerDisk === "UpToDate" && core.state.connection ===
        "Connected";
    if (isBoth) nodes.push(peer);
    for (const each of nodes) {
      if (each === node && core?.state.disk !== "UpToDate") continue;
      if (world.plan.liar === each.id) continue;
      for (const [piece, versions] of each.disk.dirty) {
        const value = covered.get(piece);
        if (value === undefined) continue;
        const worst = world.lineage.valueOf(piece, versions[0] ?? 0);
        if (worst === undefined) continue;
        const isStable = versions.every((content) => {
          const held = world.lineage.valueOf(piece, content);
          return held !== undefined &&
            world.lineage.descends(piece, held, value);
        });
        if (!isStable && this.#branches.length <= 1) {
          world.fail(
            "I8",
            `flush answered by ${node.name}; piece ${piece} is not stable ` +
              `on ${each.name}: ${versions} should be ${value}`,
          );
        }
      }
    }
    for (const [piece, value] of covered) this.#promised.set(piece, value);
  }

  /** A machine lost power. */
  lost(node: SimNode, losses: readonly Loss[]): void {
    const { world } = this;
    const peer = world.nodes[other(node.id)];
    let isCut = false;
    for (const { piece, unflushed, isLost } of losses) {
      const theirs = world.lineage.valueOf(piece, peer.disk.cache[piece] ?? 0);
      for (const content of unflushed) {
        const value = world.lineage.valueOf(piece, content);
        if (value === undefined) continue;
        // Two failures at once: what nobody flushed may be old or new (B8).
        const isAlone = !peer.isAlive || !peer.isAttached ||
          peer.core?.disk.stayedUp !== true;
        const isPromised = this.#isPromised(piece, value);
        const survives = (!isAlone || isPromised) && this.#isMember(peer) &&
          theirs !== undefined &&
          world.lineage.descends(piece, theirs, value);
        const name = `${piece} ${value}`;
        // Both machines lost it, or might have: B8 says old or new.
        const wasSuspect = this.#suspects.get(name) === peer.id;
        this.#suspects.set(name, node.id);
        if (world.plan.isFenced && survives && !wasSuspect) continue;
        isCut ||= isLost && world.lineage.isAnswered(piece, value);
        world.lineage.excuse(piece, [value]);
      }
    }
    if (isCut) this.#beginAnew();
  }

  /** What was answered is gone for good reason: a Primary goes on without it. */
  #beginAnew(): void {
    const old = this.#current.filter((each) => each !== undefined);
    this.#current.fill(undefined);
    for (const each of this.world.nodes) {
      if (each.core?.state.role !== "Primary") continue;
      this.promoted(each);
      for (const branch of old) this.#carryOver(branch, each);
    }
  }

  /** Writes under way go on in the new branch. */
  #carryOver(from: Branch, node: SimNode): void {
    const to = this.#current[node.id];
    if (to === undefined || to === from) return;
    const view = this.#viewOf(node);
    for (const [piece, values] of from.pieces) {
      const known = this.#pieceOf(to, piece);
      const now = view?.(piece);
      for (const each of values.values()) {
        if (each.writeEnd !== Infinity || known.has(each.value)) continue;
        const isPast = now !== undefined &&
          this.world.lineage.descends(piece, now, each.value);
        if (isPast) continue; // overwritten already
        known.set(each.value, {
          ...each,
          firstReadEnd: Infinity,
          lastReadStart: -Infinity,
          writeStart: ++this.#moment,
        });
      }
    }
  }

  #isPromised(piece: number, value: number): boolean {
    const promised = this.#promised.get(piece);
    return promised !== undefined &&
      this.world.lineage.descends(piece, promised, value);
  }

  #isMember(node: SimNode): boolean {
    const { register, plan } = this.world;
    return !plan.isFenced || register.insync.some(({ id }) => id === node.id);
  }

  /**
   * A process died. What a loss of power took from the peer, and the page cache
   * of this node has, may be overwritten when both come back.
   */
  died(node: SimNode): void {
    for (const [name, lostBy] of this.#suspects) {
      if (lostBy === node.id) continue;
      const [piece = 0, value = 0] = name.split(" ").map(Number);
      if (this.#isPromised(piece, value)) continue;
      this.world.lineage.excuse(piece, [value]);
    }
  }

  /** Every history at the end. */
  check(): void {
    // What A answered may be lost with the Primary's disk (B5).
    if (this.world.plan.protocol === "A") return;
    for (const branch of this.#branches) {
      for (const [piece, values] of branch.pieces) {
        const broken = brokenZone(values.values());
        if (broken !== undefined) {
          this.world.fail(
            "I6",
            `piece ${piece} (block ${piece >> 3}), branch ${branch.number}: ` +
              broken,
          );
        }
      }
    }
  }

  /** R2, R3: an answered write is on every member of the in-sync set. */
  #mustBeSomewhere(write: OpenWrite, piece: number): void {
    const { world } = this;
    if (!world.plan.isFenced || world.plan.protocol === "A") return;
    for (const { id, boot } of world.register.insync) {
      const node = world.nodes[id];
      // One that was started anew is promoted no more.
      if (boot !== node.bootName() && id !== write.node.id) continue;
      const held = world.lineage.valueOf(piece, node.disk.cache[piece] ?? 0);
      const isThere = held !== undefined &&
        world.lineage.descends(piece, held, write.value);
      if (isThere) continue;
      // In memory; or it was, and the disk has failed since.
      const wasThere = node.received.has(write.value) || !node.isAttached;
      if (world.plan.protocol === "B" && wasThere) continue;
      world.fail(
        "I3",
        `${write.node.name} answered ${write.value}, which ${node.name} ` +
          `lacks (piece ${piece}) and should have`,
      );
    }
  }

  /** What a node would read now. */
  #viewOf(
    node: SimNode,
  ): ((piece: number) => number | undefined) | undefined {
    const { world } = this;
    const core = node.core;
    const peer = world.nodes[other(node.id)];
    const disk = core?.state.disk === "UpToDate" ? node.disk : peer.disk;
    return (piece) => world.lineage.valueOf(piece, disk.cache[piece] ?? 0);
  }

  #isComplete(
    view: (piece: number) => number | undefined,
    node: SimNode,
  ): boolean {
    const { world } = this;
    const pieces = node.disk.cache.length;
    let isWhole = true;
    for (let piece = 0; piece < pieces; piece++) {
      const value = view(piece);
      if (value === undefined) return false;
      if (world.plan.isFenced && world.plan.protocol !== "A") {
        const missing = world.lineage.missing(piece, value);
        if (missing.length > 0 && node.isForced) {
          world.lineage.excuse(piece, missing);
        } else if (missing.length > 0) {
          world.fail(
            "I5",
            `${node.name} was promoted without ${missing} of piece ${piece}` +
              ` (block ${piece >> 3}), it has ${value}`,
          );
        }
      }
      isWhole &&= world.lineage.isComplete(piece, value);
    }
    return isWhole;
  }

  /** Writes that nobody answered may have taken effect. */
  #noteLeftovers(
    branch: Branch,
    node: SimNode,
    view: (piece: number) => number | undefined,
  ): void {
    for (let piece = 0; piece < node.disk.cache.length; piece++) {
      const value = view(piece);
      const values = this.#pieceOf(branch, piece);
      if (value === undefined || values.has(value)) continue;
      values.set(value, {
        value,
        writeStart: ++this.#moment,
        writeEnd: Infinity,
        firstReadEnd: Infinity,
        lastReadStart: -Infinity,
      });
    }
  }

  #noteFirst(branch: Branch, piece: number, value: number): void {
    this.#pieceOf(branch, piece).set(value, {
      value,
      writeStart: -Infinity,
      writeEnd: -Infinity,
      firstReadEnd: Infinity,
      lastReadStart: -Infinity,
    });
  }

  #pieceOf(branch: Branch, piece: number): Map<number, ValueHistory> {
    let values = branch.pieces.get(piece);
    if (values === undefined) {
      values = new Map();
      branch.pieces.set(piece, values);
    }
    return values;
  }
}
