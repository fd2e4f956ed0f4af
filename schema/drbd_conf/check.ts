/**
 * Rules between sections: what is missing, what is used twice, and what only
 * the running system would refuse.
 *
 * @module
 */

import type { DrbdConf } from "./ast.ts";
import type { WarningList } from "./parser_context.ts";

/** Refuses a configuration, or adds warnings to it. */
export function checkConf(_conf: DrbdConf, _warnings: WarningList): void {
}
