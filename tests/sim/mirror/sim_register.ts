/**
 * The volume register in the KV, with the real rules of change. Calls may be
 * slow, unanswered, or answered although nothing was done.
 *
 * @module
 */

import {
  changeVolumeRegister,
  createVolumeRegister,
  type VolumeChange,
  type VolumeMember,
  type VolumeRegister,
} from "@kedge/schema/volume";
import type {
  RegisterAnswer,
  RegisterWish,
} from "../../../node-agent/register_ports.ts";
import type { Prng } from "../prng.ts";
import type { Scheduler } from "../scheduler.ts";
import { storeIdOf } from "../setup.ts";

/** A copy of the volume as the register may know it. */
export function memberOf(
  id: 0 | 1,
  boot: string,
  disk = 0,
): VolumeMember {
  const name = id === 0 ? "A" : "B";
  return {
    node: id + 1,
    name,
    disk: `00000000000000${disk % 10}${id + 1}`,
    boot,
  };
}

/** See the module comment. */
export class SimRegister {
  register: VolumeRegister | undefined;
  /** How many faults keep everybody, or one node, away. */
  readonly unreachable = { all: 0, nodes: [0, 0] };
  isHealing = false;
  #requests = 0;
  /** Epochs under which each node decides. */
  readonly #held = [0, 0];
  readonly #overruled = [false, false];

  constructor(
    readonly scheduler: Scheduler,
    readonly rng: Prng,
    readonly options: {
      readonly loss: number;
      readonly forgetsBoots: boolean;
      readonly isOnDisk: boolean;
    },
  ) {}

  /** The nodes in sync, and as what they were booted. */
  get insync(): { id: 0 | 1; boot: string | undefined }[] {
    const members = this.register?.insync ?? [];
    return members.map(({ node, boot }) => ({ id: node === 1 ? 0 : 1, boot }));
  }

  /** A person forced the other node, and this one has not heard of it. */
  isOverruled(id: 0 | 1): boolean {
    return this.#overruled[id] === true;
  }

  /** Both are equal at the start. */
  begin(members: VolumeMember[]): void {
    const [first] = members;
    if (first === undefined) return;
    const register = this.#created("create", first, 0);
    this.register = { ...register, primary: null, insync: members };
  }

  /** Change it; `answered` comes later. */
  ask(
    me: VolumeMember,
    peer: VolumeMember | undefined,
    wish: RegisterWish,
    answered: (answer: RegisterAnswer) => void,
  ): void {
    const { rng } = this;
    const isAway = this.unreachable.all > 0 ||
      (this.unreachable.nodes[me.node - 1] ?? 0) > 0;
    const isLost = isAway || (!this.isHealing && rng.chance(this.options.loss));
    const isDone = !isAway && (!isLost || rng.chance(0.5));
    const delayMs = rng.chance(0.1) ? rng.range(20, 600) : rng.range(1, 20);
    // A promotion reads the register first; everything else is decided under
    // what this node knew.
    const under = wish.kind === "promote"
      ? this.register?.epoch ?? 0
      : this.#held[me.node - 1];
    if (isDone) {
      this.scheduler.after(delayMs / 2, () => {
        const answer = this.#apply(me, peer, wish, under);
        if (!isLost) this.scheduler.after(delayMs / 2, () => answered(answer));
      });
    }
    if (isLost) {
      const epoch = this.register?.epoch ?? 0;
      const lateMs = rng.range(50, 400);
      this.scheduler.after(
        lateMs,
        () => answered({ outcome: "unknown", epoch }),
      );
    }
  }

  #apply(
    me: VolumeMember,
    peer: VolumeMember | undefined,
    wish: RegisterWish,
    under: number | undefined,
  ): RegisterAnswer {
    const { register } = this;
    if (register === undefined) return this.#create(me, wish);
    const mine = register.insync.find(({ node }) => node === me.node);
    const isRebooted = mine?.boot !== undefined &&
      machineOf(mine.boot) !== machineOf(me.boot);
    const isCautious = wish.kind === "promote" && !wish.force &&
      !this.options.forgetsBoots &&
      (register.insync.length > 1 || register.primary !== me.node);
    if (isCautious && isRebooted) {
      // Its page cache is gone, and the other one may still have more: also
      // when it was the last Primary.
      return { outcome: "refused", epoch: register.epoch, why: "rebooted" };
    }
    if (under !== undefined && under !== register.epoch) {
      return this.#changedMeanwhile(me, register);
    }
    const change = changeOf(me, peer, wish);
    if (change === undefined) {
      const why = "no peer to add";
      return { outcome: "refused", epoch: register.epoch, why };
    }
    // What C answered and flushed is on the disk: when nobody else has more, a
    // machine that lost its memory may go on.
    const isOnly = this.options.isOnDisk && register.insync.length === 1 &&
      register.primary === me.node;
    const known = this.options.forgetsBoots || isOnly
      ? { ...register, insync: register.insync.map(withoutBoot) }
      : register;
    const result = changeVolumeRegister(known, change, this.#nextRequest());
    if (!result.ok) {
      const { epoch } = register;
      return { outcome: "refused", epoch, why: result.refusal };
    }
    this.register = result.register;
    this.#held[me.node - 1] = result.register.epoch;
    this.#overruled[me.node - 1] = false;
    if (wish.kind === "promote" && wish.force) {
      this.#overruled[2 - me.node] = true;
    }
    return { outcome: "done", epoch: result.register.epoch };
  }

  /** A request whose answer was lost may have been carried out. */
  #changedMeanwhile(me: VolumeMember, register: VolumeRegister) {
    const { epoch } = register;
    if (register.primary !== me.node) {
      return { outcome: "refused", epoch, why: "another Primary" } as const;
    }
    this.#held[me.node - 1] = epoch;
    return { outcome: "unknown", epoch } as const;
  }

  #create(me: VolumeMember, wish: RegisterWish): RegisterAnswer {
    if (wish.kind !== "promote") return { outcome: "refused", epoch: 0 };
    this.register = this.#created("create", me, 0);
    this.#held[me.node - 1] = this.register.epoch;
    return { outcome: "done", epoch: this.register.epoch };
  }

  #created(kind: "create", member: VolumeMember, above: number) {
    return createVolumeRegister(
      {
        resource: "r0",
        volume: 0,
        gen: storeIdOf(1),
        request: this.#nextRequest(),
      },
      { kind, member, mode: MODE, above },
    );
  }

  #nextRequest(): string {
    return storeIdOf(++this.#requests);
  }
}

/**
 * A boot is the process with protocols A and B, and the machine with C: what C
 * answered is in the page cache, and a loss of power takes that.
 */
const MODE = "B";

/** The part of a boot that names the machine's. */
function machineOf(boot = ""): string {
  return boot.split(".")[0] ?? "";
}

function withoutBoot({ node, name, disk }: VolumeMember): VolumeMember {
  return { node, name, disk };
}

function changeOf(
  member: VolumeMember,
  peer: VolumeMember | undefined,
  wish: RegisterWish,
): VolumeChange | undefined {
  switch (wish.kind) {
    case "promote":
      return wish.force
        ? { kind: "force", member, mode: MODE, above: 0 }
        : { kind: "promote", member, mode: MODE };
    case "shrink":
    case "demote":
      return { kind: wish.kind, member };
    case "leave":
      return { kind: "leave", by: member.node };
    case "grow":
      return peer === undefined ? undefined : { kind: "grow", member, peer };
  }
}
