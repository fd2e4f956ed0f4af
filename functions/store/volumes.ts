/**
 * Volume registers: read fresh, changed only by compare-and-set.
 *
 * @module
 */

import { keys, Problem } from "@kedge/schema";
import {
  type ChangeVolumeBody,
  changeVolumeRegister,
  createVolumeRegister,
  insyncWords,
  type ResourceName,
  type VolumeChange,
  type VolumeRefusal,
  VolumeRegister,
} from "@kedge/schema/volume";
import type { KvStore } from "./kv.ts";
import { parseEntry, type Stored, uncertain } from "./parse.ts";

/** Attempts before a change gives up; a volume has two writers. */
const ATTEMPTS_MAX = 10;

/** Which volume. */
export interface VolumeName {
  readonly resource: ResourceName;
  readonly volume: number;
}

/** Registers of mirrored volumes in the KV. */
export class Volumes {
  readonly #kv: KvStore;
  readonly #gen: string;

  /**
   * Use a store that the caller opened and closes.
   *
   * @param gen Generation of the KV, for registers that are made.
   */
  constructor(kv: KvStore, gen: string) {
    this.#kv = kv;
    this.#gen = gen;
  }

  /**
   * Read a register as it is now.
   *
   * @throws {Problem} `volume-not-found`, `kv-unavailable`
   */
  async get(name: VolumeName): Promise<VolumeRegister> {
    const stored = await this.#read(name);
    if (stored !== undefined) return stored.value;
    throw this.#missing(name);
  }

  /** All of them. */
  async list(): Promise<VolumeRegister[]> {
    const entries = await this.#kv.list(keys.volumes());
    return entries.map((entry) => parseEntry(entry, VolumeRegister).value);
  }

  /**
   * A change that a node decided under a certain register. It is made on that
   * register or not at all. Asking again with the same request is no mistake.
   *
   * @throws {Problem} `stale-epoch` or `wrong-generation` with the current
   * register, `volume-refused`, `volume-not-found`, `kv-uncertain`,
   * `kv-unavailable`
   */
  async changeFrom(
    name: VolumeName,
    { under, request, change }: ChangeVolumeBody,
  ): Promise<VolumeRegister> {
    return await this.#change(name, (register) => {
      if (register?.request === request) return register;
      if (register === undefined) {
        if (change.kind !== "create" || under !== null) {
          throw this.#missing(name);
        }
        const about = { ...name, gen: this.#gen, request };
        return createVolumeRegister(about, change);
      }
      mustBeCurrent(register, under);
      return apply(register, change, request);
    });
  }

  /**
   * An operator's word: it holds whatever the register is, also without one.
   *
   * @throws {Problem} `kv-uncertain`, `kv-unavailable`
   */
  async force(
    name: VolumeName,
    change: Extract<VolumeChange, { kind: "force" }>,
    request: string,
  ): Promise<VolumeRegister> {
    const gen = this.#gen;
    return await this.#change(name, (register) => {
      if (register?.request === request) return register;
      return register === undefined
        ? createVolumeRegister({ ...name, gen, request }, change)
        : { ...apply(register, change, request), gen };
    });
  }

  async #change(
    name: VolumeName,
    decide: (register: VolumeRegister | undefined) => VolumeRegister,
  ): Promise<VolumeRegister> {
    const key = keys.volume(name.resource, name.volume);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const stored = await this.#read(name);
      const next = decide(stored?.value);
      if (next === stored?.value) return next;
      const outcome = await this.#kv.commit({
        checks: [{ key, version: stored?.version ?? null }],
        sets: [{ key, value: next }],
      });
      if (outcome === "committed") return next;
      if (outcome === "unknown") throw uncertain("the register was changed");
    }
    throw new Problem("kv-unavailable", "The register is changing too fast");
  }

  async #read(name: VolumeName): Promise<Stored<VolumeRegister> | undefined> {
    const entry = await this.#kv.get(keys.volume(name.resource, name.volume));
    return entry && parseEntry(entry, VolumeRegister);
  }

  #missing({ resource, volume }: VolumeName): Problem {
    return new Problem(
      "volume-not-found",
      `There is no register of volume ${resource}/${volume}`,
      { gen: this.#gen },
    );
  }
}

function apply(
  register: VolumeRegister,
  change: VolumeChange,
  request: string,
): VolumeRegister {
  const result = changeVolumeRegister(register, change, request);
  if (result.ok) return result.register;
  const { resource, volume } = register;
  throw new Problem(
    "volume-refused",
    `Cannot ${change.kind} ${resource}/${volume}: ${WORDS[result.refusal]}; ` +
      `in sync: ${insyncWords(register)}`,
    { refusal: result.refusal, register },
  );
}

const WORDS: Record<VolumeRefusal, string> = {
  "exists": "the register exists already",
  "not-in-sync": "this node's copy is not in sync",
  "another-disk": "this node's disk is not the one that is in sync",
  "another-boot":
    "this node was restarted and may have lost what it had in memory",
  "not-primary": "this node is not Primary",
  "alone": "nobody else has a good copy",
};

function mustBeCurrent(
  register: VolumeRegister,
  under: ChangeVolumeBody["under"],
): void {
  if (under === null) {
    throw new Problem("volume-refused", "The register exists already", {
      refusal: "exists" satisfies VolumeRefusal,
      register,
    });
  }
  if (register.gen !== under.gen) {
    throw new Problem(
      "wrong-generation",
      `The KV is of generation ${register.gen}, the change of ${under.gen}`,
      { register },
    );
  }
  if (register.epoch === under.epoch) return;
  throw new Problem(
    "stale-epoch",
    `The register is at epoch ${register.epoch}, the change was for ` +
      under.epoch,
    { register },
  );
}
