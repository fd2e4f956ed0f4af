/**
 * Which report of the peer answers which of ours, and when ours may go out.
 *
 * Each report is answered by one, and two that cross answer one another; both
 * nodes decide on the last two.
 *
 * @module
 */

import type { MirrorReport, MirrorStateWords } from "@kedge/schema/wire/mirror";
import { isConnected } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";
import { wordsOf } from "./words_core.ts";

/** So many reports may come before ours: one for each disk that comes or goes. */
const EARLY_MAX = 64;

/** See the module comment. */
export class ReportExchange {
  /** Reports of ours that the peer has not answered with one of its own. */
  #unanswered = 0;
  /** What the last of them said of us. */
  #told: MirrorStateWords | undefined;
  /** Reports of the peer that came before ours was due. */
  #early: MirrorReport[] = [];
  /** The peer asked, and we ask it anew once what we have is stable. */
  #mustAsk = false;

  /** @param decide Both nodes have told everything. */
  constructor(
    readonly volume: VolumeCore,
    readonly decide: (report: MirrorReport) => void,
  ) {}

  /** Whether the peer has a report of ours that it has not answered yet. */
  get isOpen(): boolean {
    return this.#unanswered > 0;
  }

  /** Our report is on its way. */
  sent({ state }: MirrorReport): void {
    this.#unanswered++;
    this.#told = state;
    const report = this.#early.shift();
    if (report === undefined) return;
    // The peer counts answers: what it asked since is answered, too.
    if (this.#early.length === 0) return this.reported(report);
    this.#unanswered--;
    this.volume.link.sendReport(false);
  }

  /** The connection is gone. */
  stop(): void {
    this.#unanswered = 0;
    this.#early = [];
    this.#mustAsk = false;
  }

  /** The peer's report came. */
  reported(report: MirrorReport): void {
    if (this.#unanswered > 0) {
      if (--this.#unanswered > 0) return;
      if (report.later !== true) this.#answered(report);
      this.volume.writes.retry(); // they were held back
      return;
    }
    const { link, flusher, replica, hasLocalDisk, state } = this.volume;
    const isUp = isConnected(state.connection);
    const isStable = flusher.isStable && replica.isDrained;
    if (isUp && hasLocalDisk && !isStable) return this.#askLater();
    if (this.#early.length === EARLY_MAX) {
      return link.protocolError("reports without waiting for an answer");
    }
    this.#early.push(report);
    // Otherwise it waits for ours, which is not true yet.
    if (isUp) link.sendReport(false);
  }

  /** What we have is stable, or our disk is gone: ask what was put off. */
  askIfPutOff(): void {
    if (!this.#mustAsk) return;
    this.#mustAsk = false;
    this.volume.link.negotiateAgain();
  }

  #answered(report: MirrorReport): void {
    // The peer has decided on what we were: it must hear what we are.
    if (this.#isOutOfDate()) return this.volume.link.sendReport(true);
    this.decide(report);
  }

  #isOutOfDate(): boolean {
    const { role, disk, generations: { current } } = wordsOf(this.volume);
    const told = this.#told;
    return told !== undefined &&
      (told.role !== role || told.disk !== disk ||
        told.generations.current !== current);
  }

  /**
   * The peer's disk was away: its copy of an answered write may be the only one
   * that is stable, and it gives that up for ours. What it and we know changes
   * while we flush, so both tell everything anew.
   */
  #askLater(): void {
    const { link, replica } = this.volume;
    link.putOffReport();
    if (this.#mustAsk) return;
    this.#mustAsk = true;
    replica.barrier(() => this.askIfPutOff());
  }
}
