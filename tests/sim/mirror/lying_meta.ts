/**
 * A disk that says of its metadata, too, that it is stable, and has it in a
 * cache: a loss of power takes any of the writes since the cache was last
 * written back. Drawn from a stream of its own, for protocol C, on one node
 * (promises.md §2.1).
 *
 * What comes back: a superblock as it once was, whole, since all its fields are
 * in one sector; an activity log without its last transactions, or with a hole
 * in it, which its numbers show: then everything is out of sync; bytes of the
 * bitmap as they once were.
 *
 * What can be claimed of it:
 *
 * - Nobody can tell that names, flags and marks are old: they have no checksum
 *   that says so, and each was right once. Where the two disks differ at that
 *   moment nothing is claimed of what this node serves, as for damage
 *   (`taints.ts`); an online verify finds all of it.
 * - The other disk loses nothing that was answered: it is never overwritten with
 *   what this node still has, unless this node was promoted and served first, or
 *   a verify found the difference: it cannot say which copy is right.
 *   A node that was the source of a resync and comes back with its names and
 *   marks from before the end of it is the source once more where the other one
 *   was restarted since, too: then nobody has certainly all that was answered.
 * - Every other piece keeps every promise, and both nodes become equal.
 *
 * @module
 */

import type { MirrorState } from "../../../node-agent/mirror/decisions/mirror_state.ts";
import { Prng } from "../prng.ts";
import { marksAreMissed } from "./meta_rot.ts";
import type { SimDisk } from "./sim_disk.ts";
import type { SimNode } from "./sim_node.ts";
import { other, type World } from "./world.ts";

/** What metadata were after one write. */
interface Written {
  readonly state: SimDisk["state"];
  readonly log: SimDisk["log"];
  readonly bitmap: Uint8Array;
}

/** How many seeds have it. */
const SHARE = 0.05;
/** How often the cache is written back behind a write. */
const WRITTEN_BACK = 0.15;
/** How often a log comes back with a hole. */
const HOLE = 0.2;

/**
 * Draw whose disk it is; -1: nobody's.
 *
 * @param liar Whose disk lies about data; -1: neither. One lies at a time.
 */
export function drawMetaLiar(seed: number, liar: number): number {
  const rng = new Prng(seed, 124);
  if (!rng.chance(SHARE)) return -1;
  return liar >= 0 ? liar : rng.between(0, 1);
}

/** See the module comment. */
export class LyingMeta {
  /** They came back, and the nodes have not met since. */
  isOld = false;
  #written: Written[] = [];
  /** Pieces that differed from the peer's when old metadata came back. */
  readonly #doubted = new Set<number>();

  constructor(readonly rng: Prng) {}

  /** The peer's piece may be the better one, and this node has shown nobody. */
  mustYield(piece: number): boolean {
    return this.#doubted.has(piece);
  }

  /** Old metadata came back; this piece differs from the peer's. */
  doubt(piece: number): void {
    this.#doubted.add(piece);
  }

  /** The piece was written here. */
  settled(piece: number): void {
    this.#doubted.delete(piece);
  }

  /**
   * This node is Primary, and its clients go on with what it has; or a verify
   * compares both copies, and cannot say which one is right.
   */
  noneIsBetter(): void {
    this.#doubted.clear();
  }

  /** All of it is stable. */
  writtenBack(): void {
    this.#written = [];
  }

  /** Something of it was written. */
  wrote({ state, log, bitmap }: SimDisk): void {
    if (this.rng.chance(WRITTEN_BACK)) this.writtenBack();
    this.#written.push({
      state,
      log: log === undefined ? undefined : new Map(log),
      bitmap: bitmap.slice(),
    });
  }

  /** The machine lost power. Returns whether the metadata are not the last. */
  losePower(disk: SimDisk): boolean {
    const { rng } = this;
    const written = this.#written;
    this.#written = [];
    const last = written.at(-1);
    if (last === undefined || written.length === 1) return false;
    this.isOld = true;
    const superblock = rng.pick(written);
    const log = rng.pick(written);
    disk.state = superblock.state;
    for (let byte = 0; byte < disk.bitmap.length; byte++) {
      disk.bitmap[byte] = rng.pick(written).bitmap[byte] ?? 0;
    }
    // The superblock says whether the log counts.
    const isOpen = superblock.log !== undefined;
    const hasHole = isOpen && log !== last && rng.chance(HOLE);
    disk.isBitmapLost ||= hasHole;
    disk.log = isOpen ? new Map(log.log ?? []) : undefined;
    return true;
  }
}

/**
 * Metadata of a node are old: what it holds may be wrong without a mark. What it
 * answered alone is promised by nobody: the marks for it are gone.
 */
export function doubtMetadata(node: SimNode): void {
  const { world: { taints }, disk } = node;
  node.trace("its metadata are old ones");
  for (let piece = 0; piece < disk.cache.length; piece++) {
    // Of what was damaged before nobody knows what came from what.
    const isKnown = taints.has(piece);
    if (doubtPiece(node, piece) && !isKnown) disk.lyingMeta?.doubt(piece);
  }
  taints.isAny = true;
}

/** No mark says that a piece differs. Returns whether it does. */
export function doubtPiece(node: SimNode, piece: number): boolean {
  const { world: { lineage, nodes, taints }, disk } = node;
  const peer = nodes[other(node.id)];
  const content = disk.cache[piece] ?? 0;
  const theirs = peer.disk.cache[piece] ?? 0;
  if (content === theirs) {
    // By a lie alone: a copy, which nobody makes now, would have spread that.
    const lost = taints.before(node, piece) ?? content;
    if (lost !== content) taints.served(node, piece);
    return false;
  }
  const before = taints.before(node, piece) ?? content;
  const own = lineage.valueOf(piece, before);
  const good = lineage.valueOf(piece, taints.before(peer, piece) ?? theirs);
  if (own !== undefined && good !== undefined) {
    const alone = lineage.lostBy(piece, own, good, true);
    lineage.excuse(piece, alone);
    // A verify may give it up for the other copy, at any time from now on.
    const { promotions } = node.world.history;
    if (alone.length > 0) {
      for (const each of nodes) promotions.beginAnew(each);
    }
  }
  taints.add(node, piece, before);
  taints.unmarked.add(piece);
  if (!disk.dirty.has(piece)) disk.wrongs(piece, before);
  return true;
}

/** The nodes decide on what they have: what was on its way is there now. */
export function meet(
  world: World,
  before: MirrorState,
  after: MirrorState,
): void {
  const isAgreed = before.connection === "WFReportParams" ||
    after.connection === "WFBitMapS" || after.connection === "WFBitMapT";
  const isNew = before.connection !== after.connection;
  const isTaken = before.disk === "Negotiating" && after.disk !== before.disk;
  if (!isTaken && !(isNew && isAgreed)) return;
  marksAreMissed(world);
  for (const node of world.nodes) {
    const { lyingMeta } = node.disk;
    if (lyingMeta?.isOld !== true) continue;
    world.mark("old metadata met the peer");
    doubtMetadata(node);
    // A disk that is away may lose what a flush that failed left in memory.
    lyingMeta.isOld = !world.nodes.every(({ isAttached }) => isAttached);
  }
}

/** A verify compares both copies. */
export function verifies({ nodes }: World): void {
  for (const { disk } of nodes) disk.lyingMeta?.noneIsBetter();
}
