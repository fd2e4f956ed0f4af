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
  WAS_PRIMARY,
} from "../decisions/generations_core.ts";
import { isConnected } from "../decisions/mirror_state.ts";
import {
  beginGeneration,
  finishSource,
  needsNewGeneration,
  startSource,
  startTarget,
} from "../decisions/uuid_core.ts";
import { isSource } from "./report_sides_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { PersistentFlags, PersistentState } from "./volume_types.ts";

/** See the module comment. */
export class GenerationKeeper {
  #isMissing = false;
  /** The peer may have taken our current generation for its own. */
  #mayBeShared = true;

  constructor(readonly volume: VolumeCore) {}

  /** The identifiers, or undefined without a disk. */
  get set(): GenerationSet | undefined {
    return this.volume.persistent?.generations;
  }

  /** Whether this disk has, or had, writes that the peer's lacks. */
  get isAhead(): boolean {
    return (this.set?.bitmap ?? EMPTY_GENERATION) !== EMPTY_GENERATION;
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

  /** Whoever believed in those writes has been told: another node's data counts. */
  nobodyBelieves(): void {
    this.#isMissing = false;
  }

  /** The peer has all of them now. */
  nobodyMisses(): void {
    this.#isMissing = false;
  }

  /** Before anybody is answered: the name for what only we have. */
  beforeAnswer(): boolean {
    if (!this.#isMissing) return true;
    this.#isMissing = false;
    return this.#beginIfNew();
  }

  /** The peer may have our current generation as its own from now on. */
  shared(): void {
    this.#mayBeShared = true;
  }

  /** A new generation, unless we are already ahead of the peer. False: not saved. */
  #beginIfNew(): boolean {
    const { set, volume } = this;
    // Data that are not good have no name of their own.
    if (set === undefined || volume.state.disk !== "UpToDate") return true;
    const isNeeded = needsNewGeneration({
      set,
      event: "unreplicated-write",
      hasUnreplicatedWrites: true,
      mayBeShared: this.#mayBeShared,
    }, volume.config.hardenings);
    return isNeeded ? this.begin() : true;
  }

  /** A new current generation; the bitmap counts from the old one on. */
  begin(): boolean {
    const { set, volume } = this;
    if (set === undefined) return true;
    const isPrimary = volume.state.role === "Primary";
    const generations = beginGeneration(set, this.#random(), isPrimary);
    if (!this.save({ generations })) return false;
    const { connection } = volume.state;
    // A target takes it for its own at the end of its resync, not before; of
    // that end we may never hear.
    this.#mayBeShared = isSource(connection);
    if (isConnected(connection)) {
      const generation = generations.current;
      volume.effects.send({ kind: "currentGeneration", generation });
    }
    return true;
  }

  /** A name that nobody has. */
  unused(): Generation {
    return this.#random();
  }

  /** We become sync source: the name that the target will carry meanwhile. */
  beginSyncSource(): Generation | undefined {
    const { set } = this;
    if (set === undefined) return undefined;
    const start = startSource(set, this.#random() & ~WAS_PRIMARY);
    this.#mayBeShared = true;
    return this.save({ generations: start.set }) ? start.announced : undefined;
  }

  /** We become sync target, under the source's interim name. */
  beginSyncTarget(generation: Generation): boolean {
    const { set } = this;
    if (set === undefined) return false;
    return this.save({ generations: startTarget(set, generation) });
  }

  /** The resync is over, we were source. */
  endSyncSource(): boolean {
    const { set } = this;
    if (set === undefined) return false;
    return this.save({ generations: finishSource(set) });
  }

  /**
   * The resync is over, we were target: we have the source's data and names.
   *
   * @param source Its set with the interim name as the bitmap's.
   */
  endSyncTarget(source: GenerationSet): boolean {
    const { set } = this;
    if (set === undefined) return false;
    const finished = finishSource(source);
    const current = finished.current & ~WAS_PRIMARY;
    return this.save({ generations: { ...finished, current } });
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
      flags: { ...next.flags, ...volume.flags(next.generations) },
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
    return random === 0n || random === JUST_CREATED ? 0x10n : random;
  }
}
