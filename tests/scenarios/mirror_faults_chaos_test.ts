/**
 * Faults of every kind, one after the other and over one another, under load:
 * nothing acknowledged is lost, and in the end both disks are equal.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { eventually, pause } from "../helpers/eventually.ts";
import { Cable } from "../helpers/mirror_pair_cable.ts";
import { FaultDisk, hasPluginDisks } from "../helpers/mirror_pair_disk.ts";
import { DISK_BYTES, memoryDir } from "../helpers/mirror_pair.ts";
import type { MirrorLoad } from "../helpers/mirror_pair_client.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import type { MirrorSide } from "../helpers/mirror_pair_side.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const FAULTS = Number(Deno.env.get("KEDGE_MIRROR_CHAOS") ?? 15);

/** Disks that can fail. */
type Disks = Readonly<Record<"a" | "b", FaultDisk>>;

/** Two of them, where they can be had. */
async function makeDisks(scope: Scope): Promise<Disks | undefined> {
  if (!await hasPluginDisks("bad disks in mirror_faults_chaos")) return;
  const dir = await memoryDir(scope);
  const [a, b] = await Promise.all([
    FaultDisk.make(scope, `${dir}/disk-a`, DISK_BYTES),
    FaultDisk.make(scope, `${dir}/disk-b`, DISK_BYTES),
  ]);
  return { a, b };
}

/** A life, and who is what. */
class Chaos {
  readonly done: string[] = [];
  primary: MirrorSide;
  secondary: MirrorSide;
  #load: MirrorLoad | undefined;

  constructor(
    readonly life: MirrorLife,
    readonly cable: Cable,
    readonly disks: Disks | undefined,
  ) {
    this.primary = life.pair.a;
    this.secondary = life.pair.b;
  }

  /** One fault more. */
  async fault(): Promise<void> {
    const { random } = this.life;
    const [name, act] = random.pick(Object.entries(this.#faults));
    this.done.push(name);
    await act();
    await this.#keepWriting();
    await pause(random.between(0, 300));
  }

  /** Mend everything; both disks are equal and hold what they must. */
  async settle(): Promise<void> {
    this.cable.heal();
    await this.#keepConnecting();
    await Promise.all([this.primary.untilEqual(), this.secondary.untilEqual()]);
    await this.#stopWriting();
    await this.life.nothingIsLost(this.primary);
    await this.life.disksAreEqual();
  }

  readonly #faults = {
    "cut": () => this.cable.cut(),
    "heal": () => this.cable.heal(),
    "cut later": () => {
      this.cable.heal();
      this.cable.cutAfter(2 ** this.life.random.between(6, 22));
    },
    "silence": async () => {
      this.cable.deafen(this.life.random.pick(["a", "b"]));
      await pause(700);
      this.cable.heal();
    },
    "kill secondary": () => this.#restart(this.secondary),
    "stop secondary": async () => {
      await this.secondary.stop();
      await this.secondary.up();
    },
    "freeze secondary": async () => {
      const { child } = this.secondary;
      child.signal("SIGSTOP");
      await pause(this.life.random.between(100, 1_200));
      child.signal("SIGCONT");
    },
    "kill primary": () => this.#killPrimary(),
    "fail over": () => this.#failOver(),
    "detach": async () => {
      await this.secondary.command({ kind: "detach", force: true });
      await this.#attach(this.secondary);
    },
    "bad disk": () => this.#badDisk(),
    "invalidate": () => this.secondary.command({ kind: "invalidate" }),
    "invalidate remote": () =>
      this.primary.command({ kind: "invalidate-remote" }),
    "pause resync": async () => {
      await this.secondary.command({ kind: "pause-sync" });
      await pause(this.life.random.between(0, 200));
      await this.secondary.command({ kind: "resume-sync" });
    },
    "disconnect": async () => {
      const side = this.life.random.pick([this.primary, this.secondary]);
      await side.command({ kind: "disconnect", force: false });
      await this.#keepConnecting();
    },
  } as const satisfies Record<string, () => unknown>;

  async #restart(side: MirrorSide): Promise<void> {
    await side.kill();
    await side.up();
  }

  async #attach(side: MirrorSide): Promise<void> {
    await eventually(async () => {
      const { code } = await side.command({ kind: "attach" });
      return code === 1 || code === 124;
    }, { what: `attach on ${side.name}` });
  }

  async #killPrimary(): Promise<void> {
    await this.primary.kill();
    await this.#load?.ended;
    await this.#checkLoad();
    await this.primary.start();
    await this.primary.create();
    await this.primary.must({ kind: "attach" });
    await this.primary.promote();
    await this.life.nothingIsLost(this.primary);
    await this.primary.connect();
  }

  /** Only from a pair that is equal: else the new Primary would lose data. */
  async #failOver(): Promise<void> {
    this.cable.heal();
    await this.#keepConnecting();
    await Promise.all([this.primary.untilEqual(), this.secondary.untilEqual()]);
    await this.primary.kill();
    await this.#load?.ended;
    await this.#checkLoad();
    await this.secondary.promote();
    await this.life.nothingIsLost(this.secondary);
    [this.primary, this.secondary] = [this.secondary, this.primary];
    await this.secondary.up();
  }

  /** Only while the other disk has everything. */
  async #badDisk(): Promise<void> {
    const { life: { random }, disks } = this;
    if (disks === undefined) return;
    this.cable.heal();
    await this.#keepConnecting();
    await Promise.all([this.primary.untilEqual(), this.secondary.untilEqual()]);
    const side = random.pick([this.primary, this.secondary]);
    const disk = disks[side.name];
    await disk.set(random.pick(["read", "write", "flush"]));
    await this.#keepWriting();
    await pause(random.between(0, 500));
    await disk.heal();
    await this.#attach(side);
    // A Primary whose disk is not whole again lives on its peer alone.
    await Promise.all([this.primary.untilEqual(), this.secondary.untilEqual()]);
  }

  /** Whoever was told to leave its peer alone looks for it again. */
  async #keepConnecting(): Promise<void> {
    for (const side of [this.primary, this.secondary]) {
      await eventually(async () => {
        const { state } = await side.volume();
        if (state.connection === "StandAlone") await side.connect();
        return !["StandAlone", "Disconnecting", "TearDown"]
          .includes(state.connection);
      }, { what: `${side.name} to look for its peer` });
    }
  }

  async #keepWriting(): Promise<void> {
    this.#load ??= await this.life.load(this.primary, {
      depth: 8,
      piecesMax: 4,
      region: this.life.extent(),
    });
    await this.#load.until(this.#load.acknowledged + 5);
  }

  async #stopWriting(): Promise<void> {
    await this.#load?.stop();
    await this.#checkLoad();
  }

  #checkLoad(): void {
    if (this.#load !== undefined) this.life.wasGood(this.#load);
    this.#load = undefined;
  }
}

for (const protocol of ["B", "C"] as const) {
  Deno.test(`${FAULTS} faults over one another, protocol ${protocol}`, async () => {
    await using scope = new Scope();
    const cable = Cable.lay(scope);
    const { hosts, dials } = cable;
    const disks = await makeDisks(scope);
    const life = await MirrorLife.start(scope, "mirror chaos", {
      protocol,
      disk: "resync-rate 60M;",
      hosts,
      dials,
      ...(disks === undefined
        ? {}
        : { disks: { a: disks.a.path, b: disks.b.path } }),
    });
    if (disks !== undefined) {
      life.stores.a = disks.a.image;
      life.stores.b = disks.b.image;
    }
    const chaos = new Chaos(life, cable, disks);
    try {
      for (let fault = 1; fault <= FAULTS; fault++) {
        await chaos.fault();
        // Often: soon everything would be marked, and hide what is not.
        if (fault % 4 === 0) await chaos.settle();
      }
      await chaos.settle();
    } catch (error) {
      say(`faults: ${chaos.done.join(", ")}`);
      say(`${life.pair.a.log}\n${life.pair.b.log}`);
      throw error;
    }
    equal(chaos.done.length, FAULTS);
    say(`mirror chaos: ${life.model.acknowledged} writes`);
  });
}
