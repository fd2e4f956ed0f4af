/**
 * What a volume's surroundings know about its register: which copy is ours,
 * which is the peer's, and the highest epoch of all.
 *
 * @module
 */

import { EPOCH_REPORTED_MAX } from "@kedge/schema";
import type { VolumeMember } from "@kedge/schema/volume";
import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import type {
  RegisterIdentity,
  RegisterParties,
} from "../../register_ports.ts";
import type { VolumeCore } from "../core/volume_core.ts";

/** See the module comment. */
export class RegisterSide {
  /** The run in whose memory writes may be that the peer relies on. */
  readonly #boot: string;
  #epoch = 0;
  /** The peer's copy, as it told on this connection. */
  #peer: VolumeMember | undefined;

  /**
   * @param identity Undefined: no register decides.
   * @param disk Identity of the disk that is attached now.
   */
  constructor(
    readonly core: VolumeCore,
    readonly identity: RegisterIdentity | undefined,
    readonly disk: () => string | undefined,
  ) {
    const isOnDisk = core.config.protocol === "C";
    this.#boot = isOnDisk ? machineRun() : crypto.randomUUID();
  }

  /** The highest epoch that was known here; it outlives the loss of the disk. */
  get epoch(): number {
    this.#epoch = Math.max(this.#epoch, this.core.persistent?.epoch ?? 0);
    return this.#epoch;
  }

  /** The connection is gone. */
  linkDown(): void {
    this.#peer = undefined;
  }

  /**
   * A frame came.
   *
   * @returns What the core is told of the sender's epoch: 0 where no register
   * decides. Undefined: the frame is refused, no register can have its epoch.
   */
  heard(frame: MirrorFrame, epoch: number): number | undefined {
    if (frame.kind === "report") this.#peer = frame.report.member;
    const { config, link } = this.core;
    if (!config.fencedByRegister) return 0;
    if (epoch > EPOCH_REPORTED_MAX) {
      link.protocolError(`epoch ${epoch} in a ${frame.kind} frame`);
      return undefined;
    }
    this.#epoch = Math.max(this.#epoch, epoch);
    return epoch;
  }

  /** A report names our copy, so that the peer can put it into the register. */
  named(frame: MirrorFrame): MirrorFrame {
    if (frame.kind !== "report") return frame;
    return { ...frame, report: { ...frame.report, member: this.#member() } };
  }

  /** What a wish is about, as of now. */
  parties(): RegisterParties {
    const { state, config } = this.core;
    return {
      member: this.#member(),
      peer: this.#peer,
      isUpToDate: state.disk === "UpToDate",
      isEqual: state.connection === "Connected" &&
        state.disk === "UpToDate" && state.peerDisk === "UpToDate",
      epoch: this.epoch,
      mode: config.protocol,
    };
  }

  /** Our copy as registers name it. */
  #member(): VolumeMember | undefined {
    const { identity } = this;
    const disk = this.disk();
    if (identity === undefined || disk === undefined) return undefined;
    return { ...identity, disk, boot: this.#boot };
  }
}

/** The run of this machine: its page cache survives the process. */
function machineRun(): string {
  try {
    return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
  } catch {
    return crypto.randomUUID();
  }
}
