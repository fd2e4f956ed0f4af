/**
 * A node that packs, as far as segments are concerned: the decisions of
 * `node-agent/files/segments_core.ts` over a disk and an index that may stop
 * between any two steps.
 *
 * Every generator yields where a crash can happen; `"wait"` is where others get
 * their turn, as during a flush.
 *
 * @module
 */

import {
  type CompactionStep,
  endOf,
  FIRST_STEP,
  KeptSegments,
  mayCut,
  mayResume,
  partMoves,
  stepAfter,
} from "../../../node-agent/files/segments_core.ts";
import {
  DiskFailure,
  type Fault,
  Full,
  LogClosed,
  type Mutation,
} from "./faults.ts";
import { SimDisk } from "./sim_disk.ts";
import { SimIndex, type SimPlace } from "./sim_index.ts";

/** Between two steps, or while something is flushed. */
export type Moment = "step" | "wait";
/** Something that takes several steps. */
export type Steps<Result = void> = Generator<Moment, Result>;

/** Length from which the next segment is begun. */
export const SEGMENT_BYTES = 120;
/** Records copied together. */
const COPY_COUNT = 3;
/** Records packed together. */
const PACK_COUNT = 4;

interface Current {
  readonly segment: number;
  sizeBytes: number;
}

interface Appended {
  readonly places: readonly SimPlace[];
  readonly current: Current;
  readonly sizeBytes: number;
}

/** See the module comment. */
export class World {
  readonly disk = new SimDisk();
  readonly index = new SimIndex();
  /** Whether the path takes no bytes. */
  isFenced = false;
  /** What the next write does. */
  fault: Fault = "none";
  /** The next commit fails. */
  failsCommit = false;
  #current: Current | undefined;
  #isDistrusted = false;
  #kept = new KeptSegments();
  readonly #mutation: Mutation | undefined;

  constructor(mutation?: Mutation) {
    this.#mutation = mutation;
  }

  #is(mutation: Mutation): boolean {
    return this.#mutation === mutation;
  }

  /** A process starts on what is there. */
  *start(): Steps {
    this.#current = undefined;
    this.#isDistrusted = false;
    this.#kept = new KeptSegments();
    this.fault = "none";
    this.failsCommit = false;
    if (!this.isFenced && !this.#is("leftovers stay at a start")) {
      yield* this.#tidyAll();
    }
    yield* this.buryAgain();
  }

  /** An operator says that the path is good. */
  *mend(): Steps {
    this.isFenced = false;
    if (!this.#is("leftovers stay when a path is mended")) {
      yield* this.#tidyAll();
    }
    yield* this.buryAgain();
  }

  /** Deletes that are not settled are carried out once more. */
  *buryAgain(): Steps {
    if (this.isFenced) return;
    for (const { id, segment, offset } of this.index.now.burials) {
      this.disk.bury(segment, offset, id);
      yield "step";
    }
  }

  /** A peer gives the right bytes of damaged files: they are new ones here. */
  *repair(): Steps {
    this.index.transact((tables) => {
      for (const [id, place] of tables.places) {
        const cell = this.disk.read(place.segment, place.offset);
        if (cell?.isRotten !== true) continue;
        tables.places.delete(id);
        tables.waiting.add(id);
        if (!this.#is("repaired records are not marked")) {
          tables.burials.push({ id, ...place });
        }
      }
    }, false);
    yield "step";
    yield* this.buryAgain();
  }

  /** Flush the marks of deletes, and forget the deletes. */
  *settleBurials(): Steps {
    if (this.isFenced) return;
    const burials = [...this.index.now.burials];
    for (const { segment } of burials) {
      this.disk.sync(segment);
      yield "step";
    }
    this.#commit((tables) => {
      tables.burials.splice(0, burials.length);
    });
  }

  /** Pack some of what waits. */
  *pack(): Steps {
    if (this.isFenced) return;
    this.index.flush(); // an upload waits longer than its flush
    const ids = [...this.index.now.waiting].slice(0, PACK_COUNT);
    const isThere = (id: string) =>
      this.index.now.files.get(id) === "present" &&
      this.index.now.waiting.has(id);
    const fit = ids.filter(isThere);
    const appended = fit.length === 0 ? undefined : yield* this.#append(fit);
    if (this.isFenced) return;
    const placed = fit.flatMap((id, at) => {
      const place = appended?.places[at];
      return place === undefined ? [] : [{ id, place }];
    });
    const gone = placed.filter(({ id }) => !isThere(id));
    yield* this.#buryCopies(gone);
    yield* this.#store(appended, (tables) => {
      for (const { id, place } of placed) {
        if (isThere(id)) tables.places.set(id, place);
      }
      for (const id of ids) tables.waiting.delete(id);
    });
  }

  /** Give the space of one segment back. Returns whether it was. */
  *compact(): Steps<boolean> {
    if (this.isFenced || this.#is("nothing is compacted")) return false;
    const chosen = this.#choose();
    if (chosen === undefined) return false;
    const { segment } = chosen;
    for (let step = FIRST_STEP; step.kind !== "end";) {
      let last: number | undefined;
      if (step.kind === "copy") {
        const rows = this.index.now.placesIn(segment, step.behind)
          .slice(0, COPY_COUNT);
        last = rows.at(-1)?.[1].offset;
        if (rows.length > 0 && !(yield* this.#copy(rows))) return false;
      } else yield* this.#finish(step.kind, segment);
      const isNamed = this.index.now.placesIn(segment, -1).length > 0 &&
        !this.#is("named segments are removed");
      step = stepAfter(step, { last, isNamed });
      if (step.kind === "end" && step.isKept) {
        const row = this.index.now.segmentRows()
          .find((one) => one.segment === segment);
        if (row !== undefined) this.#kept.keep(row);
      }
    }
    return true;
  }

  #choose() {
    const rows = this.index.now.segmentRows();
    const choose = (from: typeof rows) =>
      this.#kept.choose(from, (segment) => segment === this.#written());
    if (!this.#is("later segments go first")) return choose(rows);
    return rows.flatMap((row) => choose([row]) ?? []).at(-1);
  }

  *#finish(
    kind: Exclude<CompactionStep["kind"], "copy" | "end">,
    segment: number,
  ): Steps {
    yield "step";
    if (kind === "mark") return yield* this.#mark(segment);
    if (kind === "flush") {
      if (!this.#is("moves are not flushed")) this.index.flush();
    } else if (kind === "remove") {
      this.disk.remove(segment);
      yield "step";
      this.disk.syncFolder();
    } else this.#commit((tables) => tables.segments.delete(segment));
  }

  *#mark(segment: number): Steps {
    if (this.#is("moved records are not marked")) return;
    this.index.flush();
    const { places, files } = this.index.now;
    for (const { id, offset } of this.disk.scan(segment)) {
      const place = places.get(id);
      const isNamed = place?.segment === segment && place.offset === offset;
      if (isNamed || !files.has(id)) continue;
      this.disk.bury(segment, offset, id);
      yield "step";
    }
    this.disk.sync(segment);
  }

  *#copy(rows: readonly (readonly [string, SimPlace])[]): Steps<boolean> {
    const good = rows.filter(([id, { segment, offset }]) => {
      const cell = this.disk.read(segment, offset);
      return cell?.id === id && cell.isRotten !== true;
    });
    if (good.length === 0) return true;
    const appended = yield* this.#append(good.map(([id]) => id));
    if (this.isFenced) return false;
    const moves = good.flatMap(([id, from], at) => {
      const place = appended.places[at];
      return place === undefined
        ? []
        : [{ id, from: { ...from, pathIndex: 0 }, place }];
    });
    const { stay, gone } = this.#is("deleted files are moved")
      ? { stay: moves, gone: [] }
      : partMoves(moves, ({ id }) => {
        const place = this.index.now.places.get(id);
        return place && { ...place, pathIndex: 0 };
      });
    yield* this.#buryCopies(gone);
    yield* this.#store(appended, (tables) => {
      for (const { id, place } of stay) tables.places.set(id, place);
    });
    return true;
  }

  *#buryCopies(
    copies: readonly { readonly id: string; readonly place: SimPlace }[],
  ): Steps {
    for (const { id, place: { segment, offset } } of copies) {
      this.disk.bury(segment, offset, id);
      yield "step";
      this.disk.sync(segment);
    }
  }

  *#store(
    appended: Appended | undefined,
    act: (tables: SimIndex["now"]) => void,
  ): Steps {
    yield "step";
    this.#commit((tables) => {
      if (appended !== undefined) {
        tables.segments.set(appended.current.segment, appended.sizeBytes);
      }
      act(tables);
    });
    if (appended !== undefined) appended.current.sizeBytes = appended.sizeBytes;
  }

  /** One transaction, not flushed. */
  #commit(act: (tables: SimIndex["now"]) => void): void {
    this.index.transact(act, false);
    if (this.failsCommit) throw new LogClosed();
  }

  *#append(ids: readonly string[]): Steps<Appended> {
    const current = yield* this.#open();
    let end = current.sizeBytes;
    const places = ids.map((id): SimPlace => {
      const lengthBytes = 8 + 8 * (id.length % 3);
      const offset = end;
      end += lengthBytes;
      return { segment: current.segment, offset, lengthBytes };
    });
    const { fault } = this;
    this.fault = "none";
    for (const [at, id] of ids.entries()) {
      const place = places[at];
      if (place === undefined) continue;
      if (at > 0 && fault === "write") throw new DiskFailure();
      if (at > 0 && fault === "full") throw new Full();
      const { lengthBytes } = place;
      const cell = { id, lengthBytes, isLive: true };
      this.disk.write(current.segment, place.offset, cell);
      yield "step";
    }
    if ((this.disk.sizeOf(current.segment) ?? 0) > end) {
      this.disk.truncate(current.segment, end);
    }
    yield "wait";
    if (fault === "flush") throw new DiskFailure();
    if (!this.#is("copies are not flushed")) this.disk.sync(current.segment);
    yield "wait";
    return { places, current, sizeBytes: end };
  }

  /** The segment that is, or may become, the one written to. */
  #written(): number | undefined {
    return this.#current?.segment ??
      this.index.now.segmentRows().at(-1)?.segment;
  }

  *#open(): Steps<Current> {
    const known = this.#current;
    if (known !== undefined && known.sizeBytes < SEGMENT_BYTES) return known;
    const row = this.index.now.segmentRows().at(-1);
    const mayTry = known === undefined && !this.#isDistrusted;
    if (mayTry && row !== undefined) {
      const end = this.#is("lost ends are resumed")
        ? "whole"
        : yield* this.#tidy(row);
      if (mayResume(row, end, SEGMENT_BYTES)) {
        return this.#current = { ...row };
      }
    }
    let segment = (row?.segment ?? 0) + 1;
    while (this.disk.sizeOf(segment) !== undefined) segment++;
    const made = segment;
    this.index.transact((tables) => tables.segments.set(made, 0), true);
    yield "step";
    this.disk.create(segment);
    yield "step";
    this.#isDistrusted = false;
    return this.#current = { segment, sizeBytes: 0 };
  }

  #isElsewhere(id: string): boolean {
    const { files, waiting, places } = this.index.now;
    const state = files.get(id);
    if (this.#is("what is known is cut")) return state !== undefined;
    if (state !== "present") return state === "tombstone";
    const place = places.get(id);
    if (place === undefined) return waiting.has(id);
    return this.disk.read(place.segment, place.offset)?.id === id;
  }

  *#tidyAll(): Steps {
    for (const row of this.index.now.segmentRows()) yield* this.#tidy(row);
  }

  *#tidy(
    row: { readonly segment: number; readonly sizeBytes: number },
  ): Steps<ReturnType<typeof endOf>> {
    const { segment, sizeBytes } = row;
    const end = endOf(row, this.disk.sizeOf(segment));
    if (end !== "leftover") return end;
    const ids = this.disk.scan(segment, sizeBytes).map(({ id }) => id);
    if (!mayCut(ids, (id) => this.#isElsewhere(id))) return end;
    this.disk.truncate(segment, sizeBytes);
    yield "step";
    this.disk.sync(segment);
    return "whole";
  }

  /** Whatever failed: what the packer does then. Returns whether it is over. */
  *failed(error: unknown): Steps<boolean> {
    const isOver = error instanceof LogClosed;
    if (isOver || error instanceof Full) {
      const takesBack = isOver
        ? this.#is("unknown commits are taken back")
        : !this.#is("failed appends stay");
      if (takesBack && this.#current !== undefined) {
        yield* this.#tidy(this.#current);
      }
      return isOver;
    }
    if (!(error instanceof DiskFailure)) throw error;
    this.#current = undefined;
    this.#isDistrusted = true;
    this.isFenced = true;
    return false;
  }
}
