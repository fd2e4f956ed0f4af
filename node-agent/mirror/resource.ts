/**
 * One resource in its Worker: its volumes, their way to the peer, and the
 * commands of people. Volumes share role, connection commands and port.
 *
 * @module
 */

import type { MirrorCommand } from "@kedge/schema/mirror/control-api";
import { formatGeneration } from "./decisions/generations_core.ts";
import type { CommandDone, CommandResult } from "./core/volume_types.ts";
import { Rendezvous } from "./link/rendezvous.ts";
import { Speedometer } from "./speedometer.ts";
import { isKnownDigest } from "./link/digest.ts";
import { specProblem } from "./spec_changes_core.ts";
import { DiskWatch } from "./volume/disk_watch.ts";
import { partedFileOf, PartedWrites } from "./volume/parted_writes.ts";
import { Volume } from "./volume/volume.ts";
import type {
  FromWorker,
  ResourceSpec,
  ToWorker,
  VolumeSpec,
  VolumeStatus,
} from "./worker_messages.ts";
import { untilSettled } from "./transient_retry.ts";

/** Longest time for the greeting of a connection, in ms. */
const GREETING_MS = 2_000;

/** One volume and what it was made from. */
interface Running {
  spec: VolumeSpec;
  readonly volume: Volume;
  readonly speed: Speedometer;
  readonly parted: PartedWrites;
  openCount: number;
}

/** See the module comment. */
export class Resource {
  readonly #running = new Map<number, Running>();
  readonly #rendezvous: Rendezvous;

  constructor(
    public spec: ResourceSpec,
    readonly say: (message: FromWorker) => void,
    /** Where the main isolate sees that a disk is asked something. */
    readonly turns?: Int32Array,
  ) {
    refuseUnknownDigests(spec);
    this.#rendezvous = new Rendezvous({
      ...meetingOf(spec),
      connected: (connection, facts) =>
        this.#running.get(facts.volume)?.volume.connected(connection, facts) ??
          false,
      pulse: {
        add: (session) => say({ type: "pulse", session }),
        remove: (session) => say({ type: "pulseEnd", session }),
      },
      refused: (number, why) => this.#running.get(number)?.volume.refused(why),
      log: (level, text) => say({ type: "log", level, text }),
    });
    for (const volume of spec.volumes) this.#run(volume);
  }

  /** The volumes by number, for the export. */
  volumes(): readonly Pick<Running, "spec" | "volume" | "parted">[] {
    return [...this.#running.values()];
  }

  /** Somebody opened, or closed, the export of a volume. */
  opened(number: number, by: 1 | -1): void {
    const running = this.#running.get(number);
    if (running === undefined) return;
    running.openCount += by;
    running.volume.core.roles.isOpen = running.openCount > 0;
  }

  /** What the main isolate says, but `start` and `stop`. */
  hear(message: ToWorker): void {
    switch (message.type) {
      case "command": {
        const { id, volume, command } = message;
        return this.#command(volume, command, (result) => {
          this.say({ type: "answer", id, result });
        });
      }
      case "dependency": {
        const volume = this.#running.get(message.volume)?.volume;
        volume?.core.change({ pausedByDependency: message.waits });
        return volume?.settle();
      }
      case "configure": {
        const { id, spec } = message;
        return this.say({ type: "answer", id, result: this.configure(spec) });
      }
      case "status": {
        const { id } = message;
        return this.say({ type: "status", id, status: this.status() });
      }
      case "helperDone":
      case "registerChanged": {
        const volume = this.#running.get(message.volume)?.volume;
        if (volume === undefined) return;
        if (message.type === "helperDone") {
          volume.core.helperDone(message.id, message.exitCode);
        } else {
          volume.core.fence.registerChanged(message.id, message.answer);
        }
        return volume.settle();
      }
    }
  }

  /** Where every volume stands. */
  status(): VolumeStatus[] {
    return [...this.#running.values()].map((each) =>
      statusOf(this.spec.resource, each)
    );
  }

  /** Run on with other options: all of them, or none. */
  configure(spec: ResourceSpec): CommandResult {
    try {
      refuseUnknownDigests(spec);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return { code: 162, why: error.message };
    }
    const stateOf = (number: number) =>
      this.#running.get(number)?.volume.core.state;
    const problem = specProblem(this.spec, spec, stateOf);
    if (problem !== undefined) return problem;
    this.spec = spec;
    this.#rendezvous.change(meetingOf(spec));
    for (const each of spec.volumes) {
      const running = this.#running.get(each.volume);
      if (running === undefined) continue;
      running.spec = each;
      running.volume.watch.timeoutMs = each.diskTimeoutMs ?? 0;
      running.volume.configure(each.config, spec);
    }
    return { code: 1 };
  }

  /** End everything, disks in order. */
  close(): void {
    this.#rendezvous.close();
    for (const { volume, parted } of this.#running.values()) {
      parted.keep();
      volume.close();
    }
  }

  #run(spec: VolumeSpec): void {
    const { volume: number } = spec;
    const { say, spec: { undoDir, sizesDir, resource } } = this;
    const parted = new PartedWrites(
      sizesDir && partedFileOf(sizesDir, resource, number),
    );
    const volume = new Volume(spec.config, {
      seekPeer: (seek) => this.#rendezvous.seek(number, seek),
      runHelper: (name, id) =>
        say({ type: "helper", volume: number, id, name }),
      identity: this.spec.identity,
      changeRegister: (change, id, parties) =>
        say({ type: "register", volume: number, id, change, parties }),
      stateChanged: (before, after) => {
        // What a resync begins with is its whole, whenever somebody asks.
        this.#running.get(number)?.speed.progressOf(volume.core);
        if (after.connection === "Connected") parted.joined();
        else if (before.role !== after.role) parted.keep();
        say({ type: "changed", volume: number, before, after });
      },
      sizeChanged: (sizeBytes) =>
        say({ type: "resized", volume: number, sizeBytes }),
      undo: undoDir === undefined
        ? undefined
        : { dir: undoDir, resource: this.spec.resource, volume: number },
      log: (level, text) => say({ type: "log", level, text }),
    }, new DiskWatch(this.turns));
    volume.watch.timeoutMs = spec.diskTimeoutMs ?? 0;
    this.#running.set(number, {
      spec,
      volume,
      speed: new Speedometer(),
      parted,
      openCount: 0,
    });
  }

  /** One volume, or all in turn; the first refusal ends it and is the answer. */
  #command(
    number: number | undefined,
    command: MirrorCommand,
    done: CommandDone,
  ): void {
    const wanted = [...this.#running.values()].filter((each) =>
      number === undefined || each.spec.volume === number
    );
    const next = (index: number, last: CommandResult) => {
      const running = wanted[index];
      if (running === undefined) return done(last);
      const { sizesDir } = this.spec;
      untilSettled((tried) => {
        act(running, command, { sizesDir, done: tried });
        running.volume.settle();
      }, {
        isWanted: () => this.#running.get(running.spec.volume) === running,
        done: (result) =>
          result.code === 1 ? next(index + 1, result) : done(result),
      });
    };
    if (wanted.length === 0) return done({ code: 127 });
    next(0, { code: 1 });
  }
}

/** How to meet the peer, and how to know that it is the right one. */
function meetingOf(spec: ResourceSpec) {
  return {
    resource: spec.resource,
    node: spec.node,
    local: spec.local,
    remote: spec.remote,
    times: {
      greetingMs: GREETING_MS,
      pingIntMs: spec.pingIntMs,
      pingTimeoutMs: spec.pingTimeoutMs,
    },
    connectIntMs: spec.connectIntMs,
    secret: spec.secret === undefined || spec.secretAlgorithm === undefined
      ? undefined
      : { algorithm: spec.secretAlgorithm, secret: spec.secret },
    integrity: spec.integrityAlgorithm,
  };
}

/** @throws {Error} For a digest that nobody could compute. */
function refuseUnknownDigests(spec: ResourceSpec): void {
  const used: [option: string, algorithm: string | undefined][] = [
    ["cram-hmac-alg", spec.secretAlgorithm],
    ["data-integrity-alg", spec.integrityAlgorithm],
    ...spec.volumes.flatMap(({ config }): typeof used => [
      ["verify-alg", config.verifyAlgorithm],
      ["csums-alg", config.checksumAlgorithm],
    ]),
  ];
  for (const [option, algorithm] of used) {
    if (!algorithm || isKnownDigest(algorithm)) continue;
    throw new Error(
      `${option} "${algorithm}" is not available here: use sha256, sha1 or md5`,
    );
  }
}

function act(
  { spec, volume }: Running,
  command: MirrorCommand,
  { sizesDir, done }: {
    readonly sizesDir: string | undefined;
    readonly done: CommandDone;
  },
): void {
  const { roles, disk, verify, resize } = volume.core;
  switch (command.kind) {
    case "attach":
      if (spec.paths === undefined) return done({ code: 1 });
      return volume.attach({ ...spec.paths, sizesDir }, done);
    case "detach":
      return disk.detach(command.force, done);
    case "connect":
      return roles.connect(command, done);
    case "disconnect":
      return roles.disconnect(command.force, done);
    case "primary":
      return roles.primary(command.force, done);
    case "secondary":
      return roles.secondary(done);
    case "invalidate":
      return roles.invalidate(done);
    case "invalidate-remote":
      return roles.invalidateRemote(done);
    case "outdate":
      return roles.outdate(done);
    case "pause-sync":
      return roles.pauseSync(done);
    case "resume-sync":
      return roles.resumeSync(done);
    case "suspend-io":
      return roles.suspendIo(done);
    case "resume-io":
      return command.onlyByUser ? roles.thaw(done) : roles.resumeIo(done);
    case "verify":
      return verify.start(command, done);
    case "new-current-uuid":
      return roles.newCurrentUuid(command.clearBitmap, done);
    case "resize":
      return resize.start(command, done);
  }
}

function statusOf(resource: string, running: Running): VolumeStatus {
  const { spec, volume, openCount, speed } = running;
  const { core, counters } = volume;
  const { set } = core.generations;
  return {
    resource,
    volume: spec.volume,
    minor: spec.minor,
    device: spec.device,
    backingDisk: spec.paths?.disk,
    state: core.state,
    protocol: core.config.protocol,
    sizeBytes: core.sizeBytes,
    counters: { ...counters },
    outOfSyncBytes: (core.bitmap?.count ?? 0) * 4096,
    applicationPending: core.writes.pending + core.reads.pending,
    peerPending: core.writes.unconfirmed,
    unacknowledged: core.replica.unacknowledged,
    generations: set === undefined
      ? undefined
      : [set.current, set.bitmap, ...set.history].map(formatGeneration),
    aloneWhy: core.state.connection === "StandAlone"
      ? core.roles.parting.why
      : undefined,
    waitsForRegister: core.state.role === "Primary" && !core.fence.mayWrite(),
    progress: speed.progressOf(core),
    openCount,
    written: running.parted.span,
    discarded: volume.discards.found,
  };
}
