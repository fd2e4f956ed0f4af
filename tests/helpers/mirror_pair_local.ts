/**
 * A node of a mirror inside this process: the same code as a daemon's Worker,
 * with its disk in two files, small enough to be started hundreds of times.
 *
 * @module
 */

import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
import type { MirrorCommand } from "@kedge/schema/mirror/control-api";
import type { MirrorState } from "../../node-agent/mirror/decisions/mirror_state.ts";
import type { CommandResult } from "../../node-agent/mirror/core/volume_types.ts";
import { specOf } from "../../node-agent/mirror/host/spec.ts";
import { createMetadata } from "../../node-agent/mirror/meta/create_metadata.ts";
import { openDevices } from "../../node-agent/mirror/meta/open_disk.ts";
import { Resource } from "../../node-agent/mirror/resource.ts";
import type { Volume } from "../../node-agent/mirror/volume/volume.ts";
import type { FromWorker } from "../../node-agent/mirror/worker_messages.ts";
import { eventually } from "./eventually.ts";

/** Slots of the activity log: so few that extents are evicted all the time. */
const AL_EXTENTS = 3;

/** Size of the data, in bytes: five extents of the activity log. */
export const LOCAL_BYTES: number = 20 * 1024 * 1024;

/** Generation of the data that both sides have. */
const EQUAL = 0x1234_5678_9abc_def0n;

/** Two nodes: where they are and where their files lie. */
export interface LocalPair {
  /** First three parts of both addresses. */
  readonly net: string;
  /** Folder with `a.data`, `a.meta`, `b.data`, `b.meta`. */
  readonly dir: string;
  /** More lines for the `net` section. */
  readonly netOptions?: string;
}

/** Make the files of two nodes that have the same data: zeroes. */
export function makeEqualDisks({ dir }: LocalPair): void {
  for (const name of ["a", "b"]) {
    const paths = {
      dataPath: `${dir}/${name}.data`,
      metaPath: `${dir}/${name}.meta`,
      placement: { kind: "flexible" },
    } as const;
    empty(paths.dataPath, LOCAL_BYTES);
    empty(paths.metaPath, 256 * 1024);
    const devices = openDevices(paths);
    if ("problem" in devices) throw new Error(devices.problem.text);
    const made = createMetadata(devices.source, { isConfirmed: true });
    if (made.kind !== "created") throw new Error(`create-md: ${made.kind}`);
    made.meta.writeSuperblock({
      uuids: { current: EQUAL, bitmap: 0n, history: [0n, 0n] },
      flags: new Set(["AlClean", "Consistent", "WasUpToDate"]),
      laSizeSectors: LOCAL_BYTES / 512,
    });
    devices.close();
  }
}

function empty(path: string, sizeBytes: number): void {
  Deno.writeFileSync(path, new Uint8Array(0));
  Deno.truncateSync(path, sizeBytes);
}

/** See the module comment. */
export class LocalNode implements Disposable {
  readonly volume: Volume;
  readonly log: string[] = [];
  readonly #resource: Resource;
  readonly #answers = new Map<number, (result: CommandResult) => void>();
  #lastId = 0;

  constructor(readonly name: "a" | "b", pair: LocalPair) {
    const config = resolveResource(parseDrbdText(confOf(pair)), {
      host: name,
      resourceName: "local",
    });
    const options = { listen: [], identity: undefined };
    const spec = specOf(config, options);
    const volumes = spec.volumes.map((volume) => ({
      ...volume,
      config: { ...volume.config, alExtents: AL_EXTENTS },
    }));
    this.#resource = new Resource(
      { ...spec, volumes, undoDir: `${pair.dir}/undo-${name}` },
      (message) => this.#hear(message),
    );
    const [first] = this.#resource.volumes();
    if (first === undefined) throw new Error("no volume");
    this.volume = first.volume;
  }

  get state(): MirrorState {
    return this.volume.core.state;
  }

  /** Do a command; its code. */
  command(command: MirrorCommand): Promise<CommandResult> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<CommandResult>();
    this.#answers.set(id, resolve);
    this.#resource.hear({ type: "command", id, volume: undefined, command });
    return promise;
  }

  /** As {@link command}. @throws {Error} When it is refused. */
  async must(command: MirrorCommand): Promise<void> {
    const result = await this.command(command);
    if (result.code === 1) return;
    const what = `${command.kind} on ${this.name}: ${JSON.stringify(result)}`;
    throw new Error(`${what}; ${this.log.join("; ")}`);
  }

  /** Look for the peer. */
  connect(): Promise<void> {
    const how = { discardMyData: false, tentative: false };
    return this.must({ kind: "connect", ...how });
  }

  /** Write bytes. */
  write(offset: number, data: Uint8Array): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.volume.core.writes.write(offset, data, resolve);
    this.volume.settle();
    return promise;
  }

  /** Make everything stable. */
  flush(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.volume.core.writes.flush(resolve);
    this.volume.settle();
    return promise;
  }

  /** Wait until the state is as wanted. */
  async until(
    what: string,
    wanted: (state: MirrorState) => boolean,
  ): Promise<void> {
    await eventually(() => wanted(this.state), {
      what: `${what} on ${this.name}`,
      pauseMs: 2,
      deadlineMs: 10_000,
    }).catch((error) => {
      const { state, log } = this;
      const more = `${JSON.stringify(state)}; ${log.join("; ")}`;
      throw new Error(`${error.message}; ${more}`);
    });
  }

  /** Wait until it is connected and both disks are UpToDate. */
  untilEqual(): Promise<void> {
    return this.until(
      "equal disks",
      ({ connection, disk, peerDisk }) =>
        connection === "Connected" && disk === "UpToDate" &&
        peerDisk === "UpToDate",
    );
  }

  [Symbol.dispose](): void {
    this.#resource.close();
  }

  #hear(message: FromWorker): void {
    if (message.type === "log") this.log.push(message.text);
    if (message.type !== "answer") return;
    this.#answers.get(message.id)?.(message.result);
    this.#answers.delete(message.id);
  }
}

function confOf({ net, dir, netOptions = "" }: LocalPair): string {
  const on = (name: string, last: number) =>
    `on ${name} { address ${net}.${last}:7790; disk ${dir}/${name}.data; ` +
    `flexible-meta-disk ${dir}/${name}.meta; }`;
  return `
resource local {
  device /dev/drbd198 minor 198;
  net { protocol C; ${netOptions} }
  disk { c-plan-ahead 0; resync-rate 1G; }
  ${on("a", 1)}
  ${on("b", 2)}
}`;
}
