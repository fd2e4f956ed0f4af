/**
 * Where the bytes of an action lie until its file was flushed: in the database,
 * or, when they are long, in the journal of the store path; or nowhere else, when
 * they were written into the file at once (`early_files.ts`) and the file system
 * is flushed with the records.
 *
 * A journal or file system that fails loses nothing: the bytes of the batch go
 * into the database instead, and the path is fenced once that is stored.
 *
 * @module
 */

import { KIB } from "@kedge/schema";
import {
  type BodyJournals,
  type JournalPlace,
  keptBytes,
} from "./body_journal.ts";
import { describeError } from "./disk.ts";
import { EarlyFlushes, type EarlyFlushesParts } from "./early_flushes.ts";
import { earlyBytes } from "./early_token.ts";
import type { Pending } from "./file_actions.ts";
import type { Finisher } from "./finisher.ts";
import type { Layout } from "./layout.ts";
import type { NewAction } from "./merge_core.ts";
import type { Packer } from "./packer.ts";
import { isMounted } from "./path_gate.ts";
import type { WriteStatements } from "./statements.ts";

/** Shorter bodies lie in the database, in bytes. */
const JOURNAL_BYTES_MIN = 4 * KIB;
/** In a transaction that is flushed: its journal needs a flush of its own. */
const DURABLE_JOURNAL_BYTES_MIN = 64 * KIB + 1;

/** An action with its bytes, to be carried out after the commit. */
export interface Due {
  readonly action: Pending;
  payload: Uint8Array | null;
}

/** What places are given with. */
export interface BodyPlacesParts
  extends Pick<EarlyFlushesParts, "mayWrite" | "slow"> {
  readonly bodies: BodyJournals;
  readonly statements: Pick<
    WriteStatements,
    "putUnsettled" | "dropUnsettled" | "markFile" | "state"
  >;
  /** Knows the actions of earlier transactions, and flushes file systems. */
  readonly finisher: Pick<Finisher, "unsettled" | "flusher">;
  readonly layout: Layout;
  /** Actions of earlier runs up to this one were flushed. */
  readonly flushedTo: number;
  /** What is packed is taken from the database; see `packer.ts`. */
  readonly small: {
    readonly packer: Pick<Packer, "sizeBytesMax"> | undefined;
  };
  /** A store path takes no more bytes. */
  readonly fence: (pathIndex: number, reason: string) => void;
}

/** For the committer. */
export class BodyPlaces {
  readonly #parts: BodyPlacesParts;
  readonly #failed = new Map<number, string>();
  /** Actions whose bytes this transaction takes into the database. */
  #moved: Pending[] = [];
  readonly #early: EarlyFlushes;

  /** Give places in these journals. */
  constructor(parts: BodyPlacesParts) {
    this.#parts = parts;
    const { finisher, mayWrite, slow, flushedTo } = parts;
    const { flusher } = finisher;
    this.#early = new EarlyFlushes({ flusher, mayWrite, slow });
    // A process that was killed flushed nothing any more.
    const earlier = Iterator.from(finisher.unsettled())
      .filter(({ number }) => number > flushedTo);
    this.#early.stored([...earlier], false);
  }

  /** Whether files that were written at once wait for a flush. */
  get hasEarly(): boolean {
    return this.#early.isDirty;
  }

  /**
   * Write bytes where they belong.
   *
   * @param durable Whether the transaction is flushed at once.
   * @returns `undefined`: that is the database.
   */
  of(
    { kind, pathIndex, payload }: NewAction,
    durable: boolean,
  ): JournalPlace | undefined {
    if (kind !== "write" || payload === null) return undefined;
    const { bodies, mayWrite, small } = this.#parts;
    const min = durable ? DURABLE_JOURNAL_BYTES_MIN : JOURNAL_BYTES_MIN;
    if (payload.length < min) return undefined;
    if (payload.length <= (small.packer?.sizeBytesMax ?? 0)) return undefined;
    if (!mayWrite(pathIndex) || this.#failed.has(pathIndex)) return undefined;
    try {
      return bodies.put(pathIndex, payload);
    } catch (error) {
      const reason = `write of a journal: ${describeError(error)}`;
      this.#failed.set(pathIndex, reason);
      return undefined;
    }
  }

  /** Store an action, inside of a transaction. */
  store({ action, payload }: Due): void {
    const { number, id, epoch, version, kind, pathIndex, token, offset } =
      action;
    const isElsewhere = kind === "write" && token !== "";
    this.#parts.statements.putUnsettled.run({
      number,
      id,
      epoch,
      version,
      kind,
      pathIndex,
      token,
      offset,
      payload: isElsewhere ? null : payload,
    });
  }

  /**
   * Before a transaction is flushed: a record must not be stable before its
   * body.
   *
   * @param due Actions of this transaction.
   * @returns Whether there were files that had been written at once.
   */
  sync(due: readonly Due[]): boolean {
    const { bodies, finisher } = this.#parts;
    const actions = due.map(({ action }) => action);
    const hasFiles = this.#early.has(actions);
    const lost = new Set(this.#early.sync(actions, this.#failed));
    if (bodies.isDirty) {
      for (const [pathIndex, error] of bodies.sync()) {
        const reason = `flush of a journal: ${describeError(error)}`;
        this.#failed.set(pathIndex, reason);
      }
    }
    this.#moved = [];
    if (this.#failed.size === 0) return hasFiles;
    // Records that were stored without a flush become stable with this one.
    const earlier = Iterator.from(finisher.unsettled())
      .map((action): Due => ({ action, payload: null }));
    for (const one of [...due, ...earlier]) {
      if (bodies.hasLost(one.action)) this.#move(one);
      else if (lost.has(one.action)) this.#moveEarly(one);
    }
    return hasFiles;
  }

  /** Into the database. What a journal still gives has its checksum. */
  #move({ action, payload }: Due): void {
    const { layout } = this.#parts;
    const bytes = payload ?? keptBytes(layout, { ...action, payload: null });
    if (bytes === undefined) {
      throw new Error(`the bytes of ${action.id} are lost with their journal`);
    }
    this.#takeIn(action, bytes);
  }

  /**
   * The same; a file that cannot be read any more comes back from a peer, and
   * one on a disk that is not mounted with the disk.
   */
  #moveEarly(one: Due): void {
    const { layout, statements } = this.#parts;
    const { id, epoch, version, pathIndex } = one.action;
    const bytes = earlyBytes(layout, one.action);
    if (bytes === undefined) {
      const owner = statements.state.get({ key: "store" })?.value;
      if (!isMounted(layout, pathIndex, owner)) return;
      statements.markFile.run({ id, epoch, version, damaged: 1 });
      return;
    }
    one.payload = bytes;
    this.#takeIn(one.action, bytes);
  }

  #takeIn(action: Pending, payload: Uint8Array): void {
    const { number } = action;
    this.#parts.statements.dropUnsettled.run({ from: number, to: number });
    const moved = { ...action, kind: "write", token: "", offset: 0 } as const;
    this.store({ action: moved, payload });
    this.#moved.push(action);
  }

  /**
   * After a transaction: paths that failed in it take no more bytes.
   *
   * @param durable Whether it was flushed.
   */
  stored(due: readonly Due[], durable: boolean): void {
    // Those of a transaction that was rolled back stay where they are.
    for (const action of durable ? this.#moved : []) {
      action.kind = "write";
      action.token = "";
      action.offset = 0;
    }
    this.#moved = [];
    this.#early.stored(due.map(({ action }) => action), durable);
    for (const [pathIndex, reason] of this.#failed) {
      this.#parts.fence(pathIndex, reason);
    }
    this.#failed.clear();
  }
}
