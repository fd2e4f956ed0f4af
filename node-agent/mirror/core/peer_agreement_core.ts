/**
 * Changes of state that both nodes must agree to: one request, one answer.
 *
 * The peer judges the mirrored change by its own rules. When both ask at once,
 * the node that breaks ties refuses with -19 and the other one tries again.
 *
 * Source: DRBD 8.4, reference §2.6.
 *
 * @module
 */

import type { StateWish } from "@kedge/schema/wire/mirror";
import type { MirrorState } from "../decisions/mirror_state.ts";
import { hasSource } from "./disk_worth_core.ts";
import type { Owed } from "./answer_watch_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { CommandResult } from "./volume_types.ts";
import { connectionOf, peerDiskOf, roleOf } from "./words_core.ts";

/** Called once: 1, or a refusal. */
export type Agreed = (code: number) => void;

/** The connection went away before the peer answered. */
const NOT_ANSWERED = -21;

/** The result of a question about a verify or a resync, for people. */
export function transferRefusal(code: number): CommandResult {
  return code === NOT_ANSWERED
    ? { code: -15, why: "the connection was lost before the peer answered" }
    : { code };
}

interface Question {
  readonly id: number;
  readonly done: Agreed;
  readonly askedMs: number;
}

/** See the module comment. */
export class PeerAgreement {
  #lastId = 0;
  #asked: Question | undefined;

  constructor(readonly volume: VolumeCore) {}

  /** Whether the peer has not answered yet. */
  get isAsking(): boolean {
    return this.#asked !== undefined;
  }

  /** How long the peer has not answered yet, in ms. */
  get waitsMs(): number {
    const { nowMs } = this.volume;
    return nowMs - (this.#asked?.askedMs ?? nowMs);
  }

  /** What the peer is to agree to. */
  get owed(): Owed {
    const { isAsking } = this;
    return {
      what: "a change of state",
      isOpen: isAsking,
      answered: this.#lastId,
    };
  }

  /** Ask the peer to agree. One question at a time: -18 while one is open. */
  ask(wish: StateWish, done: Agreed): void {
    if (this.#asked !== undefined) return done(-18);
    const id = ++this.#lastId;
    this.#asked = { id, done, askedMs: this.volume.nowMs };
    this.volume.effects.send({ kind: "stateRequest", id, wish });
  }

  /** The peer's answer. */
  answered(id: number, code: number): void {
    if (this.#asked?.id !== id) return;
    const { done } = this.#asked;
    this.#asked = undefined;
    done(code === 1 ? 1 : Math.min(-1, code));
  }

  /** The connection is gone. */
  stop(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.done(NOT_ANSWERED);
  }

  /** The peer asks us. */
  asked(id: number, wish: StateWish): void {
    const code = this.#judge(wish);
    this.volume.effects.send({ kind: "stateReply", id, code });
    if (code === 1) this.#follow(wish);
  }

  #judge(wish: StateWish): number {
    const { volume } = this;
    if (this.#asked !== undefined && volume.link.resolveConflicts) return -19;
    if (wish.role === "Primary" && volume.roles.promotion.isTaking) return -1;
    const { disk, peerDisk } = volume.state;
    const areGood = disk === "UpToDate" && peerDisk === "UpToDate";
    if (wish.skipSync !== undefined) return volume.roles.isNewPair ? 1 : -15;
    if (wish.letsDiskGo) return volume.disk.detachment.peerAsks();
    if (wish.connection === "VerifyS" && !areGood) return -2;
    const { verifyAlgorithm = volume.config.verifyAlgorithm } = wish;
    if (verifyAlgorithm !== volume.config.verifyAlgorithm) return -14;
    const ours = volume.disk.detachment.foreseen(mirrored(wish));
    const { refused } = volume.judge(ours);
    if (refused !== undefined) return refused;
    return hasSource(volume.state, ours.connection) ? 1 : -2;
  }

  /** What the agreed change means on our side. */
  #follow(wish: StateWish): void {
    const { volume } = this;
    if (wish.skipSync !== undefined) {
      volume.roles.declareEqual(BigInt(`0x${wish.skipSync}`));
      return;
    }
    if (wish.letsDiskGo) return;
    switch (wish.connection) {
      case "Disconnecting":
        volume.change(mirrored(wish));
        volume.effects.closeLink("The peer is disconnecting");
        return volume.link.linkDown();
      case "StartingSyncS":
        return volume.roles.beginAsTarget(wish.onlyMarked);
      case "StartingSyncT":
        return volume.roles.beginAsSource(wish.onlyMarked);
      case "VerifyS":
        volume.change({ connection: "VerifyT" });
        return;
      default:
        volume.change(mirrored(wish));
    }
  }
}

/** The peer's change, seen from here. */
function mirrored(wish: StateWish): Partial<MirrorState> {
  return {
    ...(wish.role === undefined ? {} : { peerRole: roleOf(wish.role) }),
    ...(wish.disk === undefined ? {} : { peerDisk: peerDiskOf(wish.disk) }),
    ...(wish.peerDisk === undefined ? {} : { disk: peerDiskOf(wish.peerDisk) }),
    ...mirroredConnection(wish.connection),
  };
}

function mirroredConnection(word: string | undefined): Partial<MirrorState> {
  if (word === undefined) return {};
  const connection = connectionOf(word);
  switch (connection) {
    case "Disconnecting":
      return { connection: "TearDown" };
    case "StartingSyncS":
      return { connection: "StartingSyncT" };
    case "StartingSyncT":
      return { connection: "StartingSyncS" };
    case "VerifyS":
      return { connection: "VerifyT" };
    default:
      return {};
  }
}
