/**
 * Which hand carries out which effect of the core.
 *
 * @module
 */

import type { Alarms } from "./alarms.ts";
import type { Commits } from "./commits.ts";
import type { PromptEffect } from "./core_loop.ts";
import type { Membership } from "./membership.ts";
import type { ReplicaInput } from "./replica_messages.ts";
import type { Sessions } from "./sessions.ts";
import type { Transfers } from "./transfers.ts";

/** Everything that carries out effects. */
export interface Hands {
  readonly commits: Commits;
  readonly sessions: Sessions;
  readonly membership: Membership;
  readonly transfers: Transfers;
  readonly alarms: Alarms;
  /** Tell the core. */
  input(input: ReplicaInput): void;
  /** Start again as after an unclean stop. */
  restartLog(why: string): void;
}

/** Carry out one effect. Never throws. */
export function perform(effect: PromptEffect, hands: Hands): void {
  const { commits, sessions, membership, alarms } = hands;
  switch (effect.kind) {
    case "append":
      return commits.append(effect);
    case "answer":
      return commits.answer(effect);
    case "refuse":
      return commits.refuse(effect);
    case "uncertain":
      return commits.uncertain(effect);
    case "send":
      return sessions.send(effect);
    case "tell-register":
      return sessions.tellRegister(effect, effect.register);
    case "apply":
      return sessions.apply(effect, effect.batch);
    case "reject":
      return sessions.reject(effect, effect.batch, effect.epoch);
    case "acknowledge":
      return sessions.acknowledge(effect);
    case "skip":
      return void sessions.skip(effect);
    case "request-join":
      return sessions.sayEpoch(effect, "join-request", effect.epoch);
    case "promise":
      return sessions.sayEpoch(effect, "promise", effect.epoch);
    case "drop-link":
      return sessions.drop(effect, effect.why);
    case "change-register":
      return void membership.changeRegister(effect);
    case "read-register":
      return membership.soon();
    case "compare":
      return void compare(effect, hands);
    case "restart-log":
      alarms.raise(`the log must start a new run: ${effect.why}`);
      return hands.restartLog(effect.why);
    case "alarm":
      return alarms.raise(effect.why);
    default:
      return effect satisfies never;
  }
}

async function compare(
  { peer, epoch }: Extract<PromptEffect, { kind: "compare" }>,
  { transfers, input }: Hands,
): Promise<void> {
  const ok = await transfers.compare(peer, epoch);
  input({ kind: "compared", donor: peer, epoch, ok });
}
