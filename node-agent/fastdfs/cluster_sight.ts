/**
 * What this gateway knows of the cluster: asked of a tracker a few times a
 * second at most, however many clients ask, and not at all while nobody does.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { Clock, Log } from "../ports.ts";
import type { FastdfsCluster } from "../operation_ports.ts";
import { Sight } from "./sight.ts";

/** Age up to which it is used as it is, in ms. */
const FRESH_MS = 500;
/** Age up to which it is used while a newer one is asked for, in ms. */
const USABLE_MS = 2000;
/** Age up to which it is used when no tracker answers, in ms. */
const LAST_RESORT_MS = 60_000;
/** Pause after no tracker answered, however many clients ask, in ms. */
const PAUSE_MS = 500;
/** Pause between two lines in the log that say so, in ms. */
const TOLD_MS = 60_000;

/** See the module comment. */
export class ClusterSight {
  readonly #cluster: FastdfsCluster;
  readonly #clock: Clock;
  readonly #log: Log;
  #sight: Sight | undefined;
  #sinceMs = -Infinity;
  #asking: Promise<Sight> | undefined;
  /** When, and why, no tracker answered. */
  #failure: { readonly atMs: number; readonly why: string } | undefined;
  #toldMs = -Infinity;

  /** Nothing is asked before somebody wants to know. */
  constructor(
    deps: {
      readonly cluster: FastdfsCluster;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {
    this.#cluster = deps.cluster;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /**
   * The cluster now.
   *
   * @throws {Problem} `unavailable` when no tracker answers and nothing is known.
   */
  current(): Sight | Promise<Sight> {
    const nowMs = this.#clock.monotonicMs();
    const ageMs = nowMs - this.#sinceMs;
    if (this.#sight !== undefined && ageMs < FRESH_MS) return this.#sight;
    if (nowMs - (this.#failure?.atMs ?? -Infinity) < PAUSE_MS) {
      return this.#lastResort(ageMs);
    }
    const asking = this.#ask();
    if (this.#sight === undefined || ageMs > USABLE_MS) return asking;
    asking.catch(() => {});
    return this.#sight;
  }

  #ask(): Promise<Sight> {
    this.#asking ??= this.#load().finally(() => this.#asking = undefined);
    return this.#asking;
  }

  async #load(): Promise<Sight> {
    const askedMs = this.#clock.monotonicMs();
    try {
      const sight = new Sight(await this.#cluster.fastdfsView());
      this.#sight = sight;
      this.#sinceMs = askedMs;
      this.#failure = undefined;
      this.#toldMs = -Infinity;
      return sight;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const nowMs = this.#clock.monotonicMs();
      this.#failure = { atMs: nowMs, why };
      if (nowMs - this.#toldMs >= TOLD_MS) {
        this.#log.warn("no tracker answers the FastDFS gateway", { why });
        this.#toldMs = nowMs;
      }
      return this.#lastResort(nowMs - this.#sinceMs);
    }
  }

  #lastResort(ageMs: number): Sight {
    if (this.#sight !== undefined && ageMs < LAST_RESORT_MS) return this.#sight;
    const why = this.#failure?.why ?? "";
    throw new Problem("unavailable", `No tracker answers: ${why}`);
  }
}
