/**
 * Says how far our log and those of the other members are held here, durably:
 * what a round of `tombstone_core.ts` goes by.
 *
 * @module
 */

import type { GroupRegister, NodeId, SyncPosition } from "@kedge/schema";
import { REPORT_ENDS_MAX, REPORT_POSITIONS_MAX } from "@kedge/schema/wire/sync";
import type { ChangeLog, Log } from "../ports.ts";
import type { LogReport } from "./tombstone_core.ts";

/** The part of the log that is reported. */
export type ReportedLog = Pick<
  ChangeLog,
  "incarnation" | "incarnations" | "positions" | "head" | "flush"
>;

/** What {@linkcode LogReports} works with. */
export interface LogReportsOptions {
  readonly node: NodeId;
  readonly log: ReportedLog;
  readonly logger: Log;
  /** Last number of our log that was given out, stored or not. */
  lastGiven(): number;
  register(): GroupRegister | undefined;
}

/** See the module comment. */
export class LogReports {
  readonly #options: LogReportsOptions;

  /** Report of this log. */
  constructor(options: LogReportsOptions) {
    this.#options = options;
  }

  /**
   * Look now, and flush what was seen.
   *
   * @returns `undefined` when it cannot be said: a round waits then. Never
   * throws.
   */
  async make(): Promise<LogReport | undefined> {
    const { log, logger } = this.#options;
    try {
      const report = this.#look();
      const isTooLong = report.ends.length > REPORT_ENDS_MAX ||
        report.positions.length > REPORT_POSITIONS_MAX;
      if (isTooLong) throw new Error("there are too many runs of logs");
      await log.flush(); // what was seen before is durable now
      return report;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      logger.warn("cannot report how far the logs are", { why });
      return undefined;
    }
  }

  #look(): LogReport {
    const { node, log, lastGiven, register } = this.#options;
    const earlier = log.incarnations()
      .filter((run) => run.incarnation < log.incarnation)
      .map(({ incarnation, lastSequence }): SyncPosition => ({
        origin: node,
        incarnation,
        sequence: lastSequence,
      }))
      .filter(({ sequence }) => sequence > 0);
    const present = { origin: node, incarnation: log.incarnation };
    const members = register()?.members.map((member) => member.node) ?? [];
    const others = log.positions()
      .filter(({ origin }) => members.includes(origin));
    return {
      ends: [...earlier, { ...present, sequence: lastGiven() }],
      positions: [...others, ...earlier, { ...present, sequence: log.head() }],
    };
  }
}
