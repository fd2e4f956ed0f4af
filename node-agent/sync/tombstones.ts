/**
 * Forgets tombstones that no member needs any more: the shell around
 * `tombstone_core.ts`.
 *
 * Every member runs rounds of its own. A round asks all members, itself
 * included, in waves: each wave's reports are made after it began, and a wave
 * counts for one barrier only. Tombstones wait for a minimum age before a round
 * begins, by the monotonic clock of this run.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { Frame } from "@kedge/schema/wire/frame";
import {
  decodeText,
  LogReportBody,
  ReportRequest,
} from "@kedge/schema/wire/sync";
import type { ChangeLog, Clock } from "../ports.ts";
import {
  LogReports,
  type LogReportsOptions,
  type ReportedLog,
} from "./log_reports.ts";
import type { OpenWork } from "./open_work.ts";
import { type LogReport, TombstoneRounds } from "./tombstone_core.ts";

/** Age of a tombstone before a round may forget it, in ms: an hour. */
export const TOMBSTONE_AGE_MS: number = 60 * 60 * 1000;
/** Shortest pause between two rounds, in ms; less for a smaller age. */
const ROUND_PAUSE_MS = 60_000;
/** A wave is given up for another one after this, in ms: a report flushes. */
const WAVE_MS = 2000;
/** Pause before the next wave of a round that did not pass, in ms. */
const AGAIN_MS = 300;
/** A round that does not pass is given up after this, in ms. */
const ROUND_MS = 30_000;

/** The part of the log that tombstones are in. */
type TombstoneLog = Pick<
  ChangeLog,
  "tombstoneCount" | "tombstoneMark" | "collectTombstones"
>;

/** What {@linkcode Tombstones} works with. */
export interface TombstonesOptions extends LogReportsOptions {
  readonly log: ReportedLog & TombstoneLog;
  readonly clock: Clock;
  readonly ageMs?: number | undefined;
  readonly open: OpenWork;
  /** This node may take part: its index is whole, and a tracker answers. */
  mayCollect(): boolean;
  /** Send over the link to a peer; `false` when there is none. */
  say(
    peer: NodeId,
    kind: "report-request" | "report",
    body: unknown,
  ): boolean;
}

/** What `kedge status` shows of tombstones. */
export interface TombstoneStatus {
  /** Kept here until every member is known to have them. */
  readonly count: number;
  /** Forgotten since the start. */
  readonly forgotten: number;
  /** Wall clock when tombstones were forgotten last, in ms; `null` is never. */
  readonly lastMs: number | null;
  /** Why old ones are not forgotten now; `null` when nothing is in the way. */
  readonly blocked: string | null;
}

interface Round {
  readonly epoch: number;
  readonly members: readonly NodeId[];
  readonly sinceMs: number;
  /** Number of the wave, and whose reports of it have come. */
  wave: number;
  waveMs: number;
  reports: Map<NodeId, LogReport>;
}

/** See the module comment. */
export class Tombstones {
  readonly #options: TombstonesOptions;
  readonly #core: TombstoneRounds;
  readonly #reports: LogReports;
  readonly #ageMs: number;
  readonly #pauseMs: number;
  /** Peers for whom a report is being made: one at a time each. */
  readonly #making = new Set<NodeId>();
  /** Tombstones that grow old. */
  #aging: { readonly mark: number; readonly sinceMs: number } | undefined;
  #round: Round | undefined;
  #wave = 0;
  #dueMs = 0;
  #isCollecting = false;
  #forgotten = 0;
  #lastMs: number | null = null;
  #blocked: string | null = null;

  /** No round yet. */
  constructor(options: TombstonesOptions) {
    this.#options = options;
    this.#core = new TombstoneRounds(options.node);
    this.#reports = new LogReports(options);
    this.#ageMs = options.ageMs ?? TOMBSTONE_AGE_MS;
    this.#pauseMs = Math.min(ROUND_PAUSE_MS, this.#ageMs);
  }

  /** What operators see. */
  status(): TombstoneStatus {
    return {
      count: this.#options.log.tombstoneCount(),
      forgotten: this.#forgotten,
      lastMs: this.#lastMs,
      blocked: this.#blocked,
    };
  }

  /** Begin a round or ask again, if it is time. About every 100 ms. */
  tick(nowMs: number): void {
    if (this.#isCollecting) return;
    if (this.#round !== undefined) return this.#goOn(this.#round, nowMs);
    if (nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + this.#pauseMs;
    const mark = this.#options.log.tombstoneMark();
    if (mark === 0) this.#blocked = null;
    else this.#aging ??= { mark, sinceMs: nowMs };
    const sinceMs = this.#aging?.sinceMs ?? nowMs;
    if (this.#aging !== undefined && nowMs - sinceMs >= this.#ageMs) {
      this.#begin(this.#aging.mark, nowMs);
    }
  }

  /** A link is gone: who comes back may have lost what it reported. */
  unlinked(peer: NodeId): void {
    if (this.#round?.members.includes(peer) !== true) return;
    this.#giveUp(`the link to node ${peer} was lost`);
  }

  /**
   * A report or a request for one has come.
   *
   * @returns What is wrong with it.
   */
  take(peer: NodeId, frame: Frame): string | undefined {
    if (frame.kind === "report-request") {
      const asked = decodeText(ReportRequest, frame.body);
      if (!asked.ok) return asked.fault;
      void this.#answer(peer, asked.value.number);
      return undefined;
    }
    const body = decodeText(LogReportBody, frame.body);
    if (!body.ok) return body.fault;
    this.#heard(peer, body.value.number, body.value);
    return undefined;
  }

  #begin(mark: number, nowMs: number): void {
    const register = this.#options.register();
    if (register === undefined || !this.#options.mayCollect()) {
      this.#blocked = "this node is not whole, or no tracker answers";
      return;
    }
    const { epoch, insync } = register;
    const members = register.members.map(({ node }) => node);
    if (!this.#core.begin({ epoch, members, insync }, mark)) {
      this.#blocked = "not every member is in sync";
      return;
    }
    const reports = new Map<NodeId, LogReport>();
    const sinceMs = nowMs;
    this.#round = { epoch, members, sinceMs, wave: 0, waveMs: nowMs, reports };
    this.#ask(this.#round, nowMs);
  }

  #goOn(round: Round, nowMs: number): void {
    if (this.#options.register()?.epoch !== round.epoch) {
      return this.#giveUp("the group register moved");
    }
    if (nowMs - round.sinceMs > ROUND_MS) {
      return this.#giveUp("a member lags, or a fetch does not end");
    }
    const isHeard = round.reports.size === round.members.length;
    const waitMs = isHeard ? AGAIN_MS : WAVE_MS;
    if (nowMs - round.waveMs >= waitMs) this.#ask(round, nowMs);
  }

  #ask(round: Round, nowMs: number): void {
    const { node, say } = this.#options;
    const number = ++this.#wave;
    round.wave = number;
    round.waveMs = nowMs;
    round.reports = new Map();
    for (const member of round.members) {
      if (member === node) void this.#askOurselves(number);
      else if (!say(member, "report-request", { number })) {
        return this.#giveUp(`there is no link to node ${member}`);
      }
    }
  }

  async #askOurselves(number: number): Promise<void> {
    const report = await this.#reports.make();
    if (report !== undefined) this.#heard(this.#options.node, number, report);
  }

  #heard(from: NodeId, number: number, report: LogReport): void {
    const round = this.#round;
    if (round === undefined || round.wave !== number) return;
    if (!round.members.includes(from)) return;
    round.reports.set(from, report);
    if (round.reports.size < round.members.length) return;
    const { clock, open, register } = this.#options;
    if (register()?.epoch !== round.epoch) {
      return this.#giveUp("the group register moved");
    }
    const { barrier } = this.#core;
    for (const [member, said] of round.reports) {
      const upTo = this.#core.report(member, said, {
        stamp: open.newest,
        openSince: open.oldest,
      });
      if (upTo !== undefined) return void this.#collect(upTo);
      // What was said before the second barrier began is no news for it.
      if (this.#core.barrier !== barrier) {
        return this.#ask(round, clock.monotonicMs());
      }
    }
  }

  async #collect(mark: number): Promise<void> {
    const { log, logger, clock } = this.#options;
    this.#round = undefined;
    this.#aging = undefined;
    this.#blocked = null;
    this.#dueMs = 0; // the next ones begin to grow old
    this.#isCollecting = true;
    try {
      const count = await log.collectTombstones(mark);
      this.#forgotten += count;
      this.#lastMs = clock.wallMs();
      if (count > 0) logger.info("forgot tombstones", { count });
    } catch (error) {
      this.#failed("cannot forget tombstones", error);
    } finally {
      this.#isCollecting = false;
    }
  }

  #giveUp(why: string): void {
    this.#blocked = why;
    this.#round = undefined;
    this.#core.abandon();
  }

  async #answer(peer: NodeId, number: number): Promise<void> {
    if (this.#making.has(peer)) return; // it will ask again
    this.#making.add(peer);
    const report = await this.#reports.make();
    this.#making.delete(peer);
    if (report === undefined) return;
    this.#options.say(peer, "report", { number, ...report });
  }

  #failed(what: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#blocked = `${what}: ${why}`;
    this.#options.logger.warn(what, { why });
  }
}
