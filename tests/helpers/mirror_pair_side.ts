/**
 * One host of a mirrored pair: its daemon as a process, its disk, its commands.
 *
 * @module
 */

import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import {
  CommandReply,
  type MirrorCommand,
  MirrorStatus,
  type VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import { Child } from "./child.ts";
import { eventually } from "./eventually.ts";
import type { Scope } from "./scope.ts";
import { ROOT } from "./stack.ts";

/** Longest wait for a state, in milliseconds. */
const STATE_MS = 30_000;

/** What a side is made of. */
export interface SideParts {
  readonly name: "a" | "b";
  readonly runDir: string;
  /** Backing file or device, with its metadata inside. */
  readonly disk: string;
  /** The resource, resolved for this host. */
  readonly config: ResourceConfig;
  /** Words before the command of the daemon, such as `nsenter`. */
  readonly prefix: readonly string[];
  /** More environment variables of the daemon. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** See the module comment. */
export class MirrorSide {
  #child: Child | undefined;
  #client: Deno.HttpClient | undefined;

  constructor(readonly scope: Scope, readonly parts: SideParts) {
    scope.defer(() => this.#client?.close());
  }

  get name(): "a" | "b" {
    return this.parts.name;
  }

  /** Backing file or device. */
  get disk(): string {
    return this.parts.disk;
  }

  /** Unix socket of the export, while the resource is there. */
  get exportSocket(): string {
    return `${this.parts.runDir}/${this.parts.config.name}.nbd`;
  }

  /** URI of the export. */
  get uri(): string {
    return `nbd+unix:///${this.parts.config.name}?socket=${this.exportSocket}`;
  }

  /** The running process. */
  get child(): Child {
    if (this.#child === undefined) throw new Error(`${this.name} is down`);
    return this.#child;
  }

  /** Start the daemon. */
  async start(env: Record<string, string> = {}): Promise<void> {
    const [program, ...args] = [
      ...this.parts.prefix,
      ...[Deno.execPath(), "run", "-A", "--quiet"],
      ...[`${ROOT}tests/helpers/mirror_pair_daemon.ts`, this.parts.runDir],
    ];
    if (program === undefined) throw new Error("nothing to run");
    const child = Child.start(this.scope, {
      command: [program, ...args],
      env: { ...this.parts.env, ...env },
    });
    this.#child = child;
    const { socket } = JSON.parse(await child.line(/"socket"/, STATE_MS)) as {
      readonly socket: string;
    };
    this.#client?.close();
    this.#client = Deno.createHttpClient({
      proxy: { transport: "unix", path: socket },
    });
  }

  /** Daemon, resource, disk, connection: everything but the role. */
  async up(): Promise<void> {
    await this.start();
    await this.create();
    await this.must({ kind: "attach" });
    await this.connect();
  }

  /** Define the resource. */
  async create(): Promise<void> {
    const { config } = this.parts;
    const path = `resources/${encodeURIComponent(config.name)}`;
    const body = { config, deviceNodes: false };
    const reply = CommandReply.parse(await this.#ask("PUT", path, body));
    if (reply.code !== 1) throw new Error(`create: ${JSON.stringify(reply)}`);
  }

  /** Let the resource run on with another configuration. */
  async configure(
    change: (config: ResourceConfig) => ResourceConfig,
  ): Promise<CommandReply> {
    const config = change(this.parts.config);
    const path = `resources/${encodeURIComponent(config.name)}/options`;
    return CommandReply.parse(await this.#ask("POST", path, { config }));
  }

  /** Make the connection anew, for options that are pending. */
  async reconnect(): Promise<CommandReply> {
    const name = encodeURIComponent(this.parts.config.name);
    const path = `resources/${name}/reconnect`;
    return CommandReply.parse(await this.#ask("POST", path));
  }

  /** Options that count from the next connection on. */
  async pending(): Promise<readonly string[]> {
    const status = MirrorStatus.parse(await this.#ask("GET", "resources"));
    return status.resources[0]?.pending ?? [];
  }

  /** Look for the peer. */
  connect(discardMyData = false): Promise<void> {
    return this.must({ kind: "connect", discardMyData, tentative: false });
  }

  /** Let the resource do something. */
  async command(command: MirrorCommand): Promise<CommandReply> {
    const name = encodeURIComponent(this.parts.config.name);
    const path = `resources/${name}/commands`;
    return CommandReply.parse(await this.#ask("POST", path, { command }));
  }

  /** As {@link command}. @throws {Error} When it is refused. */
  async must(command: MirrorCommand): Promise<void> {
    const reply = await this.command(command);
    if (reply.code === 1) return;
    throw new Error(
      `${command.kind} on ${this.name}: ${JSON.stringify(reply)}\n${this.log}`,
    );
  }

  /** Become Primary as soon as the rules allow it. */
  async promote(): Promise<void> {
    await eventually(
      async () => {
        const reply = await this.command({ kind: "primary", force: false });
        if (reply.code !== 1) throw new Error(JSON.stringify(reply));
        return true;
      },
      { what: `${this.name} to become Primary`, deadlineMs: STATE_MS },
    );
  }

  /** Become Secondary, once nobody holds the export open any more. */
  async demote(): Promise<void> {
    await eventually(
      async () => {
        const reply = await this.command({ kind: "secondary" });
        if (reply.code !== 1) throw new Error(JSON.stringify(reply));
        return true;
      },
      { what: `${this.name} to become Secondary`, deadlineMs: STATE_MS },
    );
  }

  /** Where the volume stands. */
  async volume(): Promise<VolumeStatus> {
    const status = MirrorStatus.parse(await this.#ask("GET", "resources"));
    const volume = status.resources[0]?.volumes[0];
    if (volume === undefined) throw new Error("there is no volume");
    return volume;
  }

  /** Wait until the volume is as wanted. */
  until(
    what: string,
    wanted: (volume: VolumeStatus) => boolean,
    deadlineMs: number = STATE_MS,
  ): Promise<VolumeStatus> {
    let last = "";
    return eventually(async () => {
      const volume = await this.volume();
      last = JSON.stringify(volume.state);
      return wanted(volume) ? volume : undefined;
    }, { what: `${what} on ${this.name}`, deadlineMs, pauseMs: 20 }).catch(
      (error) => {
        throw new Error(`${error.message}; it is ${last}\n${this.log}`);
      },
    );
  }

  /** Wait until it is connected and both disks are UpToDate. */
  untilEqual(deadlineMs: number = STATE_MS): Promise<VolumeStatus> {
    return this.until(
      "equal disks",
      ({ state }) =>
        state.connection === "Connected" && state.disk === "UpToDate" &&
        state.peerDisk === "UpToDate",
      deadlineMs,
    );
  }

  /** The last lines that the daemon printed. */
  get log(): string {
    const lines = this.#child?.err.slice(-25) ?? [];
    return lines.map((line) => `${this.name}: ${line}`).join("\n");
  }

  /** Not one instruction more. */
  async kill(): Promise<void> {
    await this.#child?.kill();
    this.#child = undefined;
    this.#client?.close();
    this.#client = undefined;
  }

  /** End it politely. */
  async stop(): Promise<void> {
    await this.#child?.stop();
    this.#child = undefined;
    this.#client?.close();
    this.#client = undefined;
  }

  async #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    if (this.#client === undefined) throw new Error(`${this.name} is down`);
    const answer = await fetch(`http://localhost/v1/${path}`, {
      method,
      client: this.#client,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await answer.json();
  }
}
