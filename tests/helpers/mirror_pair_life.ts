/**
 * A running pair with a client that remembers everything it was told.
 *
 * @module
 */

import { deepEqual } from "node:assert/strict";
import {
  type LoadOptions,
  MirrorLoad,
  readExport,
} from "./mirror_pair_client.ts";
import { dataOf, differingBlocks } from "./mirror_pair_images.ts";
import { BlockModel, PIECE_BYTES } from "./mirror_pair_model.ts";
import type { MirrorSide } from "./mirror_pair_side.ts";
import {
  type MirrorPair,
  type PairOptions,
  RESOURCE,
  startPair,
} from "./mirror_pair.ts";
import { Random, seedOfRun } from "./random.ts";
import type { Scope } from "./scope.ts";

const EXTENT_BYTES = 4 * 1024 * 1024;

/** See the module comment. */
export class MirrorLife {
  /** Files with what is really on a disk, where that is not the disk itself. */
  readonly stores: { a?: string; b?: string } = {};

  private constructor(
    readonly pair: MirrorPair,
    public model: BlockModel,
    readonly random: Random,
  ) {}

  /** Start a pair: `a` is Primary, the disks are equal and hold zeroes. */
  static async start(
    scope: Scope,
    name: string,
    options: PairOptions,
  ): Promise<MirrorLife> {
    const random = new Random(seedOfRun(name));
    const pair = await startPair(scope, options);
    const { sizeBytes } = await pair.a.volume();
    return new MirrorLife(pair, new BlockModel(sizeBytes), random);
  }

  /**
   * One extent of the activity log: a load in it leaves the others clean, so
   * that a resync after a crash does not copy everything and hide mistakes.
   */
  extent(): { readonly first: number; readonly count: number } {
    const count = EXTENT_BYTES / PIECE_BYTES;
    const extents = Math.floor(this.model.pieces / count);
    return { first: this.random.between(0, extents - 1) * count, count };
  }

  /** Begin to read and write at a Primary. */
  load(side: MirrorSide, options: Partial<LoadOptions> = {}) {
    const { model, random } = this;
    const all = { flushEvery: 40, reads: 0.2, model, random, ...options };
    return MirrorLoad.start(side.exportSocket, RESOURCE, all);
  }

  /** Do so many writes at a Primary, without a fault. */
  async write(
    side: MirrorSide,
    writes: number,
    options: Partial<LoadOptions> = {},
  ): Promise<void> {
    const load = await this.load(side, options);
    await load.until(writes);
    await load.stop();
    this.wasGood(load);
  }

  /** A load saw no error, and nothing that it should not see. */
  wasGood(load: MirrorLoad): void {
    deepEqual([load.errors, load.wrong.slice(0, 5)], [[], []]);
  }

  /** A load ends; it was good, nothing is lost, and both disks are equal. */
  async endsWell(load: MirrorLoad, side: MirrorSide): Promise<void> {
    await load.stop();
    this.wasGood(load);
    await this.nothingIsLost(side);
    await this.disksAreEqual();
  }

  /** Read everything at a Primary. */
  read(side: MirrorSide): Promise<Uint8Array> {
    return readExport(side.exportSocket, RESOURCE, this.model.sizeBytes);
  }

  /** Everything that was acknowledged can be read at a Primary. */
  async nothingIsLost(side: MirrorSide): Promise<void> {
    const bytes = await this.read(side);
    deepEqual(this.model.wrongIn(bytes).slice(0, 5), []);
    this.model.settle(bytes);
  }

  /** Blocks that differ between both disks. */
  async difference(): Promise<number[]> {
    const [left, right] = await Promise.all([this.#data("a"), this.#data("b")]);
    return differingBlocks(left, right);
  }

  /** Both disks hold the same, and what was acknowledged. */
  async disksAreEqual(): Promise<void> {
    deepEqual((await this.difference()).slice(0, 5), []);
    const data = await this.#data("a");
    deepEqual(this.model.wrongIn(data).slice(0, 5), []);
  }

  #data(side: "a" | "b") {
    const store = this.stores[side] ?? this.pair[side].disk;
    return dataOf(store, this.model.sizeBytes);
  }
}
