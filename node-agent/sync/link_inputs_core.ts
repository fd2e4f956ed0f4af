/**
 * Inputs of the replica core that come over connections to peers.
 *
 * @module
 */

import { isMember, type NodeId } from "@kedge/schema";
import type { LinkInput } from "./peer_table_core.ts";
import { ALL_LEVELS, type ReplicaState } from "./replica_state.ts";

type Linked = LinkInput & { readonly kind: "linked" };
type Pushed = LinkInput & { readonly kind: "pushed" };

/**
 * Take what a connection brought.
 *
 * @returns Whether something else may be due now: an answer, or a step.
 */
export function takeLinkInput(state: ReplicaState, input: LinkInput): boolean {
  if (input.kind === "linked") return onLinked(state, input);
  const peer = state.peers.bySession(input.peer, input.session);
  if (peer === undefined) return false; // an older connection
  const link = { peer: input.peer, session: input.session };
  switch (input.kind) {
    case "unlinked":
      state.peers.unlink(peer, state.nowMs);
      state.membership.linkLost(input.peer, state.register, state.nowMs);
      break;
    case "acked":
      state.peers.moved(peer, input, state.nowMs);
      break;
    case "refused":
      if (input.epoch > (state.register?.epoch ?? 0)) {
        peer.refusedUs = true;
        state.effects.push({ kind: "read-register" });
      } else state.effects.push({ kind: "send", ...link });
      return false;
    case "pushed":
      onPushed(state, input);
      return false;
    case "applied":
      state.effects.push({
        kind: "acknowledge",
        ...link,
        batch: input.batch,
      });
      return false;
    case "join-requested":
      state.peers.requestJoin(peer, input.epoch, state.joinTerms());
      break;
    case "promised":
      if (input.epoch === state.register?.epoch) {
        peer.promisedUs = input.epoch;
      }
      break;
    default:
      return input satisfies never;
  }
  return true;
}

function onLinked(state: ReplicaState, input: Linked): boolean {
  const peer = state.peers.link(input, state.nowMs);
  const register = state.register;
  if (register !== undefined && !isMember(register, input.peer)) {
    state.drop(input, "not in the group");
    return false;
  }
  state.tell(peer);
  state.effects.push({
    kind: "send",
    peer: input.peer,
    session: input.session,
  });
  if (input.knowsMore) onSuffixLost(state, input.peer);
  return true;
}

function onSuffixLost(state: ReplicaState, peer: NodeId): void {
  // After a start that may have lost records this is no surprise: the log has
  // a new incarnation already and we join again.
  if (state.membership.isSuspect || state.readOnly !== undefined) return;
  const why = `node ${peer} has records of ours that we have lost`;
  state.readOnly = why;
  state.giveUp(ALL_LEVELS, why);
  state.effects.push({ kind: "alarm", why }, { kind: "restart-log", why });
}

function onPushed(state: ReplicaState, input: Pushed): void {
  const { peer, session, batch } = input;
  const register = state.register;
  const epoch = register?.epoch ?? 0;
  if (register !== undefined && input.epoch < epoch) {
    if (state.rules.refuseLowerEpochs) {
      state.effects.push(
        { kind: "tell-register", peer, session, register },
        { kind: "reject", peer, session, batch, epoch },
      );
      return;
    }
  }
  if (input.epoch > epoch) {
    // Its register always comes before its records; this one did not help.
    state.effects.push({ kind: "read-register" });
    state.drop(input, "its epoch is not known here");
    return;
  }
  if (state.readOnly !== undefined) {
    state.drop(input, "this node cannot store records");
    return;
  }
  state.effects.push({ kind: "apply", peer, session, batch });
}
