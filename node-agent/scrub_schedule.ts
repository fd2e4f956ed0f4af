/**
 * When scrubs run: every `scrub_interval`, and when an operator asks.
 *
 * The time of the last complete round is kept in `DATA/agent.scrub`, by the
 * wall clock: it is a habit, not a promise. A round that was stopped goes on
 * where it was.
 *
 * @module
 */

import type { Heartbeat } from "@kedge/schema";
import type { AgentConfig } from "@kedge/schema/config/agent";
import type { Store } from "./files/store.ts";
import type { Clock, Log, Replicator } from "./ports.ts";

/** How often it is checked whether a scrub is due, in ms. */
const LOOK_MS = 60_000;

/** How far a scrub is, or how the last one ended. */
export type ScrubView = NonNullable<Heartbeat["scrub"]> & {
  readonly running: boolean;
};

/** Runs scrubs, one at a time. */
export class ScrubSchedule {
  readonly #config: AgentConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #scrubber: ReturnType<Store["scrubber"]>;
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setInterval> | undefined;
  #round: Promise<void> | undefined;
  #last: ScrubView | null = null;

  /** Idle until {@linkcode schedule} or {@linkcode start}. */
  constructor(config: AgentConfig, parts: {
    readonly store: Store;
    readonly replicator: Replicator;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#config = config;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#scrubber = parts.store.scrubber({
      bytesPerS: config.scrubBytesPerS,
      repair: async (id) => (await parts.replicator.fetch(id)).kind === "kept",
    });
  }

  /** Look from time to time whether one is due. */
  schedule(): void {
    if (this.#config.scrubIntervalMs === 0) return;
    void this.#startWhenDue();
    this.#timer = setInterval(() => void this.#startWhenDue(), LOOK_MS);
  }

  /** Start one now, or tell of the one that runs. */
  start(): ScrubView | null {
    this.#round ??= this.#run().finally(() => this.#round = undefined);
    return this.view();
  }

  /** How far it is, or how the last one of this life ended. */
  view(): ScrubView | null {
    const progress = this.#scrubber.progress();
    if (progress !== null) return { ...progress, running: true };
    if (this.#round === undefined) return this.#last;
    const counts = { checkedBytes: 0, totalBytes: 0, repaired: 0, damaged: 0 };
    return { ...counts, etaS: null, running: true };
  }

  /** For heartbeats: the one that runs. */
  report(): Heartbeat["scrub"] {
    return this.#scrubber.progress();
  }

  /** Stop; the next round goes on from there. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#round;
  }

  async #run(): Promise<void> {
    try {
      const found = await this.#scrubber.run(this.#stop.signal);
      if (found === null) return;
      this.#last = { ...found, running: false };
      this.#log.info("a scrub is complete", { ...found });
      await this.#remember();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#log.warn("a scrub failed", { why });
    }
  }

  async #startWhenDue(): Promise<void> {
    const finishedMs = await this.#finishedMs();
    if (finishedMs === undefined) return await this.#remember();
    const dueMs = finishedMs + this.#config.scrubIntervalMs;
    if (this.#clock.wallMs() >= dueMs) this.start();
  }

  get #path(): string {
    return `${this.#config.dataDir}/agent.scrub`;
  }

  async #finishedMs(): Promise<number | undefined> {
    const text = await Deno.readTextFile(this.#path).catch(() => "");
    const finishedMs = Number.parseInt(text, 10);
    return Number.isSafeInteger(finishedMs) ? finishedMs : undefined;
  }

  async #remember(): Promise<void> {
    await Deno.writeTextFile(this.#path, `${this.#clock.wallMs()}\n`)
      .catch((error) =>
        this.#log.warn("cannot remember the scrub", { why: String(error) })
      );
  }
}
