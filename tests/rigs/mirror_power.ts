/**
 * Two disks of a mirror whose every write and flush is recorded, and what they
 * hold when the power goes at some moment.
 *
 * @module
 */

import { startPluginDisk } from "../helpers/mirror_pair_disk.ts";
import type { Random } from "../helpers/random.ts";
import type { Scope } from "../helpers/scope.ts";
import { readRecord, tear } from "./power_loss.ts";

/** A moment: the length of both records. */
export interface Moment {
  readonly a: number;
  readonly b: number;
}

/** Two recorded disks. */
export class RecordedPair {
  private constructor(
    readonly dir: string,
    readonly sizeBytes: number,
    /** Files for the daemons. */
    readonly disks: { readonly a: string; readonly b: string },
  ) {}

  /** Make both, empty, below `dir`; they go with the scope. */
  static async make(
    scope: Scope,
    dir: string,
    sizeBytes: number,
  ): Promise<RecordedPair> {
    const start = async (side: "a" | "b") => {
      const own = `${dir}/recorded-${side}`;
      await Deno.mkdir(own);
      await Deno.writeFile(`${own}/log`, new Uint8Array(0));
      return await startPluginDisk(scope, {
        plugin: "power_recorder.py",
        dir: own,
        sizeBytes,
        parameters: [`log=${own}/log`],
      });
    };
    const [a, b] = await Promise.all([start("a"), start("b")]);
    return new RecordedPair(dir, sizeBytes, { a, b });
  }

  /** Now. */
  moment(): Moment {
    const length = (side: "a" | "b") => Deno.statSync(this.#log(side)).size;
    return { a: length("a"), b: length("b") };
  }

  /**
   * What a disk holds when the power goes, for moments in the order of time:
   * everything before the last flush, and of what came later any subset, torn
   * at 512 bytes.
   *
   * @returns The bytes, which are used again for the next moment.
   */
  async *after(
    side: "a" | "b",
    moments: readonly Moment[],
    random: Random,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const entries = await readRecord(this.#log(side));
    const durable = new Uint8Array(this.sizeBytes);
    const image = new Uint8Array(this.sizeBytes);
    let applied = 0;
    for (const moment of moments) {
      const end = entries.findLastIndex((entry) => entry.end <= moment[side]) +
        1;
      const before = entries.slice(0, end);
      const flushed = before.findLastIndex(({ isFlush }) => isFlush) + 1;
      for (const { bytes, offset } of entries.slice(applied, flushed)) {
        durable.set(bytes, offset);
      }
      applied = Math.max(applied, flushed);
      image.set(durable);
      for (const entry of entries.slice(flushed, end)) {
        if (random.next() < 0.5) tear(image, entry, random);
      }
      yield image;
    }
  }

  /** What a disk holds at a moment when its power does not go. */
  async at(side: "a" | "b", moment: Moment): Promise<Uint8Array<ArrayBuffer>> {
    const image = new Uint8Array(this.sizeBytes);
    for (const { end, bytes, offset } of await readRecord(this.#log(side))) {
      if (end <= moment[side]) image.set(bytes, offset);
    }
    return image;
  }

  #log(side: "a" | "b"): string {
    return `${this.dir}/recorded-${side}/log`;
  }
}
