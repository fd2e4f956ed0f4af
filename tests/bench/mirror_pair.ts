/**
 * Two mirror daemons as processes, with one resource between them: node `a` is
 * Primary, both disks are UpToDate.
 *
 * @module
 */

import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
import {
  type CommandReply,
  type MirrorCommand,
  MirrorStatus,
  type VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import { createMetadata } from "../../node-agent/mirror/meta/create_metadata.ts";
import { openDevices } from "../../node-agent/mirror/meta/open_disk.ts";
import { Child } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import type { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";
import { writtenFile } from "./images.ts";
import { freePort } from "./peers.ts";

/** Name of the resource. */
const RESOURCE = "bench";
/** A resync of a large image on a busy machine. */
const RESYNC_MS_MAX = 120_000;

/** What kind of pair. */
export interface PairOptions {
  readonly protocol: "A" | "B" | "C";
  /** Folder of the images. */
  readonly dir: string;
  /** Size of a backing file, in bytes; its end holds the metadata. */
  readonly imageBytes: number;
  /** More lines for the `net` section. */
  readonly net?: string;
  /** More lines for the `disk` section. */
  readonly disk?: string;
  /** Flags of the daemons' `deno run`, for a profile. */
  readonly denoFlags?: readonly string[];
  /** A disk that exists already, instead of a new image. */
  readonly disks?: Partial<Record<"a" | "b", string>>;
  /** Do not connect: the Primary runs alone. */
  readonly isAlone?: boolean;
}

/** One daemon. */
export class MirrorNode {
  readonly #client: Deno.HttpClient;

  constructor(
    readonly name: "a" | "b",
    readonly child: Child,
    readonly socket: string,
    readonly image: string,
  ) {
    this.#client = Deno.createHttpClient({
      proxy: { transport: "unix", path: socket },
    });
  }

  /** Let the resource do something. */
  async command(command: MirrorCommand): Promise<CommandReply> {
    const path = `resources/${RESOURCE}/commands`;
    return await this.#ask("POST", path, { command }) as CommandReply;
  }

  /** As {@link command}. @throws {Error} When it is refused. */
  async must(command: MirrorCommand): Promise<void> {
    const reply = await this.command(command);
    if (reply.code === 1) return;
    const what = `${command.kind} on ${this.name}`;
    throw new Error(`${what}: ${reply.code} ${reply.why ?? ""}`);
  }

  /** Define the resource. */
  async create(conf: string): Promise<void> {
    const config = resolveResource(parseDrbdText(conf), {
      host: this.name,
      resourceName: RESOURCE,
    });
    const body = { config, deviceNodes: false };
    const reply = await this.#ask("PUT", `resources/${RESOURCE}`, body);
    const { code, why } = reply as CommandReply;
    if (code !== 1) throw new Error(`create on ${this.name}: ${code} ${why}`);
  }

  /** Where the volume stands. */
  async volume(): Promise<VolumeStatus> {
    const { resources } = MirrorStatus.parse(
      await this.#ask("GET", "resources"),
    );
    const volume = resources[0]?.volumes[0];
    if (volume === undefined) throw new Error("there is no volume");
    return volume;
  }

  /** Its events from now on, a line of JSON each. */
  async events(): Promise<ReadableStream<Uint8Array>> {
    const url = "http://localhost/v1/events";
    const { body } = await fetch(url, { client: this.#client });
    if (body === null) throw new Error(`${this.name} tells no events`);
    return body;
  }

  /** End it politely. */
  async stop(): Promise<void> {
    this.#client.close();
    await this.child.stop();
  }

  async #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await fetch(`http://localhost/v1/${path}`, {
      method,
      client: this.#client,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await answer.json();
  }
}

/** Two daemons. */
export interface MirrorPair {
  readonly a: MirrorNode;
  readonly b: MirrorNode;
  readonly uri: string;
  readonly pids: readonly number[];
}

/** Start a pair whose disks are equal. */
export async function startPair(
  scope: Scope,
  options: PairOptions,
): Promise<MirrorPair> {
  const runDir = await scope.tempDir();
  const a = await startNode(scope, "a", runDir, options);
  const b = await startNode(scope, "b", runDir, options);
  const conf = confOf(options, [a.image, b.image]);
  for (const node of [a, b]) {
    await node.create(conf);
    await node.must({ kind: "attach" });
  }
  await a.must({ kind: "primary", force: true });
  if (options.isAlone !== true) {
    await connect(a, b);
    await untilEqual(a);
  }
  const uri = `nbd+unix:///${RESOURCE}?socket=${runDir}/a/${RESOURCE}.nbd`;
  return { a, b, uri, pids: [a.child.pid, b.child.pid] };
}

/** Connect both. */
export async function connect(a: MirrorNode, b: MirrorNode): Promise<void> {
  for (const node of [a, b]) {
    const how = { discardMyData: false, tentative: false };
    await node.must({ kind: "connect", ...how });
  }
}

/** Wait until both disks are UpToDate. */
export async function untilEqual(a: MirrorNode): Promise<void> {
  await eventually(async () => {
    const { state } = await a.volume();
    return state.connection === "Connected" && state.peerDisk === "UpToDate";
  }, { what: "equal disks", deadlineMs: RESYNC_MS_MAX, pauseMs: 5 });
}

async function startNode(
  scope: Scope,
  name: "a" | "b",
  runDir: string,
  options: PairOptions,
): Promise<MirrorNode> {
  const image = options.disks?.[name] ??
    await writtenFile(scope, options.dir, options.imageBytes);
  createMeta(image);
  const child = Child.start(scope, {
    command: [
      Deno.execPath(),
      ...["run", "-A", "--quiet", ...options.denoFlags ?? []],
      ...[`${ROOT}tests/bench/mirror_node.ts`, `${runDir}/${name}`],
    ],
  });
  const { socket } = JSON.parse(await child.line(/"socket"/));
  return new MirrorNode(name, child, socket, image);
}

function createMeta(image: string): void {
  const placement = { kind: "internal" } as const;
  const devices = openDevices({ dataPath: image, placement });
  if ("problem" in devices) throw new Error(devices.problem.text);
  const made = createMetadata(devices.source, { isConfirmed: true });
  devices.close();
  if (made.kind !== "created") throw new Error(`create-md: ${made.kind}`);
}

function confOf(
  { protocol, net = "", disk = "" }: PairOptions,
  [imageA, imageB]: readonly [string, string],
): string {
  const side = (name: string, image: string) =>
    `on ${name} { address 127.0.0.1:${freePort()}; disk ${image}; }`;
  return `
resource ${RESOURCE} {
  device /dev/drbd99 minor 99;
  meta-disk internal;
  net { protocol ${protocol}; max-buffers 131072; ${net} }
  disk { c-plan-ahead 0; resync-rate 4G; c-max-rate 4G; al-extents 1237; ${disk} }
  ${side("a", imageA)}
  ${side("b", imageB)}
}`;
}
