/**
 * How far the logs of peers were applied.
 *
 * @module
 */

import type { SyncPosition } from "@kedge/schema";
import type { ReadStatements } from "./statements.ts";

/** The last record of a peer's log that is held; 0 is none. */
export function positionOf(
  { positions }: Pick<ReadStatements, "positions">,
  { origin, incarnation }: Pick<SyncPosition, "origin" | "incarnation">,
): number {
  const row = positions.all({}).find((one) =>
    one.origin === origin && one.incarnation === incarnation
  );
  return row?.sequence ?? 0;
}
