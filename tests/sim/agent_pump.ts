/**
 * One link of a simulated agent, and what is sent over it of the log.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { LogPlace } from "../../node-agent/ports.ts";
import {
  type Incarnation,
  isBehindCut,
  peerStanding,
  sendFrom,
} from "../../node-agent/sync/positions_core.ts";
import type { Held, Reply } from "./messages.ts";
import type { SimAgent } from "./sim_agent.ts";
import type { Positions } from "./sim_store.ts";

/** A link that stands. */
export interface Link {
  readonly peer: NodeId;
  readonly session: number;
  isGreeted: boolean;
  /** What the peer holds of our log, as it last said. */
  held: Held;
  durable: Held;
  /** What we said that we hold of its log, and that ours begins here. */
  readonly toldHeld: Held;
  readonly toldCut: LogPlace | undefined;
  /** Where its log begins, as it said. */
  cut: LogPlace | undefined;
  /** The core has ordered to send. */
  sends: boolean;
  /** Where sending goes on; `undefined` is where the peer is. */
  cursor: { incarnation: number; sequence: number } | undefined;
  readonly questions: Map<number, (reply: Reply | undefined) => void>;
}

/** What a peer holds of our log, in the core's words. */
export function standingOf(agent: SimAgent, held: Held, durable: Held) {
  const log = incarnationsOf(agent);
  const { cut } = agent.store;
  const written = peerStanding(log, held, cut);
  const flushed = peerStanding(log, durable, cut);
  return {
    written: written.written,
    durable: flushed.written,
    lacksEarlier: flushed.lacksEarlier,
    knowsMore: written.knowsMore,
  };
}

/** Send what the peer lacks of our log, as far as it may be sent. */
export function pump(agent: SimAgent, link: Link): void {
  const { store, core, world } = agent;
  if (!link.sends || core.register === undefined) return;
  if (isBehindCut(store.cut, link.held)) {
    if (store.cut !== link.toldCut) {
      // It learns of the cut over the next link.
      world.mark("cut beyond a linked peer");
      world.net.close(agent.node, link.peer, link.session);
    }
    return;
  }
  link.cursor ??= sendFrom(incarnationsOf(agent), link.held) ?? endOf(agent);
  const { cursor } = link;
  for (;;) {
    const isPresent = cursor.incarnation === store.incarnation;
    const log = isPresent ? agent.log : store.log.get(cursor.incarnation) ?? [];
    const from = cursor.sequence;
    let records = log.slice(from, from + world.config.batchMax);
    if (isPresent && world.rules.storeOwnersFirst) {
      // A change by the owner is sent when it is stored here: a killed owner
      // must not make another one from the same state.
      const stored = agent.disk.writtenHead;
      const hold = records.findIndex((record, index) =>
        record.isOwners && from + 1 + index > stored
      );
      if (hold >= 0) records = records.slice(0, hold);
    }
    if (records.length > 0) {
      agent.world.net.send(agent.node, link.peer, link.session, {
        kind: "batch",
        epoch: core.register.epoch,
        incarnation: cursor.incarnation,
        first: from + 1,
        records: records.map((record, index) => {
          const sequence = from + 1 + index;
          const isLogged = !isPresent ||
            sequence <= agent.disk.writtenHead;
          return isLogged && world.rules.sendCurrentState
            ? store.asSent(record)
            : record;
        }),
      });
      cursor.sequence += records.length;
      continue;
    }
    if (isPresent || records.length > 0) return;
    const next = incarnationsOf(agent).find((run) =>
      run.incarnation > cursor.incarnation
    );
    cursor.incarnation = next?.incarnation ?? store.incarnation;
    cursor.sequence = 0;
  }
}

function incarnationsOf(agent: SimAgent): Incarnation[] {
  const { store } = agent;
  const earlier = store.runs()
    .filter(({ incarnation }) => incarnation < store.incarnation);
  const lastSequence = agent.log.length;
  return [...earlier, { incarnation: store.incarnation, lastSequence }];
}

function endOf(agent: SimAgent) {
  const { store, log } = agent;
  return { incarnation: store.incarnation, sequence: log.length };
}

/** Positions as they are told. */
export function heldOf(positions: Positions | undefined): Held {
  return [...positions ?? []].map(([incarnation, sequence]) => ({
    incarnation,
    sequence,
  }));
}
