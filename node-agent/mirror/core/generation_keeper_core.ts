/**
 * Keeps the generation identifiers of a volume and everything else that is
 * saved with them.
 *
 * Every change is stable on disk before the method returns: a name for data
 * that nobody has on disk would lie after a crash.
 *
 * Source: DRBD 8.4, reference §3.2 and §4.3; promises.md (bump at first write).
 *
 * @module
 */

import {
  EMPTY_GENERATION,
  type Generation,
  type GenerationSet,
  JUST_CREATED,
  syncGeneration,
  WAS_PRIMARY,
} from "../decisions/generations_core.ts";
import { isConnected } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { PersistentFlags, PersistentState } from "./volume_types.ts";

/** See the module comment. */
export class GenerationKeeper {
  #isMissing = false;

  constructor(readonly volume: VolumeCore) {}

  /** The identifiers, or undefined without a disk. */
  get set(): GenerationSet | undefined {
    return this.volume.persistent?.generations;
  }

  /**
   * A write is about to be made that the peer will not see. The first one
   * begins a new generation.
   *
   * @returns False when that could not be saved: do not write.
   */
  beforeUnseenWrite(): boolean {
    const { set, volume } = this;
    if (set === undefined) return true;
    if (volume.config.hardenings.newGenerationAtFirstWrite) {
      return this.#beginIfNew();
    }
    return true;
  }

  /** The peer is gone without writes that the application will believe in. */
  peerMissesWrites(): void {
    this.#isMissing = true;
  }

  /** Before anybody is answered: the name for what only we have. */
  beforeAnswer(): boolean {
    if (!this.#isMissing) return true;
    this.#isMissing = false;
    return this.#beginIfNew();
  }

  /** A new generation, unless we are already ahead of the peer. False: not saved. */
  #beginIfNew(): boolean {
    const { set } = this;
    if (set === undefined || set.bitmap !== EMPTY_GENERATION) return true;
    return this.begin();
  }

  /** A new current generation; the old one becomes the bitmap's, if that is free. */
  begin(): boolean {
    const { set, volume } = this;
    if (set === undefined) return true;
    const bitmap = set.bitmap === EMPTY_GENERATION ? set.current : set.bitmap;
    const begun = this.save({
      generations: { ...set, current: this.#random(), bitmap },
    });
    if (begun && isConnected(volume.state.connection)) {
      const generation = this.set?.current ?? EMPTY_GENERATION;
      volume.effects.send({ kind: "currentGeneration", generation });
    }
    return begun;
  }

  /** We become sync source: the name that the target will carry meanwhile. */
  beginSyncSource(): Generation | undefined {
    const { set } = this;
    if (set === undefined) return undefined;
    const isFresh = set.bitmap === EMPTY_GENERATION ||
      set.bitmap === JUST_CREATED;
    const bitmap = isFresh
      ? this.#random() & ~WAS_PRIMARY
      : syncGeneration(set.bitmap);
    const rotated = pushHistory(set, set.bitmap);
    return this.save({ generations: { ...rotated, bitmap } })
      ? bitmap
      : undefined;
  }

  /** We become sync target, under the source's interim name. */
  beginSyncTarget(generation: Generation): boolean {
    const { set } = this;
    if (set === undefined) return false;
    return this.save({
      generations: { ...set, current: generation, bitmap: EMPTY_GENERATION },
    });
  }

  /** The resync is over, we were source. */
  endSyncSource(): boolean {
    const { set } = this;
    if (set === undefined) return false;
    const rotated = pushHistory(set, set.bitmap);
    return this.save({ generations: { ...rotated, bitmap: EMPTY_GENERATION } });
  }

  /** The resync is over, we were target: we have the source's data and names. */
  endSyncTarget(source: GenerationSet): boolean {
    const { set } = this;
    if (set === undefined) return false;
    const interim = set.current;
    return this.save({
      generations: {
        current: source.current,
        bitmap: EMPTY_GENERATION,
        history: [
          source.bitmap === EMPTY_GENERATION ? interim : source.bitmap,
          source.history[0],
        ],
      },
    });
  }

  /** Take a set as repaired by the handshake. */
  repair(generations: GenerationSet): boolean {
    return this.save({ generations });
  }

  /** Save a part; the flags follow the state. False: it failed, the disk is gone. */
  save(part: Partial<PersistentState>): boolean {
    const { volume } = this;
    if (volume.persistent === undefined) return true;
    const next = { ...volume.persistent, ...part };
    volume.persistent = {
      ...next,
      flags: { ...next.flags, ...volume.flags() },
    };
    if (volume.effects.saveState(volume.persistent)) return true;
    volume.diskFailed("metadata");
    return false;
  }

  /** Save the flags if the state made others of them. */
  saveFlags(): boolean {
    const { persistent } = this.volume;
    if (persistent === undefined) return true;
    const wanted: Partial<PersistentFlags> = this.volume.flags();
    const names = Object.keys(wanted) as (keyof PersistentFlags)[];
    const isSame = names.every((name) =>
      persistent.flags[name] === wanted[name]
    );
    return isSame ? true : this.save({});
  }

  #random(): Generation {
    const random = this.volume.effects.random64() & ~WAS_PRIMARY;
    const value = random === 0n || random === JUST_CREATED ? 0x10n : random;
    return this.volume.state.role === "Primary" ? value | WAS_PRIMARY : value;
  }
}

function pushHistory(set: GenerationSet, value: Generation): GenerationSet {
  if (value === EMPTY_GENERATION) return set;
  return { ...set, history: [value, set.history[0]] };
}
