/**
 * Forgets old records of our log: the shell around `log_cut_core.ts`.
 *
 * @module
 */

import type { GroupRegister, NodeId } from "@kedge/schema";
import type { ChangeLog, Log, LogPlace } from "../ports.ts";
import { type CutMember, decideCut, recordCount } from "./log_cut_core.ts";

/** Records that are kept in any case. */
export const LOG_KEEP_RECORDS = 10_000;
/** Records that are kept for a member that is out of sync. */
export const LOG_LAG_RECORDS_MAX = 1_000_000;
/** Pause between two looks, in ms. */
const LOOK_MS = 2000;

/** What a peer has flushed of our log, and with which database. */
interface Flushed {
  readonly store: string;
  readonly flushed: readonly LogPlace[];
}

/** What {@linkcode LogCutter} works with. */
export interface LogCutterOptions {
  readonly node: NodeId;
  readonly log: Pick<ChangeLog, "cut" | "cutLog" | "incarnations">;
  readonly logger: Log;
  register(): GroupRegister | undefined;
  /** What a peer has flushed; `undefined` when it is not connected. */
  flushedBy(peer: NodeId): Flushed | undefined;
  readonly keepRecords?: number | undefined;
  readonly lagRecordsMax?: number | undefined;
}

/** What operators see of our log. */
export interface LogStatus {
  /** Records that are kept. */
  readonly records: number;
  /** Member whose position keeps older ones; `null` is none. */
  readonly waitsFor: NodeId | null;
}

/** See the module comment. */
export class LogCutter {
  readonly #options: LogCutterOptions;
  /** Of members that were connected in this run of the agent. */
  readonly #known = new Map<NodeId, Flushed>();
  #target: LogPlace | undefined;
  #status: LogStatus = { records: 0, waitsFor: null };
  #dueMs = 0;
  #isCutting = false;

  /** Nothing is forgotten before {@linkcode tick}. */
  constructor(options: LogCutterOptions) {
    this.#options = options;
  }

  /** As of the last look. */
  status(): LogStatus {
    return this.#status;
  }

  /** Look, or forget some records. About every 100 ms. */
  tick(nowMs: number): void {
    if (this.#isCutting) return;
    if (this.#target !== undefined) return void this.#cutSome(this.#target);
    if (nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + LOOK_MS;
    this.#target = this.#look();
  }

  #look(): LogPlace | undefined {
    const { log, register, keepRecords, lagRecordsMax } = this.#options;
    const members = register()?.members;
    if (members === undefined) return undefined;
    const view = {
      runs: log.incarnations(),
      cut: log.cut(),
      members: this.#members(),
      keepRecords: keepRecords ?? LOG_KEEP_RECORDS,
      lagRecordsMax: lagRecordsMax ?? LOG_LAG_RECORDS_MAX,
    };
    const { upTo, waitsFor = null } = decideCut(view);
    this.#status = { records: recordCount(view), waitsFor };
    return upTo;
  }

  #members(): CutMember[] {
    const { node: ours, register, flushedBy } = this.#options;
    const { members = [], insync = [] } = register() ?? {};
    return members.filter(({ node }) => node !== ours)
      .map(({ node, store }) => {
        const linked = flushedBy(node);
        if (linked !== undefined) this.#known.set(node, linked);
        const known = this.#known.get(node);
        const flushed = known?.store === store ? known.flushed : undefined;
        return { node, isInSync: insync.includes(node), flushed };
      });
  }

  async #cutSome(target: LogPlace): Promise<void> {
    const { log, logger } = this.#options;
    this.#isCutting = true;
    try {
      if (!await log.cutLog(target)) this.#target = undefined;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      logger.warn("cannot forget old records", { why });
      this.#target = undefined;
    }
    this.#isCutting = false;
  }
}
