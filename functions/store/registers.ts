/**
 * Group registers: read fresh, changed only by compare-and-set.
 *
 * @module
 */

import {
  changeRegister,
  emptyRegister,
  type GroupName,
  GroupRegister,
  keys,
  Problem,
  type RegisterChange,
} from "@kedge/schema";
import type { KvChange, KvStore } from "./kv.ts";
import { parseEntry, type Stored, uncertain } from "./parse.ts";

/** Attempts before an operator's change gives up; a group has few writers. */
const ATTEMPTS_MAX = 10;

/** What the caller decided under. */
export interface DecidedUnder {
  /** Generation of the KV that it knows. */
  readonly gen: string;
  /** Epoch of the register that it knows. */
  readonly epoch: number;
}

/** Registers in the KV. */
export class Registers {
  readonly #kv: KvStore;

  /** Use a store that the caller opened and closes. */
  constructor(kv: KvStore) {
    this.#kv = kv;
  }

  /**
   * Read a register as it is now.
   *
   * @throws {Problem} `group-not-found`, `kv-unavailable`
   */
  async get(group: GroupName): Promise<Stored<GroupRegister>> {
    const entry = await this.#kv.get(keys.group(group));
    if (entry === undefined) {
      throw new Problem("group-not-found", `There is no group "${group}"`, {
        group,
      });
    }
    return parseEntry(entry, GroupRegister);
  }

  /**
   * Make a new, empty group.
   *
   * @param sets More to write in the same commit.
   * @throws {Problem} `already-exists`, `kv-uncertain`, `kv-unavailable`
   */
  async create(
    group: GroupName,
    gen: string,
    sets: KvChange["sets"] = [],
  ): Promise<GroupRegister> {
    const key = keys.group(group);
    const value = emptyRegister(group, gen);
    const outcome = await this.#kv.commit({
      checks: [{ key, version: null }],
      sets: [{ key, value }, ...sets],
    });
    if (outcome === "unknown") throw uncertain(`group "${group}" was made`);
    if (outcome === "committed") return value;
    throw new Problem("already-exists", `There is a group "${group}" already`);
  }

  /**
   * A change that an agent decided under a certain register. It is made on that
   * register or not at all.
   *
   * @throws {Problem} `stale-epoch` or `wrong-generation` with the current
   * register, `register-refused`, `kv-uncertain`, `kv-unavailable`
   */
  async changeFrom(
    group: GroupName,
    under: DecidedUnder,
    change: RegisterChange,
  ): Promise<GroupRegister> {
    const { value: register, version } = await this.get(group);
    mustBeCurrent(register, under);
    const next = apply(register, change);
    const outcome = await this.#replace(next, version);
    if (outcome === "committed") return next;
    if (outcome === "unknown") throw uncertain("the register was changed");
    throw staleEpoch((await this.get(group)).value, under.epoch);
  }

  /**
   * A change that holds whatever the register is: an operator's.
   *
   * @param also More to do in the same commit.
   * @throws {Problem} `register-refused`, `kv-uncertain`, `kv-unavailable`,
   * `stale-epoch` when others change it all the time
   */
  async change(
    group: GroupName,
    change: RegisterChange,
    also: KvChange = {},
  ): Promise<GroupRegister> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const { value: register, version } = await this.get(group);
      const next = apply(register, change);
      const outcome = await this.#replace(next, version, also);
      if (outcome === "committed") return next;
      if (outcome === "unknown") throw uncertain("the register was changed");
    }
    throw new Problem("stale-epoch", `Group "${group}" is changing too fast`);
  }

  #replace(next: GroupRegister, version: string, also: KvChange = {}) {
    const key = keys.group(next.group);
    return this.#kv.commit({
      checks: [{ key, version }, ...also.checks ?? []],
      sets: [{ key, value: next }, ...also.sets ?? []],
      deletes: also.deletes ?? [],
    });
  }
}

/**
 * Apply a change, or throw the rule that forbids it.
 *
 * @throws {Problem} `register-refused`
 */
export function apply(
  register: GroupRegister,
  change: RegisterChange,
): GroupRegister {
  const result = changeRegister(register, change);
  if (result.ok) return result.register;
  throw new Problem(
    "register-refused",
    `Cannot ${change.kind} in group "${register.group}": ${result.refusal}`,
    { refusal: result.refusal, register },
  );
}

function mustBeCurrent(register: GroupRegister, under: DecidedUnder): void {
  if (register.gen !== under.gen) {
    throw new Problem(
      "wrong-generation",
      `The KV is of generation ${register.gen}, the change of ${under.gen}`,
      { register },
    );
  }
  if (register.epoch !== under.epoch) throw staleEpoch(register, under.epoch);
}

function staleEpoch(register: GroupRegister, epoch: number): Problem {
  return new Problem(
    "stale-epoch",
    `The register is at epoch ${register.epoch}, the change was for ${epoch}`,
    { register },
  );
}
