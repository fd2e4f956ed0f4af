/**
 * Lets device nodes follow the roles of a resource's volumes.
 *
 * @module
 */

import type { ResourceProcess } from "./resource_process.ts";
import { becomesSo } from "./device_node_tools.ts";

/** Makes and removes the device nodes that people open. */
export interface DeviceNodes {
  /**
   * Make the node of a volume that became Primary; mend it when it is there.
   *
   * @returns Its path.
   * @throws {Error} Naming what is missing.
   */
  appear(volume: DeviceNodeOf): Promise<string>;
  /** Why the node cannot go: somebody has it open. Undefined: it can. */
  heldBy(volume: DeviceNodeOf): Promise<string | undefined>;
  /**
   * Remove the node, if there is one.
   *
   * @throws {Error} When somebody opened it meanwhile: it stays.
   */
  vanish(volume: DeviceNodeOf): Promise<void>;
  /** Remove the node although it is held: its holders get errors. */
  abandon(volume: DeviceNodeOf): Promise<void>;
  /** Path of the node now. */
  pathOf(volume: DeviceNodeOf): string | undefined;
  /** Size of the node in bytes; undefined: there is none. */
  sizeOf(volume: DeviceNodeOf): number | undefined;
}

/** Which node. */
export interface DeviceNodeOf {
  readonly resource: string;
  readonly volume: number;
  /** The name that people use, such as `/dev/drbd1`. */
  readonly device: string;
  readonly minor: number;
  /** Unix socket of the export. */
  readonly socket: string;
  readonly exportName: string;
}

/** A resource that runs, as far as nodes need it. */
export interface WithNodes {
  readonly process: Pick<ResourceProcess, "spec" | "status">;
  /** Unix socket of its exports. */
  readonly socket: string;
  readonly exports: readonly string[];
  /** Whether it wants nodes. */
  readonly usesNodes: boolean;
}

/** A node's size may be cut to whole blocks of this many bytes. */
const NODE_GRAIN_BYTES = 4096;

/** NBD has no way to tell a client. */
const OLD_CLIENTS = "NBD clients that are connected keep the old size; they " +
  "see the new one when they connect again";

/** How long a Worker may take to see that our own client has left, in ms. */
const CLOSE_MS = 2_000;

/** How long a Worker may take to tell its roles behind a promotion, in ms. */
const PROMOTED_MS = 30_000;

/** The nodes of all resources of a host. */
export class NodeKeeper {
  constructor(readonly nodes: DeviceNodes | undefined) {}

  /** Path of a volume's node, if there is one. */
  pathOf(running: WithNodes, volume: number): string | undefined {
    return this.nodes?.pathOf(nodeOf(running, volume));
  }

  /** Who has a node of the resource open. */
  async heldBy(running: WithNodes): Promise<string | undefined> {
    for (const node of nodesOf(running)) {
      const held = await this.nodes?.heldBy(node);
      if (held !== undefined) return held;
    }
    return undefined;
  }

  /** NBD clients that are no node of ours. */
  async openedBy(running: WithNodes): Promise<string | undefined> {
    const open = (await running.process.status()).find((
      { volume, openCount },
    ) => openCount > 0 && this.pathOf(running, volume) === undefined);
    if (open === undefined) return undefined;
    const { resource, volume, openCount } = open;
    const who = openCount === 1 ? "An NBD client has" : "NBD clients have";
    return `${who} ${resource}/${volume} open: end that first`;
  }

  /**
   * Remove all nodes before a demotion: what makes them holds the export open.
   *
   * @returns Why one cannot go; then all are there.
   */
  async release(running: WithNodes): Promise<string | undefined> {
    const { nodes } = this;
    const all = nodesOf(running)
      .filter((node) => nodes?.pathOf(node) !== undefined);
    if (nodes === undefined || all.length === 0) return undefined;
    const held = await this.heldBy(running);
    if (held !== undefined) return held;
    try {
      for (const node of all) await nodes.vanish(node);
    } catch (error) {
      await this.make(running);
      return messageOf(error);
    }
    // Anybody else who has it open is the command's business.
    await becomesSo(async () => {
      const volumes = await running.process.status();
      return volumes.every(({ openCount }) => openCount === 0);
    }, CLOSE_MS);
    return undefined;
  }

  /**
   * Make the node of every Primary volume.
   *
   * @returns What to tell when one could not be made.
   */
  async make(running: WithNodes): Promise<string | undefined> {
    if (this.nodes === undefined || !running.usesNodes) return undefined;
    // An old answer would not know of the promotion that this is for.
    for (const status of await running.process.status(PROMOTED_MS)) {
      if (status.state.role !== "Primary") continue;
      const node = nodeOf(running, status.volume);
      try {
        await this.nodes.appear(node);
      } catch (error) {
        return `Primary, but ${node.device} could not be made: ${
          messageOf(error)
        }. The export is at ${running.exports[0] ?? ""}`;
      }
    }
    return undefined;
  }

  /**
   * Make the nodes again for a volume that has grown: theirs is the size that
   * they were made with.
   *
   * @returns What to tell when one could not be.
   */
  async renew(running: WithNodes): Promise<string | undefined> {
    const told: string[] = [];
    for (const status of await running.process.status()) {
      const why = await this.#renewOne(nodeOf(running, status.volume), status);
      if (why !== undefined) told.push(why);
    }
    const problem = await this.make(running);
    if (problem !== undefined) told.push(problem);
    return told.length === 0 ? undefined : told.join(". ");
  }

  /** The same, on the Worker's word: the peer may have asked for the size. */
  renewLater(
    running: WithNodes & { renewing: Promise<string | undefined> },
    tell: (why: string) => void,
  ): void {
    running.renewing = running.renewing
      .then(() => this.renew(running))
      .catch(messageOf);
    running.renewing.then((why) => why !== undefined && tell(why));
  }

  /** Take away a node that is too small; the reason why it cannot go. */
  async #renewOne(
    node: DeviceNodeOf,
    { sizeBytes, openCount }: {
      readonly sizeBytes: number;
      readonly openCount: number;
    },
  ): Promise<string | undefined> {
    const has = this.nodes?.sizeOf(node);
    if (this.nodes === undefined || has === undefined) {
      return openCount === 0 ? undefined : OLD_CLIENTS;
    }
    if (has + NODE_GRAIN_BYTES > sizeBytes) return undefined;
    const keepsOld = (held: string) =>
      `${held}. ${node.device} keeps its old size until then: close it, and ` +
      `run "drbdadm resize ${node.resource}" once more`;
    const held = await this.nodes.heldBy(node);
    if (held !== undefined) return keepsOld(held);
    try {
      await this.nodes.vanish(node);
    } catch (error) {
      return keepsOld(messageOf(error));
    }
    return undefined;
  }

  /** The export is gone, or no longer ours to write: so are its nodes. */
  async abandon(running: WithNodes, volume?: number): Promise<void> {
    for (const node of nodesOf(running)) {
      if (volume !== undefined && node.volume !== volume) continue;
      await this.nodes?.abandon(node);
    }
  }
}

function nodesOf(running: WithNodes): DeviceNodeOf[] {
  return running.process.spec.volumes
    .map(({ volume }) => nodeOf(running, volume));
}

function nodeOf({ process, socket }: WithNodes, volume: number): DeviceNodeOf {
  const { spec } = process;
  const found = spec.volumes.find((each) => each.volume === volume);
  const isOnly = spec.volumes.length === 1;
  return {
    resource: spec.resource,
    volume,
    device: found?.device ?? `/dev/drbd${volume}`,
    minor: found?.minor ?? volume,
    socket,
    exportName: isOnly ? spec.resource : `${spec.resource}/${volume}`,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
