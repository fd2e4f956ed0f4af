/**
 * Everything that mirrors on this host: one Worker per resource, started and
 * stopped by commands, its handlers and events.
 *
 * @module
 */

import type {
  CommandReply,
  CommandRequest,
  MirrorEvent,
  MirrorStatus,
  ResourceStatus,
} from "@kedge/schema/mirror/control-api";
import type { NetOptions, ResourceConfig } from "@kedge/schema/drbd-conf";
import type { Log } from "../../ports.ts";
import type { VolumeRegisters } from "../../register_ports.ts";
import type { ResourceSpec } from "../worker_messages.ts";
import { type DeviceNodes, NodeKeeper } from "./device_node_keeper.ts";
import { exportUris, fileName, messageOf, placeOf } from "./export_places.ts";
import { GreetedOptions } from "./greeted_options.ts";
import { reconnect } from "./reconnect.ts";
import { ResourceProcess } from "./resource_process.ts";
import { ResyncOrder } from "./resync_order.ts";
import { Revivals } from "./revivals.ts";
import type { CreateOptions, Running } from "./running.ts";
import { type ExportPlace, specOf } from "./spec.ts";
import { TurnsByName } from "./turns_by_name.ts";
import { WorkerNews } from "./worker_news.ts";

/** What a host needs. */
export interface MirrorHostOptions {
  /** Folder of sockets; only its owner may look into it. */
  readonly runDir: string;
  /** Folder for what a split brain throws away. Default: `undo` in `runDir`. */
  readonly undoDir?: string;
  /** Folder where the sizes of disks are remembered. Default: `disks` in `runDir`. */
  readonly sizesDir?: string;
  readonly version: string;
  /** Module of the Worker. */
  readonly workerEntry: URL;
  readonly log: Log;
  readonly deviceNodes: DeviceNodes | undefined;
  readonly registers: VolumeRegisters | undefined;
  /** Pauses before a Worker that died is started again, in ms. */
  readonly revivalPausesMs?: readonly number[];
}

/** See the module comment. */
export class MirrorHost {
  readonly #running = new Map<string, Running>();
  /** One start or end after the other, or they take the sockets from each other. */
  readonly #turns = new TurnsByName();
  readonly #listeners = new Set<(event: MirrorEvent) => void>();
  readonly #nodes: NodeKeeper;
  readonly #order = new ResyncOrder(this);
  readonly #news: WorkerNews;
  readonly #revivals: Revivals;

  constructor(readonly options: MirrorHostOptions) {
    this.#nodes = new NodeKeeper(options.deviceNodes);
    this.#news = new WorkerNews({
      options,
      running: this.#running,
      nodes: this.#nodes,
      tell: (event) => this.#tell(event),
    });
    this.#revivals = new Revivals({
      start: (config, options) => this.#create(config, options),
      command: (name, request) => this.command(name, request),
      log: options.log,
      nowMs: () => performance.now(),
      pausesMs: options.revivalPausesMs,
    });
  }

  /** Start a resource's Worker: `new-resource` and `new-minor`. */
  create(
    config: ResourceConfig,
    options: CreateOptions,
  ): Promise<CommandReply> {
    this.#revivals.forget(config.name);
    return this.#create(config, options);
  }

  #create(
    config: ResourceConfig,
    options: CreateOptions,
  ): Promise<CommandReply> {
    return this.#turns.take(
      config.name,
      () =>
        this.#running.has(config.name)
          ? Promise.resolve({ code: 161 })
          : this.#start(config, options),
    );
  }

  async #start(
    config: ResourceConfig,
    options: CreateOptions,
  ): Promise<CommandReply> {
    const { name } = config;
    const socket = `${this.options.runDir}/${fileName(name)}.nbd`;
    await Deno.remove(socket).catch(() => {});
    const listen: ExportPlace[] = [{ path: socket }];
    const { exportAddress } = options;
    if (exportAddress !== undefined) listen.push(placeOf(exportAddress));
    const spec = this.#specOf(config, listen);
    if ("code" in spec) return spec;
    const process = new ResourceProcess(
      spec,
      (message) => this.#news.heard(name, message),
      this.options.workerEntry,
    );
    const running: Running = {
      config,
      options,
      process,
      greeted: new GreetedOptions(netOf(config)),
      socket,
      exports: exportUris(spec, socket, exportAddress),
      usesNodes: options.deviceNodes,
      states: new Map(),
      renewing: Promise.resolve(undefined),
    };
    try {
      await process.started;
    } catch (error) {
      await process.stop();
      return { code: 20, why: messageOf(error) };
    }
    this.#running.set(name, running);
    this.#watch(name, running);
    for (const volume of spec.volumes) {
      this.#tell({ resource: name, volume: volume.volume, kind: "create" });
    }
    return { code: 1 };
  }

  /** Let a resource run on with another configuration. */
  async configure(config: ResourceConfig): Promise<CommandReply> {
    const running = this.#running.get(config.name);
    if (running === undefined) return { code: 158 };
    const spec = this.#specOf(config, running.process.spec.listen);
    if ("code" in spec) return spec;
    const volumes = await running.process.status();
    const reply = await running.process.configure(spec);
    if (reply.code !== 1) return reply;
    running.config = config;
    running.greeted.change(netOf(config), volumes);
    this.#order.settle();
    return reply;
  }

  /** Make the connection anew, for options that are pending. */
  async reconnect(name: string): Promise<CommandReply> {
    const running = this.#running.get(name);
    if (running === undefined) return { code: 158 };
    return await reconnect(running.process, netOf(running.config).fencing);
  }

  /** Let a volume wait for the resync of another one, or no longer. */
  pauseForOther(name: string, volume: number, waits: boolean): void {
    const running = this.#running.get(name);
    running?.process.tell({ type: "dependency", volume, waits });
  }

  /** What a Worker runs; or why it cannot. */
  #specOf(
    config: ResourceConfig,
    listen: readonly ExportPlace[],
  ): ResourceSpec | CommandReply {
    const refusal = this.#order.refusal(config);
    if (refusal !== undefined) return refusal;
    const { registers, runDir } = this.options;
    try {
      return {
        ...specOf(config, { listen, identity: registers?.identity }),
        undoDir: this.options.undoDir ?? `${runDir}/undo`,
        sizesDir: this.options.sizesDir ?? `${runDir}/disks`,
      };
    } catch (error) {
      return { code: 162, why: messageOf(error) };
    }
  }

  /** Run a command; device nodes follow the role. */
  async command(name: string, request: CommandRequest): Promise<CommandReply> {
    const running = this.#running.get(name);
    if (running === undefined) return this.#absent(name);
    const { command, volume } = request;
    if (command.kind === "primary" && command.force) {
      this.options.registers?.confirm(name);
    }
    if (command.kind === "secondary") {
      const held = await this.#nodes.release(running);
      if (held !== undefined) return { code: -12, why: held };
    }
    const reply = await running.process.command(command, volume);
    const isPrimary = command.kind === "primary" && reply.code === 1;
    if (isPrimary || command.kind === "secondary" && reply.code !== 1) {
      const problem = await this.#nodes.make(running);
      if (this.#running.get(name) !== running) {
        await this.#nodes.abandon(running); // taken down while they were made
      }
      if (problem !== undefined) return { ...reply, why: problem };
    }
    if (command.kind === "resize" && reply.code === 1) {
      await running.renewing; // what the Worker said of it on its own
      const held = await this.#nodes.renew(running);
      const why = [reply.why, held].filter((text) => text !== undefined);
      if (why.length > 0) return { ...reply, why: why.join(". ") };
    }
    return reply;
  }

  #absent(name: string): CommandReply {
    const why = this.#revivals.whyDead(name);
    return why === undefined ? { code: 158 } : { code: 158, why };
  }

  /** End a resource: `down`. */
  remove(name: string): Promise<CommandReply> {
    this.#revivals.forget(name);
    return this.#turns.take(name, () => this.#remove(name));
  }

  async #remove(name: string): Promise<CommandReply> {
    const running = this.#running.get(name);
    if (running === undefined) return { code: 1 };
    const held = await this.#nodes.release(running);
    if (held !== undefined) return { code: -12, why: held };
    this.#running.delete(name);
    await running.process.stop();
    await Deno.remove(running.socket).catch(() => {});
    for (const { volume } of running.process.spec.volumes) {
      this.#tell({ resource: name, volume, kind: "destroy" });
    }
    return { code: 1 };
  }

  /** Who has a volume open, so that the daemon should not end. */
  async heldBy(): Promise<string | undefined> {
    for (const running of this.#running.values()) {
      const held = await this.#nodes.heldBy(running) ??
        await this.#nodes.openedBy(running);
      if (held !== undefined) return held;
    }
    return undefined;
  }

  /** Where everything stands. */
  async status(): Promise<MirrorStatus> {
    const resources = [...this.#running.values()].map((running) =>
      this.#statusOf(running)
    );
    return {
      version: this.options.version,
      pid: Deno.pid,
      resources: await Promise.all(resources),
      fallen: this.#revivals.fallen,
    };
  }

  /** What a resource was started with; undefined: it does not run. */
  configOf(name: string): ResourceConfig | undefined {
    return this.#running.get(name)?.config;
  }

  /** Protocol of a resource; undefined when it does not run. */
  protocolOf(name: string): "A" | "B" | "C" | undefined {
    const spec = this.#running.get(name)?.process.spec;
    return spec?.volumes[0]?.config.protocol;
  }

  /** Hear every event from now on, until the returned function is called. */
  listen(listener: (event: MirrorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** End everything. */
  async close(): Promise<void> {
    this.#revivals.close();
    for (const name of [...this.#running.keys()]) {
      const reply = await this.remove(name);
      if (reply.code === 1) continue;
      await this.#running.get(name)?.process.stop();
      this.#running.delete(name);
    }
  }

  async #statusOf(running: Running): Promise<ResourceStatus> {
    const { config, process, exports, greeted } = running;
    const { spec } = process;
    const volumes = await process.status();
    return {
      resource: config.name,
      node: spec.node,
      peerNode: spec.peerNode,
      local: `${spec.local.hostname}:${spec.local.port}`,
      remote: `${spec.remote.hostname}:${spec.remote.port}`,
      exports: [...exports],
      pending: greeted.pending,
      volumes: volumes.map(({ generations, ...volume }) => ({
        ...volume,
        generations: generations && [...generations],
        deviceNode: this.#nodes.pathOf(running, volume.volume),
      })),
    };
  }

  #tell(event: Omit<MirrorEvent, "atMs">): void {
    const told = { atMs: Date.now(), ...event };
    this.#order.heard(told);
    for (const listener of this.#listeners) listener(told);
  }

  #watch(name: string, running: Running): void {
    running.process.died.then((why) => {
      if (this.#running.get(name) !== running) return;
      this.#running.delete(name);
      this.#order.forget(name);
      for (const { volume } of running.process.spec.volumes) {
        this.#tell({ resource: name, volume, kind: "destroy" });
      }
      // Or the next one finds its sockets taken, and its device nodes.
      const gone = running.process.stop()
        .then(() => this.#nodes.abandon(running))
        .catch((error) => this.options.log.warn(`${name}: ${error}`));
      this.#revivals.fell({ ...running, why, gone });
    });
  }
}

/** What is said to the peer; that of the resource where there is no peer. */
function netOf({ peers, net }: ResourceConfig): NetOptions {
  return peers[0]?.net ?? net;
}
