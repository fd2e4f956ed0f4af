/**
 * Two hosts with one mirrored resource between them: real daemons as processes,
 * each with its own folder, address and disk.
 *
 * ```text
 *  test ── NBD ──▶ daemon a ── TCP 127.x.y.1 ⇄ 127.x.y.2 ── daemon b
 *                     │                                        │
 *                  DIR/a.disk                               DIR/b.disk
 * ```
 *
 * @module
 */

import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
import { createMetadata } from "../../node-agent/mirror/meta/create_metadata.ts";
import { openDevices } from "../../node-agent/mirror/meta/open_disk.ts";
import { MirrorSide } from "./mirror_pair_side.ts";
import type { Scope } from "./scope.ts";

/** Name of the resource of every pair. */
export const RESOURCE = "mirror";

/** Size of a backing file when a test does not say, in bytes. */
export const DISK_BYTES: number = 32 * 1024 * 1024;

/** A generation that both sides have. */
const EQUAL = 0x1234_5678_9abc_def0n;

/** What kind of pair. */
export interface PairOptions {
  readonly protocol: "A" | "B" | "C";
  /** Size of both backing files, metadata included, in bytes. */
  readonly diskBytes?: number;
  /** More lines for the sections of drbd.conf. */
  readonly net?: string;
  readonly disk?: string;
  readonly options?: string;
  /** Lines for the section of handlers. */
  readonly handlers?: string;
  /** Disks that exist already, instead of new files: metadata is made there. */
  readonly disks?: { readonly a?: string; readonly b?: string };
  /** What new metadata says; "kept": the disks have theirs. Default: nothing. */
  readonly metadata?: "nothing" | "equal" | "kept";
  /** Where each host is; loopback addresses when missing. */
  readonly hosts?: Readonly<Record<"a" | "b", PairHost>>;
  /** More environment variables of the daemons. */
  readonly env?: Readonly<Record<"a" | "b", Record<string, string>>>;
  /** Where each host dials to reach the other one, instead of its address. */
  readonly dials?: Readonly<Record<"a" | "b", string>>;
}

/** Where a host is. */
export interface PairHost {
  readonly address: string;
  readonly prefix: readonly string[];
}

/** Port of the mirror on every address. */
export const MIRROR_PORT = 7790;

/** See the module comment. */
export interface MirrorPair {
  readonly a: MirrorSide;
  readonly b: MirrorSide;
  /** Folder of everything; it goes with the scope. */
  readonly dir: string;
}

/** Make a pair: disks have metadata, no process runs yet. */
export async function makePair(
  scope: Scope,
  options: PairOptions,
): Promise<MirrorPair> {
  const dir = await memoryDir(scope);
  const hosts = options.hosts ?? loopbackHosts();
  const disks = {
    a: options.disks?.a ?? await newDisk(`${dir}/a.disk`, options),
    b: options.disks?.b ?? await newDisk(`${dir}/b.disk`, options),
  };
  const { metadata = "nothing" } = options;
  if (metadata !== "kept") {
    const isEqual = metadata === "equal";
    for (const disk of Object.values(disks)) createMeta(disk, isEqual);
  }
  const side = (name: "a" | "b") => {
    const text = confOf(name, { options, hosts, disks });
    const config = resolveResource(parseDrbdText(text), {
      host: name,
      resourceName: RESOURCE,
    });
    const { prefix } = hosts[name];
    const runDir = `${dir}/${name}`;
    const env = options.env?.[name];
    const parts = { name, runDir, disk: disks[name], config, prefix, env };
    return new MirrorSide(scope, parts);
  };
  return { a: side("a"), b: side("b"), dir };
}

/** Make a pair that runs: `a` is Primary, both disks are UpToDate. */
export async function startPair(
  scope: Scope,
  options: PairOptions,
): Promise<MirrorPair> {
  const pair = await makePair(scope, options);
  const { a, b } = pair;
  await Promise.all([a.up(), b.up()]);
  await a.until(
    "a connection",
    ({ state }) => state.connection === "Connected",
  );
  await a.must({ kind: "primary", force: true });
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  return pair;
}

/**
 * Fresh metadata at the end of a disk.
 *
 * @param isEqual It says that the peer has the same data: no first resync.
 */
export function createMeta(disk: string, isEqual = false): void {
  const placement = { kind: "internal" } as const;
  const devices = openDevices({ dataPath: disk, placement });
  if ("problem" in devices) throw new Error(devices.problem.text);
  const made = createMetadata(devices.source, { isConfirmed: true });
  if (made.kind !== "created") throw new Error(`create-md: ${made.kind}`);
  if (isEqual) {
    made.meta.writeSuperblock({
      uuids: { current: EQUAL, bitmap: 0n, history: [0n, 0n] },
      flags: new Set(["AlClean", "Consistent", "WasUpToDate"]),
      laSizeSectors: made.meta.geometry.usableSectors,
    });
  }
  devices.close();
}

/** A folder in memory where there is one: flushes cost nothing there. */
export async function memoryDir(scope: Scope): Promise<string> {
  try {
    const dir = await Deno.makeTempDir({
      dir: "/dev/shm",
      prefix: "kedge-test-",
    });
    scope.defer(() => Deno.remove(dir, { recursive: true }));
    return dir;
  } catch {
    return await scope.tempDir();
  }
}

async function newDisk(path: string, options: PairOptions): Promise<string> {
  using file = await Deno.create(path);
  await file.truncate(options.diskBytes ?? DISK_BYTES);
  return path;
}

/** Two addresses that nobody else uses. */
function loopbackHosts(): Record<"a" | "b", PairHost> {
  const part = () => 1 + Math.floor(Math.random() * 253);
  const net = `127.${part()}.${part()}`;
  const host = (last: number) => ({ address: `${net}.${last}`, prefix: [] });
  return { a: host(1), b: host(2) };
}

/** The configuration as one host sees it. */
function confOf(
  self: "a" | "b",
  parts: {
    readonly options: PairOptions;
    readonly hosts: Readonly<Record<"a" | "b", PairHost>>;
    readonly disks: Readonly<Record<"a" | "b", string>>;
  },
): string {
  const { options, hosts, disks } = parts;
  const { protocol, net = "", disk = "", options: more = "" } = options;
  const { handlers = "" } = options;
  const on = (name: "a" | "b") => {
    const address = name === self
      ? `${hosts[name].address}:${MIRROR_PORT}`
      : options.dials?.[self] ?? `${hosts[name].address}:${MIRROR_PORT}`;
    return `on ${name} { address ${address}; disk ${disks[name]}; }`;
  };
  return `
resource ${RESOURCE} {
  device /dev/drbd199 minor 199;
  meta-disk internal;
  options { ${more} }
  handlers { ${handlers} }
  net { protocol ${protocol}; max-buffers 8192; ${net} }
  disk { c-plan-ahead 0; ${disk || "resync-rate 1G;"} }
  ${on("a")}
  ${on("b")}
}`;
}
