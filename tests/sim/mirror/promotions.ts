/**
 * What a node has when it becomes Primary, and which line of history its
 * clients are on from then on (I5, I7).
 *
 * @module
 */

import {
  isConnected,
  type MirrorState,
} from "../../../node-agent/mirror/decisions/mirror_state.ts";
import { Branch, type BranchValue } from "./branch.ts";
import type { Image } from "./prefix_cut.ts";
import type { SimNode } from "./sim_node.ts";
import { other } from "./world.ts";
import type { VolumeHistory } from "./volume_history.ts";

/** See the module comment. */
export class Promotions {
  /**
   * The line that the data of each node are of. Lost: a loss of power took
   * something of it that B8 lets go. Whoever serves these data, from the disk or
   * to the other node, begins a line with what is left; what must not be lost is
   * looked for by value, whatever the line (I5, I12).
   */
  readonly #data: (Branch | "lost" | undefined)[] = [undefined, undefined];
  /** Somebody forced a node: handlers keep nobody from the other line now. */
  #wasForced = false;

  constructor(readonly history: VolumeHistory) {}

  /** A node became Primary; `before` is undefined if it was already. */
  promoted(node: SimNode, before?: MirrorState): void {
    const { history } = this;
    const { world, current } = history;
    const peer = world.nodes[other(node.id)];
    // Only a person says that such a disk is good; it may take a while.
    const isDeclared = before !== undefined && before.disk !== "UpToDate" &&
      node.core?.state.disk === "UpToDate";
    if (isDeclared) node.forced.declare();
    this.#wasForced ||= node.forced.isForced;
    // With a register there is one Primary, whatever the other one believes;
    // but one that a person overruled goes on until it hears of that. So does
    // one of protocol A, which asks nobody before it answers: what it answers
    // since is on its way, and lost with that (B5). It is none of the new line.
    const mayBeTwo = !world.plan.isFenced || node.forced.isForced ||
      world.plan.protocol === "A" || world.register.isOverruled(peer.id);
    const isContested = mayBeTwo && peer.core?.state.role === "Primary";
    const hasHandler = world.plan.fencing !== "dont-care" && !this.#wasForced;
    if (hasHandler && before !== undefined && isServing(peer)) {
      world.fail("I1", `${node.name} was promoted beside ${peer.name}`);
    }
    if (before !== undefined && isAgreed(node) && isAgreed(peer)) {
      // They see one another: nobody forces that.
      const areTwo = isJoined(node, peer) && isServing(peer);
      if (areTwo && !world.plan.isFenced) {
        world.fail("I1", `${node.name} was promoted, ${peer.name} agreed`);
      }
    }
    const image = this.imageOf(node);
    // What is half copied is no cut of anything; a person may force it.
    if (before?.disk === "UpToDate" && node.core?.state.disk === "UpToDate") {
      history.mustBeCut(image, `${node.name} was promoted`);
    }
    // A disk that was away keeps its line, whatever its node read meanwhile.
    const ofDisk = node.core?.state.disk === "UpToDate" && !isContested
      ? this.#data[node.id]
      : undefined;
    const isLost = ofDisk === "lost";
    const mine = isLost ? undefined : ofDisk ?? current[node.id];
    const theirs = current[peer.id];
    const last = mine ?? theirs;
    // Where nothing fences, one that is away may have shown what it never
    // answered, or what it has lost since: this one begins without that.
    const isSure = this.#isExclusive() || isAgreed(node);
    const hasShown = last === undefined || isSure || holds(last, image, true);
    const whole = this.#isComplete(image, node, before !== undefined) &&
      hasShown && !isDeclared && !isLost;
    const isOne = mine === undefined || theirs === undefined || mine === theirs;
    if (whole && last !== undefined && isOne && !isContested) {
      current[0] = current[1] = this.#data[node.id] = last;
      if (isJoined(node, peer)) this.#data[peer.id] = last;
      return this.#noteLeftovers(last, image);
    }
    if (last !== undefined) world.mark("new branch");
    if (isContested) world.mark("split brain made");
    const branch = this.#begin(node, image);
    current[node.id] = this.#data[node.id] = branch;
    if (!isContested) current[peer.id] = branch;
    if (isJoined(node, peer)) this.#data[peer.id] = branch;
  }

  /**
   * A node that serves, or will, gets its data from the peer now: its clients
   * are on the peer's line.
   */
  joined(node: SimNode, isOnDisk: boolean): void {
    const { current } = this.history;
    const peer = node.world.nodes[other(node.id)];
    const mine = current[node.id];
    // The peer is gone, and nobody knows: it serves nothing and copies nothing.
    if (!isJoined(node, peer)) return;
    const before = current[peer.id];
    const data = this.#data[peer.id];
    if (isOnDisk) this.#data[node.id] = data;
    if (data === undefined) return;
    // A loss of power took something of it.
    const isWhole = data !== "lost" && (peer.received.size > 0 ||
      holds(data, imageOf(peer), !node.world.plan.isFenced));
    if (isWhole && data === mine) return;
    const theirs = isWhole ? data : this.#begin(node, this.imageOf(peer));
    this.#data[peer.id] = theirs;
    if (isOnDisk) this.#data[node.id] = theirs;
    node.trace(`joins branch ${theirs.number}`);
    current[node.id] = theirs;
    const isTheirs = !isWhole || peer.core?.state.role !== "Primary";
    if (isTheirs) current[peer.id] = theirs;
    for (const branch of new Set(isTheirs ? [mine, before] : [mine])) {
      if (branch === undefined || branch === theirs) continue;
      this.#carryOver(branch, theirs, this.imageOf(peer));
    }
  }

  /** What was answered is gone for good reason: a Primary goes on without it. */
  beginAnew(loser: SimNode): void {
    const { current, world } = this.history;
    const old = [...current];
    this.#data[loser.id] = "lost";
    current.fill(undefined);
    for (const node of world.nodes) {
      if (node.core?.state.role !== "Primary") continue;
      const peer = world.nodes[other(node.id)];
      const isServed = node.core.state.disk === "UpToDate" ||
        isJoined(node, peer);
      if (!isServed || !node.core.canReachData()) {
        // It serves nothing, and goes on with what it has shown or not at all.
        current[node.id] = old[node.id];
        continue;
      }
      this.promoted(node);
      for (const branch of new Set(old)) {
        const to = current[node.id];
        if (branch === undefined || to === undefined || to === branch) continue;
        this.#carryOver(branch, to, this.imageOf(node));
      }
    }
  }

  /** What a node would read now. */
  imageOf(node: SimNode): Image {
    const { world } = this.history;
    const { state } = node.core ?? {};
    const isWhole = state?.disk === "UpToDate" ||
      state?.peerDisk !== "UpToDate" && node.disk.state.flags.consistent;
    const peer = world.nodes[other(node.id)];
    return imageOf(isWhole ? node : peer);
  }

  #begin(node: SimNode, image: Image): Branch {
    const { branches, world } = this.history;
    const pieces = node.disk.cache.length;
    const branch = new Branch(branches.length, pieces);
    node.trace(`begins branch ${branch.number}`);
    branches.push(branch);
    for (let piece = 0; piece < pieces; piece++) {
      const value = image.seen(piece);
      if (value !== undefined) branch.noteFirst(piece, value);
    }
    // A loss of power may bring back what was not flushed yet.
    for (const [piece, contents] of node.disk.dirty) {
      for (const content of contents) {
        const value = world.lineage.valueOf(piece, content);
        if (value !== undefined && !branch.has(piece, value)) {
          branch.noteWrite(piece, value, -Infinity);
        }
      }
    }
    world.lineage.beginWith((piece) => image.seen(piece));
    return branch;
  }

  /** Not answered, or not yet where its answer says that it is. */
  #isUnderWay({ value, writeEnd }: BranchValue): boolean {
    if (writeEnd === Infinity || this.history.wasOnItsWay(value)) return true;
    return this.history.world.nodes.some(({ received }) => received.has(value));
  }

  /** Writes under way go on in another line. */
  #carryOver(from: Branch, to: Branch, now: Image): void {
    for (let piece = 0; piece < from.pieces; piece++) {
      const seen = now.seen(piece);
      for (const each of from.list(piece) ?? []) {
        if (to.has(piece, each.value) || !this.#isUnderWay(each)) continue;
        const isPast = seen !== undefined && !now.isDamaged(piece) &&
          now.descends(piece, seen, each.value);
        if (isPast) continue; // overwritten already
        to.noteWrite(piece, each.value, this.history.nextMoment());
      }
    }
  }

  #isComplete(image: Image, node: SimNode, isPromotion: boolean): boolean {
    const { world } = this.history;
    const { lineage } = world;
    const pieces = node.disk.cache.length;
    let isWhole = true;
    for (let piece = 0; piece < pieces; piece++) {
      const value = image.seen(piece);
      if (value === undefined) return false;
      if (isPromotion) this.#excuse(node, piece, value);
      const missing = isPromotion && this.#isExclusive()
        ? lineage.missing(piece, value)
        : [];
      if (missing.length > 0) {
        world.fail(
          "I5",
          `${node.name} was promoted without ${missing} of piece ${piece}` +
            ` (block ${piece >> 3}), it has ${value}`,
        );
      }
      isWhole &&= lineage.isComplete(piece, value);
    }
    return isWhole;
  }

  /**
   * What this promotion may lose: everything when a person forces it; with
   * protocol A what was answered and still on its way (B5).
   */
  #excuse(node: SimNode, piece: number, value: number): void {
    const { world } = this.history;
    const { lineage } = world;
    const isForced = node.forced.isForced && this.#isExclusive();
    for (;;) {
      // What is forced over damage is lost, too: the damage may be written over.
      const missing = lineage.missing(piece, value, isForced);
      const lost = isForced
        ? missing
        : missing.filter((each) => this.history.wasOnItsWay(each));
      if (lost.length === 0) return;
      world.mark("a promotion lost answered writes");
      lineage.excuse(piece, lost);
    }
  }

  /**
   * Something keeps a node from serving that lacks what was answered. With
   * `resource-only` a Primary answers while the handler still runs.
   */
  #isExclusive(): boolean {
    const { isFenced, fencing } = this.history.world.plan;
    return isFenced || fencing === "resource-and-stonith" && !this.#wasForced;
  }

  /** Writes that nobody answered may have taken effect. */
  #noteLeftovers(branch: Branch, image: Image): void {
    for (let piece = 0; piece < branch.pieces; piece++) {
      const value = image.seen(piece);
      if (value === undefined || branch.has(piece, value)) continue;
      branch.noteWrite(piece, value, this.history.nextMoment());
    }
  }
}

/**
 * A Primary whose clients may be answered, with more than errors. Without a disk
 * it has what the peer sends, and nothing when that one is gone, known or not.
 */
function isServing(node: SimNode): boolean {
  const { core, world } = node;
  const mayServe = core?.state.role === "Primary" && core.mayAnswer() &&
    core.canReachData();
  if (!mayServe) return false;
  return core.hasLocalDisk || isJoined(node, world.nodes[other(node.id)]);
}

/** Whether the handshake is over. */
function isAgreed({ core }: SimNode): boolean {
  return core !== undefined && isConnected(core.state.connection);
}

/** Whether they are two ends of one connection. */
function isJoined(a: SimNode, b: SimNode): boolean {
  return a.side !== undefined && b.side !== undefined &&
    a.side.other === b.side && !a.side.isClosed && !b.side.isClosed;
}

/**
 * Whether an image has every answered write of a line; where nothing fences, a
 * value that was only read may be lost, too, and the line with it.
 */
function holds(branch: Branch, image: Image, withRead: boolean): boolean {
  for (let piece = 0; piece < branch.pieces; piece++) {
    const seen = image.seen(piece);
    const first = branch.first[piece] ?? 0;
    const values = branch.list(piece) ??
      [{ value: first, writeEnd: 0, firstReadEnd: Infinity }];
    for (const { value, writeEnd, firstReadEnd } of values) {
      const isSeen = withRead && firstReadEnd !== Infinity;
      if (writeEnd === Infinity && !isSeen) continue;
      if (seen === undefined) return false;
      if (!image.descends(piece, seen, value)) return false;
    }
  }
  return true;
}

/** What is on a node's disk, but for damage, as an image. */
export function imageOf(node: SimNode, contents = node.disk.cache): Image {
  const { lineage, taints } = node.world;
  const { isAny } = taints;
  const before = (piece: number) =>
    isAny ? taints.before(node, piece) : undefined;
  return {
    seen: (piece) =>
      lineage.valueOf(piece, before(piece) ?? contents[piece] ?? 0),
    isDamaged: (piece) =>
      isAny && (taints.has(piece) || taints.unmarked.has(piece)),
    descends: (piece, value, old) => lineage.descends(piece, value, old),
  };
}
