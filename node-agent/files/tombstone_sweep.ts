/**
 * Forgets tombstones that every member has, some in each transaction.
 *
 * @module
 */

import type { StoredFiles, StoreParts } from "./local_files.ts";

/** Tombstones that are forgotten in one transaction. */
const COLLECT_COUNT = 1000;

/** See `ChangeLog.collectTombstones`. */
export async function collectTombstones(
  { index, pump }: StoreParts,
  files: StoredFiles,
  mark: number,
): Promise<number> {
  let collected = 0;
  for (let after = 0;;) {
    const rows = index.statements.tombstones
      .all({ after, upTo: mark, limit: COLLECT_COUNT });
    const last = rows.at(-1);
    if (last === undefined) return collected;
    const ids = rows.map(({ id }) => id);
    // Before they are gone: the index could not object to a name any more.
    const namesAfterS = files.forgetNames(ids);
    const stored = pump.store(
      () => ({ kind: "collect", ids, upTo: mark, namesAfterS }),
      [],
      false,
    );
    index.rows.change(ids, stored);
    collected += (await stored).collected;
    after = last.stamp;
  }
}
