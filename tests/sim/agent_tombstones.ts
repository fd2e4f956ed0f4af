/**
 * Forgetting deletes in one simulated agent: rounds of reports, with the real
 * decisions.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import {
  type LogReport,
  TombstoneRounds,
} from "../../node-agent/sync/tombstone_core.ts";
import type { SimAgent } from "./sim_agent.ts";

const ROUND_MS = 900;

/** See the module comment. */
export class AgentTombstones {
  readonly #agent: SimAgent;
  readonly #rounds: TombstoneRounds;
  /** Stamps at which fetches and comparisons began that are open. */
  readonly #open = new Map<number, number>();
  #numbers = 0;
  #newest = 0;

  constructor(agent: SimAgent) {
    this.#agent = agent;
    this.#rounds = new TombstoneRounds(agent.node, {
      waitForEverybody: agent.world.rules.tombstoneBarriers,
    });
  }

  start(): void {
    if (this.#agent.world.config.collects) {
      this.#agent.after(ROUND_MS, () => this.#round());
    }
  }

  /** A fetch or comparison begins; call the result when it ends. */
  opened(): () => void {
    const number = ++this.#numbers;
    this.#open.set(number, ++this.#newest);
    return () => {
      this.#open.delete(number);
    };
  }

  #round(): void {
    const { core, store } = this.#agent;
    const { register } = core;
    this.#agent.after(ROUND_MS, () => this.#round());
    if (register === undefined || !core.isWhole()) return;
    const members = register.members.map((member) => member.node);
    const set = { epoch: register.epoch, members, insync: register.insync };
    if (!this.#rounds.begin(set, store.stamp)) {
      this.#agent.world.mark("tombstone round blocked");
      return;
    }
    this.#askReports(register.epoch, members, 6);
  }

  #askReports(
    epoch: number,
    members: readonly NodeId[],
    times: number,
  ): void {
    const { core, links, node } = this.#agent;
    if (times === 0 || core.register?.epoch !== epoch) {
      return this.#rounds.abandon();
    }
    for (const member of members) {
      if (member === node) {
        this.#take(node, this.report());
        continue;
      }
      links.ask(member, { kind: "report" }, (reply) => {
        if (reply?.kind !== "report" || core.register?.epoch !== epoch) return;
        this.#take(member, reply.report);
      });
    }
    this.#agent.after(120, () => {
      if (this.#rounds.active) this.#askReports(epoch, members, times - 1);
    });
  }

  #take(from: NodeId, report: LogReport): void {
    const openSince = this.#open.size === 0
      ? undefined
      : Math.min(...this.#open.values());
    const upTo = this.#rounds.report(from, report, {
      stamp: this.#newest,
      openSince,
    });
    if (upTo === undefined) return;
    const { disk, store, world } = this.#agent;
    disk.write(false, {
      store: () => {
        const ids = store.collect(upTo);
        if (ids.length > 0) world.mark("tombstones collected");
        world.history.collected(ids);
        return {};
      },
    });
  }

  /** How far the logs are, as this agent knows. */
  report(): LogReport {
    const { store, node, log, disk } = this.#agent;
    const earlier = store.runs()
      .filter(({ incarnation }) => incarnation < store.incarnation)
      .map(({ incarnation, lastSequence }) => ({
        origin: node,
        incarnation,
        sequence: lastSequence,
      }));
    const present = { origin: node, incarnation: store.incarnation };
    const positions = [...store.durablePositions].flatMap(([origin, held]) =>
      [...held].map(([incarnation, sequence]) => ({
        origin,
        incarnation,
        sequence,
      }))
    );
    return {
      ends: [...earlier, { ...present, sequence: log.length }],
      positions: [
        ...positions,
        ...earlier,
        { ...present, sequence: disk.durableHead },
      ],
    };
  }
}
