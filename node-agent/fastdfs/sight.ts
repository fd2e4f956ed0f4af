/**
 * The cluster at one moment, with FastDFS's choices: who takes an upload, who is
 * asked for a file. Draws and turns are used up one after the other.
 *
 * @module
 */

import { isIP } from "node:net";
import { ownerOf } from "@kedge/schema/register";
import type { FileEntry } from "@kedge/schema/change";
import { type FileId, parseFileId } from "@kedge/schema/file-id";
import type {
  FastdfsDraw,
  FastdfsGroup,
  FastdfsNode,
  FastdfsView,
} from "@kedge/schema/fastdfs-view";
import type { IpBytes, StorageAddress } from "@kedge/schema/wire/fastdfs";

/** A member that FastDFS's clients can reach. */
export interface Reachable extends FastdfsNode {
  readonly address: NonNullable<FastdfsNode["address"]>;
}

/** See the module comment. */
export class Sight {
  readonly groups: readonly FastdfsGroup[];
  /** Width of addresses in answers. */
  readonly ipBytes: IpBytes;
  /** How a store path is chosen, as FastDFS numbers it. */
  readonly storePathRule: 0 | 2;
  readonly #draws: readonly FastdfsDraw[];
  readonly #readable = new Map<FastdfsGroup, Reachable[]>();
  #turn = 0;

  /** What a tracker said. */
  constructor(view: FastdfsView) {
    this.groups = view.groups;
    this.#draws = view.draws;
    this.storePathRule = view.storePath === "load_balance" ? 2 : 0;
    const isWide = view.groups.some(({ nodes }) =>
      nodes.some(({ address }) => isIP(address?.hostname ?? "") === 6)
    );
    this.ipBytes = isWide ? 46 : 16;
  }

  /** A group by its name. */
  group(name: string): FastdfsGroup | undefined {
    return this.groups.find(({ register }) => register.group === name);
  }

  /** Where the next upload goes; `undefined` is nowhere. */
  draw(group?: FastdfsGroup): FastdfsDraw | undefined {
    const draws = group?.draws ?? this.#draws;
    return draws[this.#turn++ % Math.max(1, draws.length)];
  }

  /** Whether only the lack of room keeps everybody from taking uploads. */
  get isFull(): boolean {
    return this.groups.some(({ isFull }) => isFull);
  }

  /** A member that can be reached. */
  member(group: FastdfsGroup, node: number): Reachable | undefined {
    const member = group.nodes.find((one) => one.node === node);
    return member !== undefined && isReachable(member) ? member : undefined;
  }

  /** Members that take uploads, of the group's draws. */
  writable(group: FastdfsGroup): Reachable[] {
    const drawn = new Set(group.draws.map(({ node }) => node));
    return group.nodes.filter(isReachable)
      .filter((member) =>
        drawn.has(member.node) ||
        (member.alive && member.insync && member.mode === "active")
      );
  }

  /**
   * Members that answer reads: those in sync, then anybody who lives. When all
   * are silent it may be the tracker that was away, and anybody is asked.
   */
  readable(group: FastdfsGroup): readonly Reachable[] {
    const known = this.#readable.get(group) ?? readableOf(group);
    this.#readable.set(group, known);
    return known;
  }

  /**
   * Who is asked for a file first. Any member can answer: it fetches what it
   * lacks. Files that can change are best read where they are changed.
   */
  reader(group: FastdfsGroup, name: string): Reachable | undefined {
    const readable = this.readable(group);
    const id = parseFileId(`${group.register.group}/${name}`);
    if (id?.kind === "appender" || id?.kind === "derived") {
      const owner = this.#ownerOf(group, id);
      const first = readable.find(({ node }) => node === owner);
      if (first !== undefined) return first;
    }
    return readable[this.#turn++ % Math.max(1, readable.length)];
  }

  /** Who makes a change: the owner, or anybody, who sends it on. */
  writer(group: FastdfsGroup, name: string): Reachable | undefined {
    const id = parseFileId(`${group.register.group}/${name}`);
    const owner = id && this.#ownerOf(group, id);
    const writable = this.writable(group);
    return writable.find(({ node }) => node === owner) ??
      writable[this.#turn++ % Math.max(1, writable.length)];
  }

  /** Address of the storage that made a file, as far as it is known. */
  ipOf({ id, origin }: Pick<FileEntry, "id" | "origin">): string {
    const named = parseFileId(id)?.origin;
    if (typeof named === "string") return named;
    for (const { nodes } of this.groups) {
      const member = nodes.filter(isReachable)
        .find(({ node }) => node === origin);
      if (member !== undefined) return member.address.hostname;
    }
    return "";
  }

  #ownerOf({ register }: FastdfsGroup, { origin }: FileId): number | undefined {
    return typeof origin === "number"
      ? ownerOf(register, origin)
      : register.insync[0];
  }
}

function readableOf(group: FastdfsGroup): Reachable[] {
  const all = group.nodes.filter(isReachable);
  const alive = all.filter((member) => member.alive);
  const insync = alive.filter((member) => member.insync);
  return [insync, alive, all].find((some) => some.length > 0) ?? [];
}

/** An address as packets carry it. */
export function wireAddress({ address }: Reachable): StorageAddress {
  return { ip: address.hostname, port: address.port };
}

/** Whether clients can be sent there: packets carry no names. */
export function isReachable(member: FastdfsNode): member is Reachable {
  return member.address !== null && isIP(member.address.hostname) !== 0;
}
