/**
 * Where the bytes of an action lie until its file was flushed: in the database,
 * or, when they are long, in the journal of the store path.
 *
 * A journal that fails loses nothing: the bytes of the batch go into the
 * database instead, and the path is fenced once that is stored.
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
import type { Pending } from "./file_actions.ts";
import type { Finisher } from "./finisher.ts";
import type { Layout } from "./layout.ts";
import type { NewAction } from "./merge_core.ts";
import type { Packer } from "./packer.ts";
import type { WriteStatements } from "./statements.ts";

/** Shorter bodies lie in the database, in bytes. */
const JOURNAL_BYTES_MIN = 4 * KIB;
/** In a transaction that is flushed: its journal needs a flush of its own. */
const DURABLE_JOURNAL_BYTES_MIN = 64 * KIB + 1;

/** An action with its bytes, to be carried out after the commit. */
export interface Due {
  readonly action: Pending;
  readonly payload: Uint8Array | null;
}

/** What places are given with. */
export interface BodyPlacesParts {
  readonly bodies: BodyJournals;
  readonly statements: Pick<
    WriteStatements,
    "putUnsettled" | "dropUnsettled"
  >;
  /** Knows the actions of earlier transactions. */
  readonly finisher: Pick<Finisher, "unsettled">;
  readonly layout: Layout;
  /** What is packed is taken from the database; see `packer.ts`. */
  readonly small: {
    readonly packer: Pick<Packer, "sizeBytesMax"> | undefined;
  };
  /** Whether a store path takes bytes. */
  readonly mayWrite: (pathIndex: number) => boolean;
  /** A store path takes no more bytes. */
  readonly fence: (pathIndex: number, reason: string) => void;
}

/** For the committer. */
export class BodyPlaces {
  readonly #parts: BodyPlacesParts;
  readonly #failed = new Map<number, string>();
  /** Actions whose bytes this transaction takes into the database. */
  #moved: Pending[] = [];

  /** Give places in these journals. */
  constructor(parts: BodyPlacesParts) {
    this.#parts = parts;
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
   */
  sync(due: readonly Due[]): void {
    const { bodies, finisher } = this.#parts;
    if (bodies.isDirty) {
      for (const [pathIndex, error] of bodies.sync()) {
        const reason = `flush of a journal: ${describeError(error)}`;
        this.#failed.set(pathIndex, reason);
      }
    }
    this.#moved = [];
    if (this.#failed.size === 0) return;
    for (const one of due) {
      if (bodies.hasLost(one.action)) this.#move(one);
    }
    // Records that were stored without a flush become stable with this one.
    for (const action of finisher.unsettled()) {
      if (bodies.hasLost(action)) this.#move({ action, payload: null });
    }
  }

  /** Into the database. What a journal still gives has its checksum. */
  #move({ action, payload }: Due): void {
    const { layout, statements } = this.#parts;
    const bytes = payload ?? keptBytes(layout, { ...action, payload: null });
    if (bytes === undefined) {
      throw new Error(`the bytes of ${action.id} are lost with their journal`);
    }
    const { number } = action;
    statements.dropUnsettled.run({ from: number, to: number });
    const moved = { ...action, token: "", offset: 0 };
    this.store({ action: moved, payload: bytes });
    this.#moved.push(action);
  }

  /** After the transaction: paths whose journal failed take no more bytes. */
  fence(): void {
    for (const action of this.#moved) {
      action.token = "";
      action.offset = 0;
    }
    this.#moved = [];
    for (const [pathIndex, reason] of this.#failed) {
      this.#parts.fence(pathIndex, reason);
    }
    this.#failed.clear();
  }
}
