/**
 * The block devices that people open: `/dev/drbd1` appears when a volume is
 * promoted and goes when it is demoted.
 *
 * ```text
 * /dev/drbd1 = /dev/nbdN     where the kernel has the nbd driver
 * /dev/drbd1 = /dev/loopN    elsewhere, over nbdfuse
 * ```
 *
 * A killed daemon leaves nodes that answer EIO; each is on record in a folder
 * of its own below `RUN_DIR/nodes`, so that the next daemon removes them.
 *
 * @module
 */

import { z } from "zod";
import type { Log } from "../../ports.ts";
import {
  attachFuse,
  detachLoop,
  endFuse,
  isAttached,
  standsOn,
} from "./device_node_fuse.ts";
import { blockOf, holderOf, numberOf } from "./device_node_holders.ts";
import {
  attachKernel,
  detachKernel,
  hasKernelNbd,
  isConnected,
} from "./device_node_kernel.ts";
import { isThere, namesIn, runProgram, textAt } from "./device_node_tools.ts";
import type { DeviceNodeOf, DeviceNodes } from "./device_node_keeper.ts";

/** What nodes need. */
export interface HostDeviceNodesOptions {
  /** Folder of the daemon's sockets; exists. */
  readonly runDir: string;
  readonly log: Log;
}

/** A node as it is on record. */
const Node = z.object({
  /** The name that people use. */
  device: z.string(),
  /** The block device behind it. */
  block: z.string(),
  way: z.enum(["kernel", "fuse"]),
  /** Of the system's start: after the next one the numbers mean nothing. */
  bootId: z.string(),
});
type Node = z.infer<typeof Node>;

/** The nodes of this host: see the module comment. */
export class HostDeviceNodes implements DeviceNodes {
  readonly #folder: string;
  readonly #log: Log;
  readonly #nodes = new Map<number, Node>();
  /** One change after the other: programs in between take their time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ runDir, log }: HostDeviceNodesOptions) {
    // The kernel's lists have paths without links.
    this.#folder = `${Deno.realPathSync(runDir)}/nodes`;
    this.#log = log;
  }

  appear(volume: DeviceNodeOf): Promise<string> {
    return this.#inTurn(() => this.#appear(volume));
  }

  heldBy(volume: DeviceNodeOf): Promise<string | undefined> {
    return this.#inTurn(() => {
      const node = this.#nodes.get(volume.minor);
      return Promise.resolve(node === undefined ? node : holderOf(node));
    });
  }

  vanish(volume: DeviceNodeOf): Promise<void> {
    return this.#inTurn(() => this.#vanish(volume.minor));
  }

  pathOf({ minor }: DeviceNodeOf): string | undefined {
    return this.#nodes.get(minor)?.device;
  }

  abandon({ minor }: DeviceNodeOf): Promise<void> {
    return this.#inTurn(() => this.#abandon(minor));
  }

  /** Remove what a daemon that was killed has left in this folder. */
  cleanUp(): Promise<void> {
    return this.#inTurn(async () => {
      for (const name of namesIn(this.#folder)) {
        const node = readRecord(`${this.#folder}/${name}`);
        if (node !== undefined) this.#nodes.set(Number(name), node);
        this.#log.warn("removing the device node of a daemon that was killed", {
          device: node?.device ?? `minor ${name}`,
        });
        await this.#abandon(Number(name));
      }
    });
  }

  /** Remove all nodes, also those that are held: their holders get errors. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      for (const minor of [...this.#nodes.keys()]) await this.#abandon(minor);
    });
  }

  async #appear(volume: DeviceNodeOf): Promise<string> {
    const { device, minor } = volume;
    const known = this.#nodes.get(minor);
    if (known !== undefined && isLive(known)) {
      if (!isNamed(known)) await giveName(known);
      return device;
    }
    if (Deno.uid() !== 0) throw new Error("only root can make device nodes");
    if (known !== undefined) await this.#abandon(minor);
    refuseStranger(device);
    const attached = await this.#attach(volume);
    const node: Node = { device, ...attached, bootId: bootId() };
    this.#nodes.set(minor, node);
    try {
      await writeRecord(this.#folderOf(minor), node);
      await giveName(node);
    } catch (error) {
      await this.#abandon(minor);
      throw error;
    }
    return device;
  }

  async #attach(volume: DeviceNodeOf): Promise<Pick<Node, "block" | "way">> {
    const { socket, exportName, minor } = volume;
    if (hasKernelNbd()) {
      try {
        const { block } = await attachKernel({ socket, exportName });
        return { block, way: "kernel" };
      } catch (error) {
        this.#log.warn("the kernel's nbd driver is of no use, trying nbdfuse", {
          error: error instanceof Error ? error.message : String(error),
        });
      }
    }
    const uri = `nbd+unix:///${encodeURIComponent(exportName)}?socket=${
      encodeURIComponent(socket)
    }`;
    const folder = this.#folderOf(minor);
    return { block: (await attachFuse({ folder, uri })).block, way: "fuse" };
  }

  /** In order: only when nobody has it open. */
  async #vanish(minor: number): Promise<void> {
    const node = this.#nodes.get(minor);
    if (node === undefined) return;
    await takeName(node);
    const isGone = node.way === "kernel"
      ? holderOf(node) === undefined && await detachKernel(node.block)
      : await detachLoop(node.block);
    if (!isGone) {
      await giveName(node);
      throw new Error(holderOf(node) ?? `${node.device} is in use`);
    }
    this.#nodes.delete(minor);
    await endFuse(this.#folderOf(minor));
  }

  /** Whatever is open: the node goes, and its holders get errors. */
  async #abandon(minor: number): Promise<void> {
    const folder = this.#folderOf(minor);
    const node = this.#nodes.get(minor);
    this.#nodes.delete(minor);
    try {
      if (node !== undefined) await release(node, folder);
      await endFuse(folder);
    } catch (error) {
      this.#log.warn("a device node is left behind", {
        device: node?.device ?? `minor ${minor}`,
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }

  #folderOf(minor: number): string {
    return `${this.#folder}/${minor}`;
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#last.then(change);
    this.#last = done.catch(() => {});
    return done;
  }
}

/** Without the name; without the device as soon as nobody has it open. */
async function release(node: Node, folder: string): Promise<void> {
  await takeName(node);
  if (node.way === "kernel") await detachKernel(node.block);
  else if (standsOn(node.block, folder)) await detachLoop(node.block);
}

function isLive({ way, block }: Node): boolean {
  return way === "kernel" ? isConnected(block) : isAttached(block);
}

/** @throws {Error} When something that is not ours has the node's name. */
function refuseStranger(device: string): void {
  if (!device.startsWith("/dev/") || device.includes("/../")) {
    throw new Error(`${device} is not below /dev`);
  }
  if (!isThere(device)) return;
  const block = blockOf(device);
  const isStale = block !== undefined && /^\/dev\/(loop|nbd)\d+$/.test(block) &&
    !isAttached(block) && !isConnected(block);
  if (isStale) return;
  throw new Error(
    `there is a ${device} of somebody else: remove it, or configure another ` +
      "device",
  );
}

/**
 * Give the device its name, in one step: as a node of its own, because `mount`
 * lists what a link leads to instead of the link.
 */
async function giveName({ device, block }: Node): Promise<void> {
  const fresh = `${device}.new`;
  await Deno.remove(fresh).catch(() => {});
  const [major = "", minor = ""] = numberOf(block).split(":");
  const made = await runProgram("mknod", "-m", "660", fresh, "b", major, minor);
  // A container may open nodes, but not make them.
  if (!made.ok) await Deno.symlink(block, fresh);
  await Deno.rename(fresh, device);
}

async function takeName(node: Node): Promise<void> {
  if (isNamed(node)) await Deno.remove(node.device).catch(() => {});
}

function isNamed({ device, block }: Node): boolean {
  return blockOf(device) === block;
}

async function writeRecord(folder: string, node: Node): Promise<void> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(`${folder}/node.json`, JSON.stringify(node));
}

function readRecord(folder: string): Node | undefined {
  try {
    const node = Node.parse(JSON.parse(textAt(`${folder}/node.json`)));
    return node.bootId === bootId() ? node : undefined;
  } catch {
    return undefined;
  }
}

function bootId(): string {
  return textAt("/proc/sys/kernel/random/boot_id").trim();
}
