/**
 * Growing a volume on both nodes.
 *
 * ```text
 * resize ─▶ Primary (asked by its peer with "lead", or by a person)
 *   "grow" ─▶ the other node: metadata follows the end of its disk, the new size
 *             and its out-of-sync bits are stable there ─▶ its answer
 *   the same here ─▶ done; what is new is copied from the Primary
 * ```
 *
 * The other node is always the first: from its answer on, which comes before
 * anything else it says, the Primary may use the new blocks. When the link or a
 * node is lost in between, the next connection lets the smaller one grow
 * (`decisions/size_core.ts`). Metadata is moved as a whole, with its activity
 * log, so that writes go on meanwhile.
 *
 * Source: DRBD 8.4, reference §1 and §2.7.
 *
 * @module
 */

import {
  SIZE_WHY_MAX,
  type SizeAnswer,
  type SizeWish,
} from "@kedge/schema/wire/mirror";
import { compareDisk, isConnected } from "../decisions/mirror_state.ts";
import type { Owed } from "./answer_watch_core.ts";
import { growthOf } from "../decisions/size_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { CommandDone, CommandResult } from "./volume_types.ts";

/** How a volume is to grow. */
export interface ResizeWish {
  /** In bytes; 0: as configured, else as large as both disks allow. */
  readonly sizeBytes: number;
  /** Without a connection: the peer's disk has room (`--assume-peer-has-space`). */
  readonly assumePeerHasSpace: boolean;
  /** What is new is equal on both disks (`--assume-clean`). */
  readonly assumeClean: boolean;
}

type Answered = (answer: SizeAnswer) => void;

interface Question {
  readonly id: number;
  readonly done: Answered;
}

/** Pause before a resync that was refused is asked for again, in ms. */
const AGAIN_MS = 500;

const NOT_ANSWERED: SizeAnswer = {
  code: -21,
  sizeBytes: 0,
  why: "The connection was lost in the middle. If a node has grown already, " +
    "the other one does when they see one another again; then resize once more",
};

/** See the module comment. */
export class Resize {
  /** The peer knows the frames of this part. */
  isPeerAble = false;
  /** New writes wait for the beginning of a resync, a flush away. */
  isHolding = false;
  #lastId = 0;
  #asked: Question | undefined;
  /** What has grown waits to be copied. */
  #mustSync = false;
  #nextMs = 0;

  constructor(readonly volume: VolumeCore) {}

  /** What the peer is to do for it. */
  get owed(): Owed {
    const isOpen = this.#asked !== undefined;
    return { what: "a resize", isOpen, answered: this.#lastId };
  }

  /** `resize`. */
  start(wish: ResizeWish, done: CommandDone): void {
    const refusal = this.#refusal(wish);
    if (refusal !== undefined) return done(refusal);
    const { role, connection } = this.volume.state;
    const sizeBytes = wish.sizeBytes || (this.volume.config.sizeBytes ?? 0);
    const sized = { ...wish, sizeBytes };
    if (!isConnected(connection)) return done(this.#growAlone(sized));
    if (role === "Primary") return this.#lead(sized, done);
    this.#ask("lead", sized, (answer) => done(resultOf(answer)));
  }

  /** The peer asks. */
  requested(id: number, wish: SizeWish): void {
    const answer = (answer: SizeAnswer) => {
      if (!isConnected(this.volume.state.connection)) return;
      this.volume.effects.send({ kind: "sizeReply", id, answer });
    };
    if (wish.step === "grow") return answer(this.#growAsAsked(wish));
    const { volume } = this;
    const asked = { ...wish, assumePeerHasSpace: false };
    const refusal = volume.state.role === "Primary"
      ? this.#refusal(asked)
      : { code: 131 };
    if (refusal !== undefined) return answer(this.#answerOf(refusal));
    this.#lead(asked, (result) => answer(this.#answerOf(result)));
  }

  /** The peer's answer. */
  replied(id: number, answer: SizeAnswer): void {
    if (this.#asked?.id !== id) return;
    const { done } = this.#asked;
    this.#asked = undefined;
    done(answer);
  }

  /** The connection is gone: the next one settles sizes and bits. */
  stop(): void {
    this.isPeerAble = false;
    this.#mustSync = false;
    this.isHolding = false; // whoever lost the link tries all writes again
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.done(NOT_ANSWERED);
  }

  /** Time passes: a resync that could not begin at once. */
  tick(): void {
    const isDue = this.volume.nowMs >= this.#nextMs;
    if (this.#mustSync && isDue) this.#syncWhatIsNew();
  }

  #refusal(wish: ResizeWish): CommandResult | undefined {
    const { state } = this.volume;
    if (!this.volume.hasLocalDisk) return { code: 138 };
    if (!isConnected(state.connection)) return this.#refusalAlone(wish);
    if (state.connection !== "Connected") return { code: 130 };
    if (state.role !== "Primary" && state.peerRole !== "Primary") {
      return { code: 131, why: "promote one of the nodes, then resize" };
    }
    if (state.role === "Primary" && state.disk !== "UpToDate") {
      const why = "the Primary's disk lacks something: detach and attach it";
      return { code: -2, why };
    }
    if (compareDisk(state.peerDisk, "Inconsistent") < 0) {
      return { code: 138, why: "the peer has no disk: attach it there first" };
    }
    if (!this.isPeerAble) {
      return { code: 163, why: "the peer's Kedge is too old to resize with" };
    }
    return this.#asked === undefined ? undefined : { code: -18 };
  }

  #refusalAlone(wish: ResizeWish): CommandResult | undefined {
    const { disk, connection } = this.volume.state;
    if (connection === "WFReportParams") return { code: -18 };
    if (disk !== "UpToDate") return { code: -2 };
    if (wish.assumePeerHasSpace) return undefined;
    return {
      code: -15,
      why:
        "not connected, and the peer's disk may be smaller. Connect first, " +
        "or say that it has room: --assume-peer-has-space",
    };
  }

  /** On the word of a person who knows the peer's disk. */
  #growAlone(wish: ResizeWish): CommandResult {
    const { disk } = this.volume;
    const ownBytes = disk.size.look();
    this.volume.effects.log("warn", "Resize while not connected was forced");
    return this.#grow({ ...wish, ownBytes, otherBytes: ownBytes });
  }

  /** We are Primary: the other node first, then we. */
  #lead(wish: ResizeWish, done: CommandDone): void {
    this.#ask("grow", wish, (answer) => {
      if (answer.code !== 1) return done(resultOf(answer));
      const { volume } = this;
      const ownBytes = volume.disk.size.look();
      const result = volume.hasLocalDisk
        ? this.#grow({
          sizeBytes: answer.sizeBytes,
          assumeClean: wish.assumeClean,
          ownBytes,
          otherBytes: answer.sizeBytes,
        })
        : { code: 138 };
      if (result.code === 1 && !wish.assumeClean) this.#syncWhatIsNew();
      done({ ...resultOf(answer), ...result });
    });
  }

  #growAsAsked(wish: SizeWish): SizeAnswer {
    const { state, disk, hasLocalDisk } = this.volume;
    if (state.role === "Primary") return this.#answerOf({ code: 131 });
    if (!hasLocalDisk) return this.#answerOf({ code: 138 });
    if (state.connection !== "Connected") return this.#answerOf({ code: 130 });
    const ownBytes = disk.size.look();
    const otherBytes = wish.backingBytes;
    return this.#answerOf(this.#grow({ ...wish, ownBytes, otherBytes }));
  }

  #grow(wish: {
    readonly sizeBytes: number;
    readonly assumeClean: boolean;
    readonly ownBytes: number;
    readonly otherBytes: number;
  }): CommandResult {
    const { volume } = this;
    const growth = growthOf({
      currentBytes: volume.sizeBytes,
      wantedBytes: wish.sizeBytes,
      ownBytes: wish.ownBytes,
      otherBytes: wish.otherBytes,
    });
    if ("code" in growth) return growth;
    if (wish.assumeClean && growth.sizeBytes > volume.sizeBytes) {
      volume.effects.log("info", "Resync of new storage suppressed");
    }
    const isSaved = volume.disk.size.resizeTo(
      growth.sizeBytes,
      !wish.assumeClean,
    );
    if (!isSaved) return { code: 118, why: "the new size could not be saved" };
    const { note } = growth;
    return note === undefined ? { code: 1 } : { code: 1, why: note };
  }

  /** Both have grown: copy what is marked, from the Primary. */
  #syncWhatIsNew(): void {
    const { volume } = this;
    const { state, bitmap } = volume;
    // A disk that comes back is negotiated, with all of its bits.
    this.#mustSync = isConnected(state.connection) &&
      volume.hasLocalDisk && compareDisk(state.peerDisk, "Inconsistent") >= 0 &&
      (bitmap?.count ?? 0) > 0;
    if (!this.#mustSync || state.connection !== "Connected") return;
    this.#mustSync = false;
    if (state.role !== "Primary") {
      return this.#sync(state.peerRole !== "Primary", () => {});
    }
    // The target's copy counts no more: everything answered is stable here
    // first, and nothing newer comes in between.
    this.isHolding = true;
    volume.writes.flush(() => {
      if (!this.isHolding) return;
      this.#sync(true, () => this.#release());
    });
  }

  #sync(fromHere: boolean, done: () => void): void {
    const { volume } = this;
    volume.roles.syncMarked(fromHere, ({ code }) => {
      // Another change was under way, here or there.
      if (code !== 1) this.#mustSync = isConnected(volume.state.connection);
      this.#nextMs = volume.nowMs + AGAIN_MS;
      done();
    });
  }

  #release(): void {
    if (!this.isHolding) return;
    this.isHolding = false;
    this.volume.writes.retry();
  }

  #ask(step: SizeWish["step"], wish: ResizeWish, done: Answered): void {
    const { volume } = this;
    const id = ++this.#lastId;
    this.#asked = { id, done };
    const { sizeBytes, assumeClean } = wish;
    const backingBytes = volume.disk.size.look();
    volume.effects.send({
      kind: "sizeRequest",
      id,
      wish: { step, sizeBytes, assumeClean, backingBytes },
    });
  }

  #answerOf({ code, why }: CommandResult): SizeAnswer {
    const { sizeBytes } = this.volume;
    if (why === undefined) return { code, sizeBytes };
    return { code, sizeBytes, why: why.slice(0, SIZE_WHY_MAX) };
  }
}

function resultOf({ code, why }: SizeAnswer): CommandResult {
  return why === undefined ? { code } : { code, why };
}
