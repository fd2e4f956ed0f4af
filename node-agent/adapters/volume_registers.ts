/**
 * The registers of mirrored volumes, asked through trackers.
 *
 * | what is heard                                     | answer                |
 * | ------------------------------------------------- | --------------------- |
 * | the register says so                              | done                  |
 * | another node has the role, or this one lost it    | refused               |
 * | nothing, or a KV that does not know               | unknown: asked again  |
 * | a register that went back, vanished, is another's | unknown, and a person |
 * |                                                   | is told what to do    |
 *
 * A request keeps its identity until it is answered, so asking again never does
 * a thing twice. Roles are won by {@link TrackerVolumeRegisters.change} only: a
 * process that did not win one may not shrink (R8).
 *
 * Source: promises.md §6.1, R2–R4, R13, R14.
 *
 * @module
 */

import {
  insyncWords,
  isAlone,
  type VolumeMember,
  type VolumeMode,
  type VolumeRegister,
} from "@kedge/schema/volume";
import type { Log } from "../ports.ts";
import type {
  RegisterAnswer,
  RegisterIdentity,
  RegisterOf,
  RegisterParties,
  RegisterWish,
  VolumeRegisters,
} from "../register_ports.ts";
import type { Trackers } from "./tracker_client.ts";
import {
  type Heard,
  type Held,
  RegisterCalls,
} from "./volume_register_calls.ts";
import {
  confirmHint,
  nameOf,
  noRegister,
  notInSync,
  wentBack,
} from "./volume_register_words.ts";

/** What a Primary asked for. */
interface Asked {
  readonly of: RegisterOf;
  readonly held: Held;
  /** Our copy; undefined: it is gone. */
  readonly member: VolumeMember | undefined;
  readonly mode: VolumeMode;
  /** Whether a register says that it is done. */
  readonly isDone: (register: VolumeRegister) => boolean;
}

/** See the module comment. */
export class TrackerVolumeRegisters implements VolumeRegisters {
  readonly identity: RegisterIdentity;
  readonly #calls: RegisterCalls;
  readonly #log: Log;
  readonly #held = new Map<string, Held>();
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #said = new Map<string, string>();
  /** Volumes whose register is not the one that this Primary knew. */
  readonly #frozen = new Set<string>();
  /** Those of them that an operator wants to go on here. */
  readonly #confirmed = new Set<string>();

  /** @param options The trackers know this node by its credential. */
  constructor(options: {
    readonly identity: RegisterIdentity;
    readonly trackers: Trackers;
    readonly log: Log;
  }) {
    this.identity = options.identity;
    this.#calls = new RegisterCalls(options.trackers);
    this.#log = options.log;
  }

  /** One question at a time per volume, in the order of asking. */
  change(
    of: RegisterOf,
    wish: RegisterWish,
    parties: RegisterParties,
  ): Promise<RegisterAnswer> {
    const before = this.#last.get(nameOf(of)) ?? Promise.resolve();
    const answer = before.then(() => this.#change(of, wish, parties));
    this.#last.set(nameOf(of), answer.catch(() => {}));
    return answer;
  }

  async #change(
    of: RegisterOf,
    wish: RegisterWish,
    parties: RegisterParties,
  ): Promise<RegisterAnswer> {
    switch (wish.kind) {
      case "promote":
        return await this.#promote(of, wish.force, parties);
      case "shrink":
        return await this.#shrink(of, parties);
      case "leave":
        return await this.#leave(of, parties);
      case "grow":
        return await this.#grow(of, parties);
      case "demote":
        return await this.#demote(of, parties);
    }
  }

  confirm(resource: string): void {
    for (const name of this.#frozen) {
      if (name.slice(0, name.lastIndexOf("/")) === resource) {
        this.#confirmed.add(name);
      }
    }
  }

  async #promote(
    of: RegisterOf,
    force: boolean,
    parties: RegisterParties,
  ): Promise<RegisterAnswer> {
    const { member, mode, epoch, isUpToDate } = parties;
    if (member === undefined) {
      return refused(
        epoch,
        "There is no disk here that the register could name",
      );
    }
    const known = await this.#calls.read(of);
    if (known.kind === "silence") return unknown(epoch, known.why);
    const above = epoch;
    if (known.kind === "missing") {
      if (!force) return refused(epoch, noRegister(of, epoch));
      const create = { kind: "create", member, mode, above } as const;
      return this.#won(of, await this.#calls.send(of, null, create), parties);
    }
    const { register } = known;
    const isOld = register.epoch < epoch;
    if (isOld && !force) return refused(epoch, wentBack(register, epoch));
    if (!isOld && (isUpToDate || !force)) {
      const peer = parties.isEqual ? parties.peer : undefined;
      const change = { kind: "promote", member, mode, peer } as const;
      const heard = await this.#calls.send(of, register, change);
      if (heard.kind !== "refused" || !force) {
        return this.#won(of, heard, parties);
      }
    }
    const change = { kind: "force", member, mode, above } as const;
    this.#log.warn(
      `${nameOf(of)}: forced in the register; ` +
        `in sync until now: ${insyncWords(register)}`,
    );
    return this.#won(of, await this.#calls.send(of, register, change), parties);
  }

  /** What came of asking for the role. */
  #won(of: RegisterOf, heard: Heard, parties: RegisterParties): RegisterAnswer {
    const { epoch } = parties;
    switch (heard.kind) {
      case "register":
        return this.#done(of, heard.register);
      case "refused":
        return refused(epoch, notInSync(of, heard.register, this.identity));
      case "missing":
        return unknown(epoch, noRegister(of, epoch));
      case "silence":
        return unknown(epoch, heard.why);
    }
  }

  async #shrink(
    of: RegisterOf,
    { member, isUpToDate, epoch, mode }: RegisterParties,
  ): Promise<RegisterAnswer> {
    const held = this.#held.get(nameOf(of));
    if (held === undefined) return refused(epoch, "The role was not won here");
    if (member === undefined || !isUpToDate) {
      return this.#wait(of, held, "Neither node has a good disk now");
    }
    const heard = await this.#calls.send(of, held, { kind: "shrink", member });
    const isDone = (register: VolumeRegister) =>
      isAlone(register, member.node, member.disk);
    return await this.#settle({ of, held, member, mode, isDone }, heard);
  }

  /** Our disk is gone: the peer's copy alone is good from now on. */
  async #leave(
    of: RegisterOf,
    { epoch, mode }: RegisterParties,
  ): Promise<RegisterAnswer> {
    const held = this.#held.get(nameOf(of));
    if (held === undefined) return refused(epoch, "The role was not won here");
    const by = this.identity.node;
    const heard = await this.#calls.send(of, held, { kind: "leave", by });
    const isDone = (register: VolumeRegister) =>
      register.primary === by &&
      register.insync.every(({ node }) => node !== by);
    const asked = { of, held, member: undefined, mode, isDone };
    return await this.#settle(asked, heard);
  }

  async #grow(
    of: RegisterOf,
    { member, peer, epoch, mode }: RegisterParties,
  ): Promise<RegisterAnswer> {
    const held = this.#held.get(nameOf(of));
    if (held === undefined) return refused(epoch, "The role was not won here");
    if (member === undefined || peer === undefined) {
      return this.#wait(of, held, "A disk without an identity cannot be named");
    }
    const heard = await this.#calls.send(of, held, {
      kind: "grow",
      member,
      peer,
    });
    const isDone = (register: VolumeRegister) =>
      register.primary === member.node &&
      [member, peer].every((each) => isIn(register, each));
    return await this.#settle({ of, held, member, mode, isDone }, heard);
  }

  async #demote(
    of: RegisterOf,
    { member, epoch }: RegisterParties,
  ): Promise<RegisterAnswer> {
    const held = this.#held.get(nameOf(of));
    if (held === undefined || member === undefined) return done(epoch);
    this.#held.delete(nameOf(of));
    const heard = await this.#calls.send(of, held, { kind: "demote", member });
    this.#calls.forget(of);
    if (heard.kind === "register") return done(heard.register.epoch);
    // Nothing depends on it: whoever is in sync may take the role anyway.
    return unknown(held.epoch, "The register still names this node Primary");
  }

  /** What came of a Primary's change under `held`. */
  async #settle(asked: Asked, heard: Heard): Promise<RegisterAnswer> {
    const { of, held, member } = asked;
    switch (heard.kind) {
      case "register":
        return this.#done(of, heard.register);
      case "silence":
        return this.#wait(of, held, heard.why);
      case "missing":
        return await this.#freeze(asked, noRegister(of, held.epoch));
      case "refused": {
        const { register } = heard;
        if (register.epoch < held.epoch) {
          return await this.#freeze(asked, wentBack(register, held.epoch));
        }
        // An operator's word for us, or an answer that was lost.
        if (asked.isDone(register)) return this.#done(of, register);
        const isOurs = register.epoch > held.epoch &&
          register.primary === this.identity.node &&
          (member === undefined || isListed(register, member));
        if (isOurs) {
          this.#held.set(nameOf(of), register);
          return unknown(register.epoch, "The register was changed for us");
        }
        this.#held.delete(nameOf(of));
        return refused(register.epoch, notInSync(of, register, this.identity));
      }
    }
  }

  /** The KV is not the one we knew: roles stay until a person decides (R13). */
  async #freeze(asked: Asked, why: string): Promise<RegisterAnswer> {
    const { of, held, member, mode } = asked;
    const name = nameOf(of);
    if (member === undefined || !this.#confirmed.delete(name)) {
      this.#frozen.add(name);
      return this.#wait(of, held, `${why}. ${confirmHint(of, held.epoch)}`);
    }
    const change = { kind: "force", member, mode, above: held.epoch } as const;
    const heard = await this.#calls.send(of, held, change);
    if (heard.kind !== "register") {
      this.#confirmed.add(name);
      return this.#wait(of, held, "The operator's word was not heard yet");
    }
    this.#frozen.delete(name);
    this.#log.warn(`${name}: an operator confirmed this Primary`);
    const answer = this.#done(of, heard.register);
    return asked.isDone(heard.register)
      ? answer
      : unknown(answer.epoch, "The register was made anew");
  }

  #done(of: RegisterOf, { gen, epoch }: VolumeRegister): RegisterAnswer {
    this.#held.set(nameOf(of), { gen, epoch });
    this.#frozen.delete(nameOf(of));
    if (this.#said.delete(nameOf(of))) {
      this.#log.info(`${nameOf(of)}: the register answers again`);
    }
    return done(epoch);
  }

  /** Nobody can tell: said once, asked again by the volume. */
  #wait(of: RegisterOf, { epoch }: Held, why: string): RegisterAnswer {
    if (this.#said.get(nameOf(of)) !== why) {
      this.#said.set(nameOf(of), why);
      this.#log.warn(`${nameOf(of)}: the register cannot be changed: ${why}`);
    }
    return unknown(epoch, why);
  }
}

function isListed(register: VolumeRegister, member: VolumeMember): boolean {
  return register.insync.some(({ node, disk }) =>
    node === member.node && disk === member.disk
  );
}

function isIn(register: VolumeRegister, member: VolumeMember): boolean {
  return register.insync.some(({ node, disk, boot }) =>
    node === member.node && disk === member.disk && boot === member.boot
  );
}

function done(epoch: number): RegisterAnswer {
  return { outcome: "done", epoch };
}

function refused(epoch: number, why: string): RegisterAnswer {
  return { outcome: "refused", epoch, why };
}

function unknown(epoch: number, why: string): RegisterAnswer {
  return { outcome: "unknown", epoch, why };
}
