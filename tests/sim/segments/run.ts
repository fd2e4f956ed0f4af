/**
 * One run of the simulated packer: clients, packing and compaction by a plan
 * that a seed draws, with crashes.
 *
 * @module
 */

import { Prng } from "../prng.ts";
import { Broken, check, checkSpace, rebuild } from "./check.ts";
import { type Fault, LogClosed, type Mutation } from "./faults.ts";
import { type Steps, World } from "./world.ts";

/** What a crash takes. */
export type Crash = "kill" | "power";

/** How to run. */
export interface RunOptions {
  readonly seed: number;
  /** Crash there, once. */
  readonly crash?: { readonly at: number; readonly kind: Crash };
  /** Crash at any step with this probability. */
  readonly crashChance?: number;
  /** Whether writes, flushes and commits fail now and then. */
  readonly hasFaults?: boolean;
  readonly mutation?: Mutation;
}

/** What happened, to see that everything did. */
export interface RunFacts {
  readonly steps: number;
  readonly crashes: number;
  readonly faults: number;
  readonly compacted: number;
}

const OPERATIONS = 60;
const FAULTS: readonly Fault[] = ["full", "write", "flush"];

/** @throws {Broken} When something was lost, or came back. */
export function run(options: RunOptions): RunFacts {
  return new Run(options).run();
}

/**
 * The database is replaced by an older copy of itself, as from a backup.
 *
 * @returns How many files could be read no more, but by a rebuilt index.
 * @throws {Broken} When the start took one of them away.
 */
export function runRestored(options: RunOptions): number {
  return new Run(options).restored();
}

class Run {
  readonly #options: RunOptions;
  readonly #plan: Prng;
  readonly #luck: Prng;
  readonly #world: World;
  readonly #deleted = new Set<string>();
  #uploads = 0;
  #steps = 0;
  #crashes = 0;
  #faults = 0;
  #compacted = 0;
  /** Operations under way; a client's are never cut by others. */
  #depth = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#plan = new Prng(options.seed, 1);
    this.#luck = new Prng(options.seed, 2 + (options.crash?.at ?? 0));
    this.#world = new World(options.mutation);
  }

  run(): RunFacts {
    for (let done = 0; done < OPERATIONS; done++) {
      this.#do(this.#operation());
      check(this.#world, this.#deleted);
    }
    this.#quiesce();
    for (const id of this.#present()) {
      if (this.#plan.chance(0.75)) this.#do(this.#delete(id, true));
    }
    this.#quiesce();
    const { faults, crashes, compacted } = this.#counts;
    return { steps: this.#steps, faults, crashes, compacted };
  }

  restored(): number {
    const { index, disk } = this.#world;
    let copy = index.now.copy();
    for (let done = 0; done < OPERATIONS; done++) {
      this.#do(this.#operation());
      if (this.#plan.chance(0.05)) copy = index.now.copy();
    }
    index.restore(copy);
    const { files, waiting, places } = index.now;
    const isReadable = (id: string) => {
      const place = places.get(id);
      return waiting.has(id) ||
        place && disk.read(place.segment, place.offset)?.id === id;
    };
    const found = rebuild(this.#world);
    const needed = [...files].filter(([id, state]) =>
      state === "present" && !isReadable(id) && found.has(id)
    );
    for (const _ of this.#world.start()) { /* nothing crashes now */ }
    const left = rebuild(this.#world);
    const lost = needed.find(([id]) => !left.has(id));
    if (lost !== undefined) {
      throw new Broken(`the last copy of ${lost[0]} is lost`);
    }
    return needed.length;
  }

  get #counts() {
    const faults = this.#faults;
    return { faults, crashes: this.#crashes, compacted: this.#compacted };
  }

  /** Let everything be done that waits; crashes may undo some of it. */
  #quiesce(): void {
    let before: number;
    do {
      before = this.#crashes;
      this.#finishAll();
    } while (before !== this.#crashes);
    check(this.#world, this.#deleted);
    checkSpace(this.#world);
  }

  #finishAll(): void {
    const world = this.#world;
    world.fault = "none";
    world.failsCommit = false;
    this.#until(() => !world.isFenced, () => world.mend());
    this.#do(world.repair());
    this.#until(() => world.index.now.waiting.size === 0, () => world.pack());
    let isMore = true;
    const step = () => this.#compact((isDone) => isMore = isDone);
    this.#until(() => !isMore, step);
    this.#until(
      () => world.index.now.burials.length === 0,
      () => world.settleBurials(),
    );
  }

  #until(isSo: () => boolean, act: () => Steps): void {
    for (let round = 0; !isSo(); round++) {
      if (round > 1000) throw new Error("it never ends");
      this.#do(act());
    }
  }

  #present(): string[] {
    return [...this.#world.index.now.files]
      .filter(([, state]) => state === "present").map(([id]) => id);
  }

  #operation(): Steps {
    const plan = this.#plan;
    const world = this.#world;
    const action = plan.between(0, 99);
    if (action < 30) return this.#upload(plan.chance(0.5));
    if (action < 45) return this.#deleteOne(plan);
    if (action < 62) return world.pack();
    if (action < 76) return this.#compact(() => {});
    if (action < 84) return world.settleBurials();
    if (action < 88) return this.#collect();
    if (action < 92) return world.mend();
    if (action < 94) return this.#rot();
    if (action < 95) return world.repair();
    return this.#fail(action);
  }

  *#upload(isDurable: boolean): Steps {
    const id = "f" + 10 ** (this.#uploads % 3) + "." + this.#uploads++;
    this.#world.index.transact((tables) => {
      tables.files.set(id, "present");
      tables.waiting.add(id);
    }, isDurable);
    yield "step";
  }

  *#deleteOne(random: Prng): Steps {
    const present = this.#present();
    if (present.length === 0) return;
    yield* this.#delete(random.pick(present), random.chance(0.5));
  }

  *#delete(id: string, isDurable: boolean): Steps {
    const { index, disk } = this.#world;
    const place = index.now.places.get(id);
    this.#deleted.add(id);
    index.transact((tables) => {
      tables.files.set(id, "tombstone");
      tables.places.delete(id);
      if (place !== undefined) tables.burials.push({ id, ...place });
    }, isDurable);
    yield "step";
    if (place === undefined || this.#world.isFenced) return;
    disk.bury(place.segment, place.offset, id);
    yield "step";
  }

  /** Tombstones that everybody has are forgotten. */
  *#collect(): Steps {
    const { index } = this.#world;
    index.flush();
    index.transact((tables) => {
      for (const [id, state] of tables.files) {
        const isOpen = tables.waiting.has(id) ||
          tables.burials.some((one) => one.id === id);
        if (state === "tombstone" && !isOpen) tables.files.delete(id);
      }
    }, false);
    yield "step";
  }

  *#compact(told: (isDone: boolean) => void): Steps {
    const isDone = yield* this.#world.compact();
    if (isDone) this.#compacted++;
    told(isDone);
  }

  *#rot(): Steps {
    const places = [...this.#world.index.now.places.values()];
    if (this.#options.hasFaults !== true || places.length === 0) return;
    const { segment, offset } = this.#plan.pick(places);
    this.#world.disk.rot(segment, offset);
    yield "step";
  }

  *#fail(action: number): Steps {
    if (this.#options.hasFaults !== true) return;
    if (action < 98) this.#world.fault = this.#plan.pick(FAULTS);
    else this.#world.failsCommit = true;
    this.#faults++;
    yield "step";
  }

  /** Carry something out; a crash ends it, and a new process begins. */
  #do(steps: Steps): void {
    try {
      for (const moment of steps) {
        this.#mayCrash();
        if (moment === "wait" && this.#depth === 0) this.#others();
      }
    } catch (error) {
      if (this.#depth > 0) throw error;
      if (!(error instanceof Crashed)) {
        if (!this.#isOver(error)) return;
        this.#world.index.losePower(this.#luck);
      }
      this.#restart();
    }
  }

  /** Returns whether a failure ends the process. */
  #isOver(error: unknown): boolean {
    const failed = this.#world.failed(error);
    for (;;) {
      const { done, value } = failed.next();
      if (done === true) return value === true && error instanceof LogClosed;
    }
  }

  /** Clients, while something is flushed. */
  #others(): void {
    if (this.#luck.chance(0.5)) return;
    this.#depth++;
    try {
      const isDurable = this.#luck.chance(0.5);
      this.#do(
        this.#luck.chance(0.7)
          ? this.#deleteOne(this.#luck)
          : this.#upload(isDurable),
      );
    } finally {
      this.#depth--;
    }
  }

  #mayCrash(): void {
    const { crash, crashChance = 0 } = this.#options;
    const at = ++this.#steps;
    const isNow = crash?.at === at || this.#luck.chance(crashChance);
    if (!isNow) return;
    const isPower = crash === undefined
      ? this.#luck.chance(0.5)
      : crash.kind === "power";
    if (isPower) {
      this.#world.disk.losePower(this.#luck);
      this.#world.index.losePower(this.#luck);
    }
    throw new Crashed();
  }

  #restart(): void {
    this.#crashes++;
    for (let tries = 0; tries < 100; tries++) {
      try {
        for (const _ of this.#world.start()) this.#mayCrash();
        return check(this.#world, this.#deleted);
      } catch (error) {
        if (!(error instanceof Crashed)) throw error;
        this.#crashes++;
      }
    }
    throw new Error("it crashes at every start");
  }
}

class Crashed extends Error {}
