/**
 * What a loss of power may take: what nobody flushed, where no other copy that
 * counts has it (B8).
 *
 * @module
 */

import type { Loss } from "./sim_disk.ts";
import type { SimNode } from "./sim_node.ts";
import { other } from "./world.ts";
import type { VolumeHistory } from "./volume_history.ts";

/** See the module comment. */
export class PowerLosses {
  /** Values that a flush promised, newest per piece. */
  readonly #promised = new Map<number, number>();
  /** Values that were not flushed when a machine lost power: which. */
  readonly #suspects = new Map<string, number>();

  /** Whose disk failed, and in which attachment. */
  readonly #failed = new Map<number, number>();

  constructor(readonly history: VolumeHistory) {}

  /** A flush that covers these values was answered. */
  promise(covered: Uint32Array): void {
    covered.forEach((value, piece) => {
      if (value !== 0) this.#promised.set(piece, value);
    });
  }

  /** A machine lost power, or a page whose flush had failed. */
  lost(node: SimNode, losses: readonly Loss[]): void {
    const { world, promotions } = this.history;
    const { lineage } = world;
    const peer = world.nodes[other(node.id)];
    let isCut = false;
    for (const { piece, unflushed, isLost } of losses) {
      const theirs = lineage.valueOf(piece, peer.disk.cache[piece] ?? 0);
      for (const content of unflushed) {
        const value = lineage.valueOf(piece, content);
        if (value === undefined) continue;
        // Two failures at once: what nobody flushed may be old or new (B8).
        // The target of a resync has no copy that counts.
        const isAlone = !peer.isAlive || !peer.isAttached ||
          peer.core?.disk.stayedUp !== true ||
          peer.core.state.disk === "Inconsistent";
        // The Primary lost its disk first, and this one its memory (B5): in the
        // other order `died` says so.
        const isPromised = this.#isPromised(piece, value) &&
          !(this.#hasFailedDisk(peer) && world.plan.protocol !== "C");
        // What it holds without a mark, or wrongly, is no copy to rely on.
        const isDamaged = world.taints.before(peer, piece) !== undefined;
        const isThere = peer.received.has(value) || !isDamaged &&
            theirs !== undefined && lineage.descends(piece, theirs, value);
        const survives = (!isAlone || isPromised) && this.#isMember(peer) &&
          isThere;
        const name = `${piece} ${value}`;
        // Both machines lost it, or might have: B8 says old or new.
        const wasSuspect = this.#suspects.get(name) === peer.id;
        this.#suspects.set(name, node.id);
        if (world.plan.isFenced && survives && !wasSuspect) continue;
        isCut ||= isLost &&
          (lineage.isAnswered(piece, value) || this.history.wasRead(value));
        lineage.excuse(piece, [value]);
      }
    }
    if (isCut) promotions.beginAnew(node);
  }

  /**
   * A process died. What a loss of power took from the peer, and the page cache
   * of this node has, may be overwritten when both come back.
   *
   * @param isDiskGone Its disk failed. Without protocol C that is the one case
   *   in which what was flushed may be lost: the Secondary lost its memory, and
   *   the Primary its disk (B5).
   */
  died(node: SimNode, isDiskGone = false): void {
    const { lineage, plan } = this.history.world;
    if (isDiskGone) this.#failed.set(node.id, node.attachment);
    const losesFlushed = isDiskGone && plan.protocol !== "C";
    for (const [name, lostBy] of this.#suspects) {
      if (lostBy === node.id) continue;
      const [piece = 0, value = 0] = name.split(" ").map(Number);
      if (!losesFlushed && this.#isPromised(piece, value)) continue;
      lineage.excuse(piece, [value]);
    }
  }

  /** It failed, and was not in sync since: it may lack what it had (B12). */
  #hasFailedDisk(node: SimNode): boolean {
    const failedAt = this.#failed.get(node.id);
    if (failedAt === undefined) return false;
    const isAway = !node.isAttached && failedAt === node.attachment;
    return isAway || !node.disk.state.flags.wasUpToDate;
  }

  #isPromised(piece: number, value: number): boolean {
    const promised = this.#promised.get(piece);
    return promised !== undefined &&
      this.history.world.lineage.cameFrom(piece, promised, value);
  }

  #isMember(node: SimNode): boolean {
    const { register, plan } = this.history.world;
    return !plan.isFenced || register.insync.some(({ id }) => id === node.id);
  }
}
