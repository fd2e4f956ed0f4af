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

import type { Log } from "../../ports.ts";
import {
  attachFuse,
  detachLoop,
  endFuse,
  isServed,
  loopsOn,
  standsOn,
} from "./device_node_fuse.ts";
import { holderOf, sysOf } from "./device_node_holders.ts";
import {
  attachKernel,
  detachKernel,
  hasKernelNbd,
  isConnected,
} from "./device_node_kernel.ts";
import type { DeviceNodeOf, DeviceNodes } from "./device_node_keeper.ts";
import {
  bootId,
  giveName,
  isNamed,
  type NodeRecord,
  readRecord,
  refuseStranger,
  takeName,
  writeRecord,
} from "./device_node_name.ts";
import { namesIn, textAt } from "./device_node_tools.ts";

/** What nodes need. */
export interface HostDeviceNodesOptions {
  /** Folder of the daemon's sockets; exists. */
  readonly runDir: string;
  readonly log: Log;
}

/** A node that is there. */
interface Live extends NodeRecord {
  /** Its own folder. */
  readonly folder: string;
  /**
   * The device, held open: the kernel frees a detached one at its last close,
   * and the next one who asks gets its number.
   */
  pin: Deno.FsFile | undefined;
}

/** The nodes of this host: see the module comment. */
export class HostDeviceNodes implements DeviceNodes {
  readonly #folder: string;
  readonly #log: Log;
  readonly #nodes = new Map<number, Live>();
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

  sizeOf({ minor }: DeviceNodeOf): number | undefined {
    const node = this.#nodes.get(minor);
    if (node === undefined) return undefined;
    const sectors = Number(textAt(`${sysOf(node.block)}/size`).trim());
    return Number.isSafeInteger(sectors) ? sectors * 512 : undefined;
  }

  abandon({ minor }: DeviceNodeOf): Promise<void> {
    return this.#inTurn(() => this.#abandon(minor));
  }

  /** Remove what a daemon that was killed has left in this folder. */
  cleanUp(): Promise<void> {
    return this.#inTurn(async () => {
      for (const name of namesIn(this.#folder)) {
        const folder = `${this.#folder}/${name}`;
        const record = readRecord(folder);
        this.#log.warn("removing the device node of a daemon that was killed", {
          device: record?.device ?? name,
        });
        await this.#drop(folder, record);
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
    if (known !== undefined && isLive(known) && isUsable(known)) {
      if (!isNamed(known)) await giveName(known);
      return device;
    }
    if (Deno.uid() !== 0) throw new Error("only root can make device nodes");
    await this.#abandon(minor);
    refuseStranger(device);
    const folder = `${this.#folder}/${minor}-${crypto.randomUUID()}`;
    const attached = await this.#attach(volume, folder);
    const record = { device, ...attached, bootId: bootId() };
    try {
      await writeRecord(folder, record);
      const pin = await Deno.open(record.block);
      this.#nodes.set(minor, { ...record, folder, pin });
      await giveName(record);
    } catch (error) {
      this.#nodes.delete(minor);
      await this.#drop(folder, record);
      throw error;
    }
    return device;
  }

  async #attach(
    { socket, exportName }: DeviceNodeOf,
    folder: string,
  ): Promise<Pick<NodeRecord, "block" | "way">> {
    if (hasKernelNbd()) {
      try {
        const { block } = await attachKernel({ socket, exportName });
        return { block, way: "kernel" };
      } catch (error) {
        this.#log.warn("the kernel's nbd driver is of no use, trying nbdfuse", {
          error: messageOf(error),
        });
      }
    }
    const uri = `nbd+unix:///${encodeURIComponent(exportName)}?socket=${
      encodeURIComponent(socket)
    }`;
    return { block: (await attachFuse({ folder, uri })).block, way: "fuse" };
  }

  /** In order: only when nobody has it open. */
  async #vanish(minor: number): Promise<void> {
    const node = this.#nodes.get(minor);
    if (node === undefined) return;
    await takeName(node);
    if (!await letGo(node)) {
      await giveName(node);
      throw new Error(holderOf(node) ?? `${node.device} is in use`);
    }
    this.#nodes.delete(minor);
    await endFuse(node.folder);
  }

  /** Whatever is open: the node goes, and its holders get errors. */
  async #abandon(minor: number): Promise<void> {
    const node = this.#nodes.get(minor);
    if (node === undefined) return;
    this.#nodes.delete(minor);
    node.pin?.close();
    await this.#drop(node.folder, node);
  }

  /** The device goes as soon as nobody has it open, all else at once. */
  async #drop(folder: string, record: NodeRecord | undefined): Promise<void> {
    try {
      if (record !== undefined) {
        await takeName(record);
        await detach(record, folder);
      }
      // A daemon that was killed between making it and its record.
      for (const block of loopsOn(folder)) await detachLoop(block, folder);
      await endFuse(folder);
    } catch (error) {
      this.#log.warn("a device node is left behind", {
        device: record?.device ?? folder,
        error: messageOf(error),
      });
    }
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#last.then(change);
    this.#last = done.catch(() => {});
    return done;
  }
}

/**
 * Free the device.
 *
 * @returns False: somebody else has it open, and it is as it was.
 */
async function letGo(node: Live): Promise<boolean> {
  if (node.way === "kernel" && holderOf(node) !== undefined) return false;
  node.pin?.close();
  node.pin = undefined;
  if (await detach(node, node.folder)) return true;
  node.pin = await Deno.open(node.block);
  // Whoever had it may have closed it before this opened it.
  if (isLive(node)) return false;
  node.pin.close();
  node.pin = undefined;
  return true;
}

function detach(
  { way, block }: NodeRecord,
  folder: string,
): Promise<boolean> {
  return way === "kernel" ? detachKernel(block) : detachLoop(block, folder);
}

function isLive({ way, block, folder }: Live): boolean {
  return way === "kernel" ? isConnected(block) : standsOn(block, folder);
}

/** Not so when its nbdfuse was killed: then it gives errors for ever. */
function isUsable({ way, folder }: Live): boolean {
  return way === "kernel" || isServed(folder);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
