/**
 * What one machine keeps: the index and the log of a node, with what a power cut
 * takes away.
 *
 * Modelled on SQLite in WAL mode: transactions are in order, a power cut leaves
 * a prefix of those that were not flushed (each frame of the log is checksummed
 * together with all before it). Large bodies are files of their own: without a
 * flush their bytes may be gone although the record is there. A killed process
 * takes nothing that was committed.
 *
 * @module
 */

import {
  type Change,
  compareEntries,
  type FileEntry,
} from "@kedge/schema/change";
import type { GroupRegister, NodeId } from "@kedge/schema";
import type { LogPlace } from "../../node-agent/ports.ts";
import {
  comparePlaces,
  type Incarnation,
} from "../../node-agent/sync/positions_core.ts";
import type { Prng } from "./prng.ts";

/** Content of a simulated file: one number per upload or append. */
export type Content = readonly number[];

/** A file of the index. */
export interface StoredFile {
  readonly entry: FileEntry;
  /** `undefined` for a tombstone, or when the bytes are damaged. */
  readonly content: Content | undefined;
  /** Order in which states were stored here, for tombstone rounds. */
  readonly stamp: number;
}

/** A record of a log. */
export interface SimRecord {
  /** Unique in the whole run: the number behind `(incarnation, sequence)`. */
  readonly serial: number;
  readonly change: Change;
  readonly content: Content | undefined;
  readonly large: boolean;
  readonly key: string | undefined;
  /** Only the owner of the file may make it: sent when it is stored here. */
  readonly isOwners: boolean;
  /** Its file was deleted and forgotten: only the number is left. */
  readonly isHole?: boolean;
}

/** Stands where a record was that is forgotten: it must not be read. */
const FORGOTTEN: SimRecord = Object.freeze({
  serial: -1,
  get change(): Change {
    throw new Error("a record that is forgotten was read");
  },
  content: undefined,
  large: false,
  key: undefined,
  isOwners: false,
});

/** Positions by incarnation. */
export type Positions = Map<number, number>;

/** What happened to a state that was stored. */
export type Stored = "stored" | "known" | "needs-content";

/** See the module comment. */
export class SimStore {
  readonly id: string;
  readonly files = new Map<string, StoredFile>();
  readonly log = new Map<number, SimRecord[]>();
  /** Our records up to here are forgotten. */
  cut: LogPlace | undefined;
  /** What they were, for the checker alone. */
  readonly forgotten: (LogPlace & { readonly record: SimRecord })[] = [];
  readonly positions = new Map<NodeId, Positions>();
  readonly durablePositions = new Map<NodeId, Positions>();
  readonly keys = new Map<string, string>();
  register: GroupRegister | undefined;
  incarnation = 0;
  /** Said on a clean stop, taken back at the next start. */
  clean = true;
  stamp = 0;
  /** Flushes do nothing. */
  lies = false;
  /** Changes nothing but the merge, for the mutation test. */
  ignoresTombstones = false;
  #undo: (() => void)[] = [];
  readonly #unflushedBodies = new Set<string>();
  /** Files with states that were not flushed, newest state each. */
  readonly #unflushedFiles = new Set<string>();

  constructor(id: string) {
    this.id = id;
  }

  /** A copy of everything, made while it is stopped and flushed. */
  copy(): SimStore {
    const copy = new SimStore(this.id);
    const { cut, register, incarnation, clean, stamp, lies } = this;
    Object.assign(copy, { cut, register, incarnation, clean, stamp, lies });
    for (const [id, file] of this.files) copy.files.set(id, file);
    for (const [run, records] of this.log) copy.log.set(run, [...records]);
    copy.forgotten.push(...this.forgotten);
    for (const [key, id] of this.keys) copy.keys.set(key, id);
    for (const [origin, positions] of this.positions) {
      copy.positions.set(origin, new Map(positions));
    }
    copy.flush();
    return copy;
  }

  /** Transactions that a power cut could take. */
  get unflushed(): number {
    return this.#undo.length;
  }

  /** Whether the state of a file is not durable yet. */
  isUnflushed(id: string): boolean {
    return this.#unflushedFiles.has(id) || this.#unflushedBodies.has(id);
  }

  /** Make everything durable. */
  flush(): void {
    if (!this.lies) {
      this.#undo.length = 0;
      this.#unflushedBodies.clear();
      this.#unflushedFiles.clear();
    }
    for (const [origin, positions] of this.positions) {
      this.durablePositions.set(origin, new Map(positions));
    }
  }

  /** Keep a prefix of what was not flushed; large bodies may be gone. */
  powerCut(rng: Prng): number {
    const keep = rng.between(0, this.#undo.length);
    const lost = this.#undo.length - keep;
    for (const undo of this.#undo.slice(keep).reverse()) undo();
    this.#undo.length = 0;
    for (const id of this.#unflushedBodies) {
      const file = this.files.get(id);
      if (file?.content === undefined || rng.chance(0.5)) continue;
      this.files.set(id, { ...file, content: undefined });
    }
    this.#unflushedBodies.clear();
    this.#unflushedFiles.clear();
    this.durablePositions.clear();
    for (const [origin, positions] of this.positions) {
      this.durablePositions.set(origin, new Map(positions));
    }
    return lost;
  }

  /** Begin a run of the log. Flushed before it is used. */
  beginIncarnation(incarnation: number): void {
    const before = this.incarnation;
    this.incarnation = incarnation;
    if (!this.log.has(incarnation)) this.log.set(incarnation, []);
    if (before === 0) return; // formatted long ago: even a liar has that
    this.#undo.push(() => {
      this.incarnation = before;
      if (this.log.get(incarnation)?.length === 0) this.log.delete(incarnation);
    });
    this.flush();
  }

  /** Store the register. Flushed before it is used. */
  saveRegister(register: GroupRegister): void {
    const before = this.register;
    this.register = register;
    this.#undo.push(() => this.register = before);
    this.flush();
  }

  /** Append to our own log and make the state visible. */
  append(given: SimRecord): Stored {
    const hasBase = !given.isOwners || this.#hasBase(given);
    // Another state came in after this change was made: only its number stays.
    const record = hasBase ? given : { ...given, isHole: true };
    const log = this.log.get(this.incarnation);
    if (log === undefined) throw new Error("the log has no incarnation");
    log.push(record);
    const { key } = record;
    if (key !== undefined) this.keys.set(key, record.change.entry.id);
    const undoState = hasBase
      ? this.#merge(record)
      : { stored: "needs-content", undo: () => {} } as const;
    this.#undo.push(() => {
      log.pop();
      if (key !== undefined) this.keys.delete(key);
      undoState.undo();
    });
    return undoState.stored;
  }

  /** Store a record of a peer together with the position. */
  apply(
    origin: NodeId,
    incarnation: number,
    sequence: number,
    record: SimRecord,
  ): Stored {
    let positions = this.positions.get(origin);
    if (positions === undefined) {
      positions = new Map();
      this.positions.set(origin, positions);
    }
    const before = positions.get(incarnation);
    const { stored, undo } = record.isHole
      ? { stored: "known", undo: () => {} } as const
      : this.#merge(record);
    if (stored === "needs-content") return stored;
    const held = positions;
    held.set(incarnation, sequence);
    this.#undo.push(() => {
      if (before === undefined) held.delete(incarnation);
      else held.set(incarnation, before);
      undo();
    });
    return stored;
  }

  #hasBase(record: SimRecord): boolean {
    const { entry, body } = record.change;
    const file = this.files.get(entry.id);
    return body.kind === "range" && file?.content !== undefined &&
      file.entry.state === "present" && file.entry.epoch === body.baseEpoch &&
      file.entry.version === body.baseVersion;
  }

  /** Take a state over outside of any log. */
  adopt(entry: FileEntry, content: Content | undefined): Stored {
    if (content === undefined && entry.state === "present") {
      return this.#adoptBare(entry);
    }
    const body = {
      kind: entry.state === "present" ? "whole" : "none",
    } as const;
    const { stored, undo } = this.#merge({
      serial: 0,
      change: { entry, body },
      content,
      large: false,
      key: undefined,
      isOwners: false,
    });
    if (stored === "stored") this.#undo.push(undo);
    return stored;
  }

  /**
   * A logged record as it is sent now. The file may be deleted, even forgotten
   * by everybody: a node that starts from nothing must not bring it back.
   */
  asSent(record: SimRecord): SimRecord {
    if (record.isHole) return record;
    const file = this.files.get(record.change.entry.id);
    if (file === undefined) return { ...record, isHole: true };
    if (file.entry.state === "present") return record;
    const change = { entry: file.entry, body: { kind: "none" } } as const;
    return { ...record, change, content: undefined };
  }

  /** Runs of our log that have records; the numbers of the present one. */
  runs(): Incarnation[] {
    return [...this.log].filter(([run, { length }]) =>
      run >= this.incarnation || !this.#isCut(run, length)
    ).map(([incarnation, { length }]) => ({
      incarnation,
      lastSequence: length,
    })).toSorted((a, b) => a.incarnation - b.incarnation);
  }

  #isCut(incarnation: number, sequence: number): boolean {
    return this.cut !== undefined &&
      comparePlaces({ incarnation, sequence }, this.cut) <= 0;
  }

  /** Forget our records up to a place. */
  cutLog(upTo: LogPlace): void {
    const before = this.cut;
    const { length } = this.forgotten;
    for (const [incarnation, records] of this.log) {
      if (incarnation > upTo.incarnation) continue;
      const isLast = incarnation === upTo.incarnation;
      const last = isLast ? upTo.sequence : records.length;
      records.slice(0, last).forEach((record, index) => {
        if (record === FORGOTTEN) return;
        records[index] = FORGOTTEN;
        this.forgotten.push({ incarnation, sequence: index + 1, record });
      });
    }
    this.cut = upTo;
    this.#undo.push(() => {
      this.cut = before;
      for (
        const { incarnation, sequence, record } of this.forgotten.splice(length)
      ) {
        this.log.get(incarnation)?.splice(sequence - 1, 1, record);
      }
    });
  }

  /** Hold a peer's log up to a place, from a comparison. */
  skip(origin: NodeId, { incarnation, sequence }: LogPlace): void {
    const positions = this.positions.get(origin) ?? new Map<number, number>();
    this.positions.set(origin, positions);
    const before = positions.get(incarnation);
    if ((before ?? 0) >= sequence) return;
    positions.set(incarnation, sequence);
    this.#undo.push(() => {
      if (before === undefined) positions.delete(incarnation);
      else positions.set(incarnation, before);
    });
  }

  /** Forget tombstones that were stored up to a stamp. */
  collect(upTo: number): string[] {
    const ids: string[] = [];
    for (const [id, file] of this.files) {
      if (file.entry.state === "tombstone" && file.stamp <= upTo) ids.push(id);
    }
    const undo = ids.map((id) => [id, this.files.get(id)] as const);
    for (const id of ids) this.files.delete(id);
    this.#undo.push(() => {
      for (const [id, file] of undo) if (file) this.files.set(id, file);
    });
    return ids;
  }

  /** No bytes are left where it comes from; some other node may have them. */
  #adoptBare(entry: FileEntry): Stored {
    if (this.files.has(entry.id)) return "known";
    this.files.set(entry.id, {
      entry,
      content: undefined,
      stamp: ++this.stamp,
    });
    this.#undo.push(() => this.files.delete(entry.id));
    return "stored";
  }

  #merge(record: SimRecord): { stored: Stored; undo: () => void } {
    const { entry, body } = record.change;
    const before = this.files.get(entry.id);
    const nothing = () => {};
    if (before !== undefined && this.#isNewer(before, entry)) {
      // The same state, whose bytes we lack: take them.
      const heals = before.content === undefined &&
        before.entry.state === "present" && body.kind === "whole" &&
        compareEntries(before.entry, entry) === 0;
      if (!heals) return { stored: "known", undo: nothing };
    }
    const content = this.#contentAfter(record, before);
    if (content === undefined && entry.state === "present") {
      return { stored: "needs-content", undo: nothing };
    }
    this.files.set(entry.id, { entry, content, stamp: ++this.stamp });
    this.#unflushedFiles.add(entry.id);
    if (record.large) this.#unflushedBodies.add(entry.id);
    return {
      stored: "stored",
      undo: () => {
        if (before === undefined) this.files.delete(entry.id);
        else this.files.set(entry.id, before);
      },
    };
  }

  #isNewer(before: StoredFile, entry: FileEntry): boolean {
    if (this.ignoresTombstones && before.entry.state === "tombstone") {
      return entry.state === "tombstone" ||
        before.entry.epoch > entry.epoch ||
        before.entry.version > entry.version + 1;
    }
    return compareEntries(before.entry, entry) >= 0;
  }

  #contentAfter(
    record: SimRecord,
    before: StoredFile | undefined,
  ): Content | undefined {
    const { body } = record.change;
    if (body.kind === "whole") return record.content;
    if (body.kind !== "range") return undefined;
    const fits = before?.content !== undefined &&
      before.entry.epoch === body.baseEpoch &&
      before.entry.version === body.baseVersion;
    return fits
      ? [...before.content ?? [], ...record.content ?? []]
      : undefined;
  }
}
