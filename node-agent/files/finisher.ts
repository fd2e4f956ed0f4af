/**
 * Brings files to where the index says they are: after a commit, after a crash,
 * and to the disk for good.
 *
 * Every action is stored with its row before it is carried out ("unsettled").
 * It may be carried out again at any time, so a crash costs nothing. It is
 * forgotten only after the file and its folder were flushed.
 *
 * @module
 */

import type { FileRow } from "@kedge/schema/db";
import type { WriteStatements } from "./statements.ts";
import { ActionQueue, pendingOf } from "./action_queue.ts";
import { type BodyJournals, keptBytes } from "./body_journal.ts";
import { parseJournalToken } from "./body_journal_core.ts";
import { isGood } from "./content_check.ts";
import {
  describeError,
  exists,
  flushSync,
  isFull,
  isMissing,
  sizeOf,
} from "./disk.ts";
import { FileActions, type Pending } from "./file_actions.ts";
import { Flusher } from "./flusher.ts";
import { folderOf, type Layout } from "./layout.ts";
import { type Packer, segmentOf } from "./packer.ts";

/** What the finisher tells. */
export interface FinisherEvents {
  /** A write or flush failed: the path takes no more bytes. */
  fence(pathIndex: number, reason: string): void;
  /** Whether a path takes bytes. */
  mayWrite(pathIndex: number): boolean;
  /** The file that an action needs is not there: its content is lost here. */
  lost(action: Pick<Pending, "id" | "epoch" | "version">): void;
  /** The content of a file that was marked is right after all. */
  mended(row: FileRow): void;
}

/** Packs small files; see `packer.ts`. */
export type Packing = Pick<Packer, "wants" | "pack" | "bury">;

/** Carries out actions. */
export class Finisher {
  readonly #layout: Layout;
  readonly #statements: WriteStatements;
  readonly #events: FinisherEvents;
  readonly #actions: FileActions;
  readonly flusher: Flusher;
  readonly #bodies: BodyJournals;
  readonly #queue = new ActionQueue();
  /** Files with an action that is not done: the later ones must wait for it. */
  #blocked = new Set<string>();
  /** Files of which a flush may have been lost. */
  readonly #rewrites = new Set<string>();
  /** How often a path was renewed. */
  readonly #renewals: number[] = [];
  #packing: Packing | undefined;
  /** Bytes that wait to be packed, by store path. */
  readonly waitingBytes: number[] = [];

  /**
   * Work on one database and its store paths.
   *
   * @param bodies Journals of long bodies.
   * @param isShared Whether another program looks at the files.
   */
  constructor(
    layout: Layout,
    statements: WriteStatements,
    events: FinisherEvents,
    bodies: BodyJournals,
    isShared = false,
  ) {
    this.#bodies = bodies;
    this.#layout = layout;
    this.#statements = statements;
    this.#events = events;
    this.#actions = new FileActions(layout, isShared);
    const { newFolders } = this.#actions;
    this.flusher = new Flusher(layout, newFolders, events);
  }

  /** Actions that are not forgotten yet. */
  unsettled(): Iterable<Pending> {
    return this.#queue;
  }

  /** See `FileActions.share`. */
  get share(): FileActions["share"] {
    return this.#actions.share;
  }
  set share(share: FileActions["share"]) {
    this.#actions.share = share;
  }

  /** Pack small files from now on. */
  set packing(packing: Packing) {
    this.#packing = packing;
    this.#actions.bury = (action) => packing.bury(action);
  }

  /** A file that lies there already, as after an import, stays where it is. */
  #packs(action: Pending, sizeBytes: number): boolean {
    const { kind, id, pathIndex, token } = action;
    const isHere = kind === "write" && token === "";
    if (!isHere || !this.#packing?.wants(id, sizeBytes)) return false;
    if (exists(this.#layout.file(id, pathIndex))) return false;
    if (action.packs === undefined) this.#wait(pathIndex, sizeBytes);
    action.packs = sizeBytes;
    return true;
  }

  /** Count bytes that a disk will take later. */
  #wait(pathIndex: number, sizeBytes: number): void {
    const now = this.waitingBytes[pathIndex] ?? 0;
    this.waitingBytes[pathIndex] = now + sizeBytes;
  }

  /** Files with actions that are not flushed. */
  waiting(): Set<string> {
    return new Set([...this.#queue].map(({ id }) => id));
  }

  /** Carry out a new action; `payload` is its bytes, when they are at hand. */
  finish(action: Pending, payload: Uint8Array | null): void {
    this.#queue.add(action);
    this.#bodies.hold(action);
    this.#attempt(action, payload);
  }

  #attempt(action: Pending, payload: Uint8Array | null): void {
    // Bytes that a path does not take now stay in the database, where reads
    // find them.
    const { id, pathIndex } = action;
    if (!this.#events.mayWrite(pathIndex) || this.#blocked.has(id)) {
      this.#blocked.add(id);
      return;
    }
    try {
      if (this.#packs(action, payload?.length ?? 0)) return;
      this.#actions.perform(action, payload);
      this.flusher.done(action);
    } catch (error) {
      if (isMissing(error) && this.#actions.isMounted(pathIndex)) {
        action.done = true; // a lost file is no reason to fence a disk
        return this.#events.lost(action);
      }
      this.#blocked.add(id);
      if (isFull(error)) return; // tried again when it settles
      const what = `${action.kind} of a file: ${describeError(error)}`;
      this.#events.fence(pathIndex, what);
    }
  }

  /**
   * Flush what is old enough, some of it. One call at a time.
   *
   * @param beforeMs Actions stored before this monotonic time.
   * @returns The actions that may be forgotten; none when nothing is left.
   */
  async settle(beforeMs: number): Promise<Pending[]> {
    const renewals = [...this.#renewals];
    const batch = this.#queue.begin(beforeMs);
    const ready = batch.filter(({ done, pathIndex }) =>
      done && this.#events.mayWrite(pathIndex)
    );
    const placed = ready.map((action) => ({
      action,
      path: this.#layout.file(action.id, action.pathIndex),
    }));
    const { failed, missing } = await this.flusher.all(placed);
    // What was renewed meanwhile lies on another disk now, or was written anew;
    // of a disk that failed meanwhile nothing is believed.
    const settled = placed.filter(({ action, path }) =>
      !failed.has(action.pathIndex) &&
      this.#events.mayWrite(action.pathIndex) &&
      !(missing.has(path) && this.#isGone(action, path)) &&
      this.#renewals[action.pathIndex] === renewals[action.pathIndex]
    ).map(({ action }) => action);
    settled.push(...await this.#pack(batch));
    this.#queue.end(batch, settled);
    return settled;
  }

  /** Whether somebody took a file away: what made it is done once more. */
  #isGone(action: Pending, path: string): boolean {
    const { id, pathIndex, kind } = action;
    const row = this.#statements.file.get({ id });
    const isWanted = kind !== "unlink" && row?.tombstone === 0 &&
      row.damaged === 0 && row.pathIndex === pathIndex;
    if (!isWanted || sizeOf(path) !== undefined) return false;
    action.done = false;
    this.#blocked.add(id);
    return true;
  }

  async #pack(batch: readonly Pending[]): Promise<Pending[]> {
    const packs = batch.filter(({ packs, done }) => packs && !done);
    if (packs.length === 0 || this.#packing === undefined) return [];
    const packed = await this.#packing.pack(packs);
    for (const { pathIndex, packs = 0 } of packed) {
      this.#wait(pathIndex, -packs);
    }
    return packed;
  }

  /** Take up again what could not be done for want of space or of a path. */
  retryStuck(): void {
    if (!this.#queue.hasStuck && this.#blocked.size === 0) return;
    this.#queue.unstick();
    const blocked = [...this.#blocked];
    this.#blocked.clear();
    const byId = Map.groupBy(this.#queue, ({ id }) => id);
    for (const id of blocked) {
      const actions = byId.get(id) ?? [];
      const row = this.#statements.file.get({ id });
      if (row === undefined || actions.length === 0) continue;
      if (!this.#replayOne(row, actions)) this.#events.lost(row);
      else if (this.#rewrites.has(id) && !this.#blocked.has(id)) {
        this.#rewrite(row);
      }
    }
  }

  /**
   * A path was mended or replaced: whatever was not flushed there is done once
   * more, and written once more, because a failed flush may have thrown it away.
   */
  renew(pathIndex: number): void {
    this.#renewals[pathIndex] = (this.#renewals[pathIndex] ?? 0) + 1;
    this.flusher.renew(pathIndex);
    for (const action of this.#queue) {
      if (action.pathIndex !== pathIndex) continue;
      action.done = false;
      this.#blocked.add(action.id);
      this.#rewrites.add(action.id);
    }
    this.#mendAll(pathIndex);
    this.retryStuck();
  }

  /** A file may have been marked although its bytes wait here. */
  #mendAll(pathIndex: number): void {
    for (const [id, actions] of Map.groupBy(this.#queue, ({ id }) => id)) {
      const row = this.#statements.file.get({ id });
      if (row?.damaged !== 1 || row.pathIndex !== pathIndex) continue;
      const from = actions.findLastIndex(({ kind }) =>
        kind === "write" || kind === "rename"
      );
      if (from < 0) continue;
      for (const action of actions.slice(from)) this.#again(action);
      const path = this.#layout.file(id, pathIndex);
      if (isGood(path, row)) this.#events.mended(row);
    }
  }

  /** Write a good file once more, with the bytes that can be read of it. */
  #rewrite(row: FileRow): void {
    this.#rewrites.delete(row.id);
    const path = this.#layout.file(row.id, row.pathIndex);
    if (row.tombstone === 1 || row.damaged === 1 || !exists(path)) return;
    const copy = this.#layout.staged(row.pathIndex, `renew-${row.version}`);
    try {
      Deno.copyFileSync(path, copy);
      flushSync(copy);
      Deno.renameSync(copy, path);
    } catch (error) {
      this.#blocked.add(row.id);
      if (isFull(error)) return void this.#rewrites.add(row.id);
      const what = `rewrite of a file: ${describeError(error)}`;
      this.#events.fence(row.pathIndex, what);
    }
  }

  #payloadOf(action: Pending): Uint8Array | null {
    const row = this.#statements.firstUnsettled
      .get({ number: action.number - 1 });
    if (row?.number !== action.number) return null;
    const bytes = keptBytes(this.#layout, row);
    const isJournaled = parseJournalToken(row.token) !== undefined;
    if (bytes !== undefined || !isJournaled) return bytes ?? null;
    throw new Deno.errors.NotFound("its bytes are not in the journal");
  }

  /** Actions are forgotten. */
  forgotten(actions: readonly Pending[]): void {
    for (const action of actions) this.#bodies.release(action);
  }

  /**
   * Carry out again what a crash may have undone.
   *
   * @param rowOf The index.
   * @returns IDs of files that could not be completed.
   */
  replay(rowOf: (id: string) => FileRow | undefined): string[] {
    const nowMs = performance.now();
    for (let last = 0;;) {
      const row = this.#statements.firstUnsettled.get({ number: last });
      if (row === undefined) break;
      last = row.number;
      const action = pendingOf(row, nowMs);
      this.#queue.add(action);
      this.#bodies.keepOld(action);
      // It may have been made just before the crash.
      this.#actions.newFolders.add(
        folderOf(this.#layout.file(row.id, row.pathIndex)),
      );
    }
    const damaged: string[] = [];
    for (const [id, actions] of Map.groupBy(this.#queue, ({ id }) => id)) {
      const row = rowOf(id);
      if (row !== undefined && !this.#replayOne(row, actions)) damaged.push(id);
    }
    return damaged;
  }

  /** Whether the disk shows what the row says, if need be by doing it again. */
  #replayOne(row: FileRow, actions: readonly Pending[]): boolean {
    const path = this.#layout.file(row.id, row.pathIndex);
    const isRight = () =>
      row.tombstone === 1 ? !exists(path) : isGood(path, row);
    const markDone = () => actions.forEach((one) => this.flusher.found(one));
    if (row.damaged === 1) return markDone(), true;
    if (!this.#events.mayWrite(row.pathIndex)) {
      this.#blocked.add(row.id);
      return true;
    }
    if (this.#replayPacked(row, actions)) return true;
    // What comes before a "join" was flushed with it, and would destroy its
    // bytes.
    const first = actions.findLastIndex(({ kind }) => kind === "join") + 1;
    // A token that is there was not renamed, even if the old content begins
    // like the new one, as after a truncate.
    const renames = actions.findIndex(({ kind, pathIndex, token }) =>
      kind === "rename" && exists(this.#layout.staged(pathIndex, token))
    );
    if (renames >= first) {
      for (const action of actions.slice(renames)) this.#again(action);
    }
    if (isRight()) return markDone(), true;
    // Mostly the last ones alone were not done.
    for (let count = 1;; count *= 2) {
      const from = Math.max(first, actions.length - count);
      for (const action of actions.slice(from)) this.#again(action);
      if (isRight()) return markDone(), true;
      if (from === first) break;
    }
    const isWaiting = actions.some(({ id }) => this.#blocked.has(id));
    if (!isWaiting) markDone();
    return isWaiting; // for space or for a path: nothing is lost
  }

  /** Whether the bytes stay in the database until they are packed. */
  #replayPacked(row: FileRow, actions: readonly Pending[]): boolean {
    if (this.#packing === undefined) return false;
    for (const action of actions) {
      if (segmentOf(action.token) !== undefined) this.#again(action);
    }
    const last = actions.findLast(({ kind }) => kind !== "unlink");
    if (last === undefined || row.tombstone === 1) return false;
    if (last.pathIndex !== row.pathIndex) return false;
    if (!this.#packs(last, row.sizeBytes)) return false;
    for (const action of actions) {
      if (action.kind === "unlink") this.#again(action);
      else action.done = action !== last;
    }
    return true;
  }

  #again(action: Pending): void {
    try {
      this.#actions.perform(action, this.#payloadOf(action));
      this.flusher.done(action);
    } catch (error) {
      if (isMissing(error)) return; // an earlier action makes it
      this.#blocked.add(action.id);
      if (isFull(error)) return;
      const what = `${action.kind} of a file: ${describeError(error)}`;
      this.#events.fence(action.pathIndex, what);
    }
  }

  /** Names of staging files that are still needed on a path. */
  tokens(pathIndex: number): Set<string> {
    return new Set(
      [...this.#queue].filter((action) => action.pathIndex === pathIndex)
        .map(({ token }) => parseJournalToken(token)?.name ?? token),
    );
  }

  /** Number of the last action that is not forgotten, or 0. */
  get lastNumber(): number {
    return this.#queue.lastNumber;
  }
}
