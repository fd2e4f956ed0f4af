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
import type { BodyJournals, JournalPlace } from "./body_journal.ts";
import { describeError } from "./disk.ts";
import type { Pending } from "./file_actions.ts";
import type { NewAction } from "./merge_core.ts";
import type { WriteStatements } from "./statements.ts";

/** Shorter bodies lie in the database, in bytes. */
const JOURNAL_BYTES_MIN = 64 * KIB + 1;

/** An action with its bytes, to be carried out after the commit. */
export interface Due {
  readonly action: Pending;
  readonly payload: Uint8Array | null;
}

/** What places are given with. */
export interface BodyPlacesParts {
  readonly bodies: BodyJournals;
  readonly statements: Pick<WriteStatements, "putUnsettled" | "dropUnsettled">;
  /** Whether a store path takes bytes. */
  readonly mayWrite: (pathIndex: number) => boolean;
  /** A store path takes no more bytes. */
  readonly fence: (pathIndex: number, reason: string) => void;
}

/** For the committer. */
export class BodyPlaces {
  readonly #parts: BodyPlacesParts;
  readonly #failed = new Map<number, string>();

  /** Give places in these journals. */
  constructor(parts: BodyPlacesParts) {
    this.#parts = parts;
  }

  /**
   * Write bytes where they belong.
   *
   * @returns `undefined`: that is the database.
   */
  of({ kind, pathIndex, payload }: NewAction): JournalPlace | undefined {
    if (kind !== "write" || payload === null) return undefined;
    if (payload.length < JOURNAL_BYTES_MIN) return undefined;
    const { bodies, mayWrite } = this.#parts;
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
    const { bodies, statements } = this.#parts;
    if (!bodies.isDirty) return;
    for (const [pathIndex, error] of bodies.sync()) {
      const reason = `flush of a journal: ${describeError(error)}`;
      this.#failed.set(pathIndex, reason);
      for (const { action, payload } of due) {
        if (action.pathIndex !== pathIndex || action.token === "") continue;
        if (action.kind !== "write") continue;
        const { number } = action;
        statements.dropUnsettled.run({ from: number, to: number });
        action.token = "";
        action.offset = 0;
        this.store({ action, payload });
      }
    }
  }

  /** After the transaction: paths whose journal failed take no more bytes. */
  fence(): void {
    for (const [pathIndex, reason] of this.#failed) {
      this.#parts.fence(pathIndex, reason);
    }
    this.#failed.clear();
  }
}
