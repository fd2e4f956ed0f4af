/**
 * What clients were told in a run, and whether it holds: the checkers.
 *
 * Content is unique numbers, so every byte that is read back says which change
 * it comes from. A change that was acknowledged is *excused* only when a fault
 * that its level does not survive took the last copy (promises.md §2.2).
 *
 * @module
 */

import type {
  GroupRegister,
  Level,
  NodeId,
  RegisterChange,
} from "@kedge/schema";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import type { LogPlace } from "../../node-agent/ports.ts";
import { comparePlaces } from "../../node-agent/sync/positions_core.ts";
import type { ReplicaEffect } from "../../node-agent/sync/replica_messages.ts";
import { type ChangeRequest } from "./client_requests.ts";
import type { CommitRequest, SimAgent } from "./sim_agent.ts";
import type { SimRecord, SimStore } from "./sim_store.ts";
import { Violation, type World } from "./world.ts";
import { checkRead, type Read } from "./read_checks.ts";

/** One change that a client tried. */
export interface Item {
  readonly kind: ChangeRequest["kind"];
  readonly id: string;
  readonly token: number;
  /** Level that was reached, once acknowledged. */
  level: Level | undefined;
  ackedMs: number;
  excused: boolean;
  /** Peers had to have it before it was acknowledged (if there were any). */
  readonly isShared: boolean;
}

type AnswerEffect = ReplicaEffect & { readonly kind: "answer" };

/** What takes data away. */
export type LossKind =
  | "power"
  | "power-all"
  | "wipe"
  | "set-back"
  | "disk-error";

/** Power cuts closer than this count as one, in ms. */
const TOGETHER_MS = 15_000;

/** See the module comment. */
export class History {
  readonly items: Item[] = [];
  readonly #byId = new Map<string, Item[]>();
  readonly #byToken = new Map<number, Item>();
  readonly #numbers = new Map<string, number>();
  readonly #collected = new Set<string>();
  #world: World | undefined;

  /** Called once, when the world is whole. */
  open(world: World): void {
    this.#world = world;
  }

  /** Items of one file. */
  of(id: string): readonly Item[] {
    return this.#byId.get(id) ?? [];
  }

  /** Whether some agent took this change already. */
  isAttempted(token: number): boolean {
    return this.#byToken.has(token);
  }

  /** A change is on its way. */
  attempted(agent: SimAgent, request: ChangeRequest, entry: FileEntry): void {
    if (this.#byToken.has(request.token)) return; // a retry
    const { kind, token } = request;
    const { id } = entry;
    const item: Item = {
      kind,
      id,
      token,
      level: undefined,
      ackedMs: Infinity,
      excused: false,
      isShared: request.level !== "A",
    };
    this.items.push(item);
    this.#byToken.set(token, item);
    const items = this.#byId.get(id);
    if (items === undefined) this.#byId.set(id, [item]);
    else items.push(item);
    agent.note(`${kind} ${id} v${entry.version} e${entry.epoch} #${token}`);
  }

  /** The client was told that it is done. */
  acknowledged(token: number, level: Level): void {
    const item = this.#byToken.get(token);
    if (item === undefined) throw new Error("an unknown change was answered");
    const { nowMs } = this.#mustWorld().scheduler;
    if (item.level === undefined || item.level < level) item.level = level;
    item.ackedMs = Math.min(item.ackedMs, nowMs);
  }

  /** Tombstones were forgotten. */
  collected(ids: readonly string[]): void {
    for (const id of ids) this.#collected.add(id);
  }

  // -------------------------------------------------- at every step (I3, I17)

  /** I17: a number never means two records. */
  numbered(agent: SimAgent, sequence: number, record: SimRecord): void {
    const { store, node } = agent;
    this.#number(agent, node, store.incarnation, sequence, record);
  }

  /** I17 on the receiving side. */
  applied(
    agent: SimAgent,
    place: {
      readonly origin: NodeId;
      readonly incarnation: number;
      readonly sequence: number;
      readonly record: SimRecord;
    },
  ): void {
    const { origin, incarnation, sequence, record } = place;
    this.#number(agent, origin, incarnation, sequence, record);
  }

  /**
   * I17: a position says that everything before it is held. Records that were
   * forgotten were never sent, so their states must be here, or something newer.
   */
  skipped(agent: SimAgent, origin: NodeId, upTo: LogPlace): void {
    const { agents } = this.#mustWorld();
    for (const place of agents.get(origin)?.store.forgotten ?? []) {
      const { entry } = place.record.change;
      if (comparePlaces(place, upTo) > 0 || place.record.isHole) continue;
      if (this.#collected.has(entry.id)) continue;
      const ours = agent.store.files.get(entry.id)?.entry;
      if (ours !== undefined && compareEntries(ours, entry) >= 0) continue;
      const name = `${origin}/${place.incarnation}/${place.sequence}`;
      agent.fail("I17", `skips record ${name} of ${entry.id}`);
    }
  }

  #number(
    agent: SimAgent,
    origin: NodeId,
    incarnation: number,
    sequence: number,
    record: SimRecord,
  ): void {
    const { config, agents } = this.#mustWorld();
    if (config.liar === origin - 1) return; // its disk forgets its numbers
    const store = agents.get(origin)?.store.id ?? "";
    const key = `${origin}/${store}/${incarnation}/${sequence}`;
    const known = this.#numbers.get(key);
    if (known === undefined) this.#numbers.set(key, record.serial);
    else if (known !== record.serial) {
      agent.fail("I17", `${key} means two records`);
    }
  }

  /** I3: an answer at B or C is true on every member of the in-sync set. */
  answered(
    agent: SimAgent,
    request: CommitRequest,
    effect: AnswerEffect,
  ): void {
    const world = this.#mustWorld();
    const { entry } = request.change;
    const mustHold = new Set(effect.holders);
    const { register } = world.kv;
    const member = register.members.find((one) => one.node === agent.node);
    const isCurrent = agent.core.register?.epoch === register.epoch;
    if (isCurrent && member?.store !== agent.store.id) {
      agent.fail(
        "I3",
        "answers with a database that the register does not name",
      );
    }
    if (
      request.level !== "A" &&
      world.kv.register.gen === agent.core.register?.gen
    ) {
      for (const node of world.kv.register.insync) mustHold.add(node);
    }
    for (const node of mustHold) {
      const holder = world.agents.get(node);
      if (holder === undefined) continue;
      this.#mustHave(agent, holder, request, effect.level);
    }
    if (effect.level !== "A" && effect.holders.length < 2) {
      agent.fail("I3", `${entry.id} claims ${effect.level} with one holder`);
    }
  }

  /**
   * I4: whoever is in the set holds everything that was acknowledged with the
   * set's word. Checked whenever the register changes.
   */
  registered(register: GroupRegister, change?: RegisterChange): void {
    const world = this.#mustWorld();
    if (change !== undefined && "by" in change) this.#actsItself(change.by);
    for (const node of register.insync) {
      const agent = world.agents.get(node);
      const member = register.members.find((one) => one.node === node);
      if (agent === undefined || agent.store.id !== member?.store) continue;
      this.#mustHaveAll(agent);
    }
  }

  /** Nobody acts for a set with a database that the set does not know. */
  #actsItself(node: NodeId): void {
    const world = this.#mustWorld();
    const agent = world.agents.get(node);
    const member = world.kv.register.members.find((one) => one.node === node);
    if (agent === undefined || agent.store.id === member?.store) return;
    // A request from before the wipe may arrive late.
    if (world.scheduler.nowMs - agent.wipedMs < 6000) return;
    agent.fail("I4", "acts for the set with another database");
  }

  #mustHaveAll(agent: SimAgent): void {
    const { config } = this.#mustWorld();
    // A disk that lied may have been the last one in the set: what it forgot is
    // on others, and comes back when they join.
    if (config.liar >= 0) return;
    // Set back, and not whole since: it counts for nobody yet.
    if (agent.wipedMs >= agent.wholeMs) return;
    // Power went since it was whole: it will leave, or ask around, by itself.
    const isSuspect = agent.lostPowerMs >= agent.wholeMs;
    for (const item of this.items) {
      if (!item.isShared || item.excused) continue;
      if (this.#isFragile(item)) continue;
      if (isSuspect && item.level !== "C") continue;
      if (item.ackedMs === Infinity || this.#has(agent.store, item)) continue;
      const file = agent.store.files.get(item.id);
      if (file !== undefined && file.content === undefined) continue;
      agent.fail(
        "I4",
        `in sync without ${item.kind} ${item.id} #${item.token}`,
      );
    }
  }

  /** At B, after power cuts of several nodes (or a lie): beyond the promise. */
  #isFragile(item: Item): boolean {
    if (item.level === "C") return false;
    const { agents, config } = this.#mustWorld();
    if (config.liar >= 0) return true;
    const losses = [...agents.values()].map((agent) => agent.lostPowerMs)
      .toSorted((a, b) => b - a);
    return item.ackedMs < (losses[1] ?? -Infinity) + 100;
  }

  #mustHave(
    agent: SimAgent,
    holder: SimAgent,
    request: CommitRequest,
    level: Level,
  ): void {
    const { config, scheduler } = this.#mustWorld();
    const { entry } = request.change;
    const isLiar = config.liar === holder.node - 1;
    const lostPower = scheduler.nowMs - holder.lostPowerMs < TOGETHER_MS;
    // What a power cut or a lying disk took is the business of lost().
    const wasWiped = scheduler.nowMs - holder.wipedMs < TOGETHER_MS;
    if (isLiar || wasWiped || (lostPower && level !== "C")) return;
    const file = holder.store.files.get(entry.id);
    if (file === undefined && this.#collected.has(entry.id)) return;
    const token = request.content?.at(-1);
    const hasIt = file !== undefined &&
      compareEntries(file.entry, entry) >= 0 &&
      (file.entry.state === "tombstone" || file.content === undefined ||
        token === undefined || file.content.includes(token));
    if (!hasIt) {
      agent.fail(
        "I3",
        `${entry.id} answered at ${level} but node ${holder.node} lacks it`,
      );
    }
    const isSame = file !== undefined &&
      compareEntries(file.entry, entry) === 0;
    if (level === "C" && isSame && holder.store.isUnflushed(entry.id)) {
      agent.fail(
        "I3",
        `${entry.id} answered at C but is not durable on ${holder.node}`,
      );
    }
  }

  // ------------------------------------------------------------ faults (I13)

  /** Which acknowledged changes exist on some disk. */
  existing(): Set<Item> {
    const { agents } = this.#mustWorld();
    const stores = [...agents.values()].map((agent) => agent.store);
    return new Set(
      this.items.filter((item) =>
        item.level !== undefined &&
        stores.some((store) => this.#has(store, item))
      ),
    );
  }

  /** A fault took data away: was it allowed to? */
  lost(before: ReadonlySet<Item>, kind: LossKind, node: NodeId): void {
    const world = this.#mustWorld();
    const after = this.existing();
    for (const item of before) {
      if (after.has(item) || item.excused) continue;
      if (!this.#mayLose(item, kind, node)) {
        throw new Violation(
          "I13",
          `${kind} of ${node} lost ${item.kind} ${item.id} #${item.token}, ` +
            `acknowledged at ${item.level}`,
          world.scheduler.nowMs,
        );
      }
      item.excused = true;
      world.mark("excused loss");
    }
  }

  #mayLose(item: Item, kind: LossKind, node: NodeId): boolean {
    const world = this.#mustWorld();
    if (item.level === "A") return true;
    const isDisk = kind === "wipe" || kind === "set-back";
    if (world.config.liar >= 0) return item.level !== "C" || isDisk;
    const { nowMs } = world.scheduler;
    const others = [...world.agents.values()].filter((agent) =>
      agent.node !== node && nowMs - agent.lostPowerMs < TOGETHER_MS
    );
    const alone = others.length === 0;
    if (item.level === "C") return isDisk && !alone;
    return kind === "power-all" || !alone;
  }

  #has(store: SimStore, item: Item): boolean {
    const file = store.files.get(item.id);
    if (item.kind === "delete") {
      return file === undefined
        ? this.#collected.has(item.id)
        : file.entry.state === "tombstone";
    }
    if (file === undefined) return this.#collected.has(item.id);
    return file.entry.state === "tombstone" ||
      file.content?.includes(item.token) === true;
  }

  /** Check the answer to a read. */
  wasRead(read: Read): void {
    const isFragile = (item: Item) => this.#isFragile(item);
    checkRead(read, { items: this.of(read.id), isFragile });
  }

  #mustWorld(): World {
    if (this.#world === undefined) throw new Error("the world is not whole");
    return this.#world;
  }
}
