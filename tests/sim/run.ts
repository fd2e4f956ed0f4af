/**
 * One simulated run: build a group, let clients work while faults happen, heal
 * everything, and check that what was promised holds.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import { compareEntries } from "@kedge/schema/change";
import { changeRegister, emptyRegister } from "@kedge/schema/register";
import { readAndCheck, startClients } from "./clients.ts";
import { History } from "./history.ts";
import { forceIfStuck, healEverything, startNemesis } from "./nemesis.ts";
import { type Config, drawConfig } from "./plan.ts";
import { Prng } from "./prng.ts";
import { Scheduler } from "./scheduler.ts";
import { storeIdOf } from "./setup.ts";
import { SimAgent } from "./sim_agent.ts";
import { SimKv } from "./sim_kv.ts";
import { SimNet } from "./sim_net.ts";
import { ALL_RULES, type SimRules, Violation, type World } from "./world.ts";

/** What a run found. */
export interface RunResult {
  readonly seed: number;
  /** The promise that was broken; `undefined` is a good run. */
  readonly violation: Violation | undefined;
  readonly events: number;
  readonly simulatedMs: number;
  /** Acknowledged changes. */
  readonly acknowledged: number;
  /** Changes whenever anything that matters happens differently. */
  readonly hash: number;
  readonly marks: ReadonlyMap<string, number>;
}

/** How to run. */
export interface RunOptions {
  readonly config?: Config;
  readonly rules?: SimRules;
  readonly trace?: (line: string) => void;
  /** Seed of the wall clocks alone: must not change anything. */
  readonly wallSeed?: number;
}

/** How long a healed group may take to become equal, in ms. */
const HEAL_MS = 45_000;

/** Run one seed. */
export function runSeed(seed: number, options: RunOptions = {}): RunResult {
  const marks = new Map<string, number>();
  const hash = new Hash();
  const world = buildWorld(seed, options, marks, hash);
  let violation: Violation | undefined;
  try {
    play(world);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error;
  }
  const acknowledged =
    world.history.items.filter((item) => item.level !== undefined).length;
  return {
    seed,
    violation,
    events: world.scheduler.events,
    simulatedMs: world.scheduler.nowMs,
    acknowledged,
    hash: hash.value,
    marks,
  };
}

function play(world: World): void {
  const { scheduler, config } = world;
  for (const agent of world.agents.values()) {
    scheduler.after(world.rng.faults.range(0, 50), () => agent.start());
  }
  startNemesis(world);
  startClients(world, config.workMs);
  scheduler.runUntil(config.workMs);
  healEverything(world);
  mustBecomeEqual(world);
  // A link that broke during the last fault may be noticed only now.
  if (missingUploads(world).length > 0) {
    mustBecomeEqual(world);
    const missing = missingUploads(world);
    if (missing.length > 0) {
      throw new Violation(
        "I23",
        `no upload through ${missing} although all is well`,
        scheduler.nowMs,
      );
    }
  }
  mustReadEverything(world);
}

/** I18, I23: everybody in sync and equal. */
function mustBecomeEqual(world: World): void {
  const { scheduler } = world;
  const deadlineMs = scheduler.nowMs + HEAL_MS;
  let why: string | undefined = "";
  while (why !== undefined) {
    if (scheduler.nowMs >= deadlineMs) {
      throw new Violation(
        "I18",
        `not equal after the faults: ${why}`,
        deadlineMs,
      );
    }
    scheduler.runUntil(scheduler.nowMs + 250);
    why = difference(world);
    if (why !== undefined) forceIfStuck(world);
  }
}

function difference(world: World): string | undefined {
  const { register } = world.kv;
  const agents = [...world.agents.values()];
  for (const agent of agents) {
    if (!register.insync.includes(agent.node)) {
      return `node ${agent.node} is not in sync`;
    }
    const ours = agent.core.register;
    if (ours?.epoch !== register.epoch || ours.gen !== register.gen) {
      return `node ${agent.node} has another register`;
    }
    if (agent.core.pending > 0) return `changes wait at node ${agent.node}`;
    if (!agent.core.isWhole()) return `node ${agent.node} is not whole`;
    if (!agent.core.mayWrite().ok) return `node ${agent.node} does not write`;
  }
  const [first, ...others] = agents;
  if (first === undefined) return undefined;
  for (const other of others) {
    const id = differingFile(first, other) ?? differingFile(other, first);
    if (id !== undefined) {
      return `${id} differs between ${first.node} and ${other.node}`;
    }
  }
  return undefined;
}

function differingFile(a: SimAgent, b: SimAgent): string | undefined {
  for (const [id, file] of a.store.files) {
    if (file.entry.state === "tombstone") {
      if (b.store.files.get(id)?.entry.state === "present") return id;
      continue;
    }
    const other = b.store.files.get(id);
    // The newest bytes are gone from every disk: each keeps what it has.
    if (file.content === undefined && other !== undefined) continue;
    if (other !== undefined && other.content === undefined) continue;
    if (other === undefined || compareEntries(file.entry, other.entry) !== 0) {
      return id;
    }
    if (file.content?.join() !== other.content?.join()) return id;
  }
  return undefined;
}

/** Nodes through which an upload at C is not answered in time (I23). */
function missingUploads(world: World): NodeId[] {
  const { scheduler } = world;
  const missing = new Set<NodeId>(world.agents.keys());
  for (const agent of world.agents.values()) {
    const token = world.next();
    agent.files.change({
      kind: "upload",
      id: `f${token}`,
      token,
      level: "C",
      large: false,
      key: undefined,
      then: (result) => {
        if (result.kind !== "ok" || result.level !== "C") return;
        if (result.holders.length !== world.config.nodes) return;
        world.history.acknowledged(token, "C");
        missing.delete(agent.node);
      },
    });
  }
  scheduler.runUntil(scheduler.nowMs + 400);
  return [...missing];
}

/** I13, I14, I15, I19 at the end, through every node. */
function mustReadEverything(world: World): void {
  // A late request may still move the epoch: then try again.
  for (let attempt = 1;; attempt++) {
    const unreadable = readEverything(world);
    if (unreadable.length === 0) return;
    if (attempt === 3) {
      throw new Violation(
        "I13",
        `cannot be read although all is well: ${unreadable.slice(0, 3)}`,
        world.scheduler.nowMs,
      );
    }
    world.scheduler.runUntil(world.scheduler.nowMs + 3000);
    mustBecomeEqual(world);
  }
}

/** Read every file through every node; which reads did not succeed. */
function readEverything(world: World): string[] {
  const { scheduler, history } = world;
  const unreadable = new Set<string>();
  const ids = new Set(history.items.map((item) => item.id));
  for (const id of ids) {
    const items = history.of(id);
    const isLost = items.some((item) => item.excused) ||
      !items.some((item) => item.kind === "upload" && item.level !== undefined);
    for (const agent of world.agents.values()) {
      const name = `${id} through ${agent.node}`;
      unreadable.add(name);
      readAndCheck(world, agent, id, (kind) => {
        if (kind !== "unavailable" || isLost) unreadable.delete(name);
      });
    }
  }
  scheduler.runUntil(scheduler.nowMs + 1500);
  return [...unreadable];
}

function buildWorld(
  seed: number,
  options: RunOptions,
  marks: Map<string, number>,
  hash: Hash,
): World {
  const config = options.config ?? drawConfig(seed);
  const scheduler = new Scheduler();
  const rng = {
    net: new Prng(seed, 2),
    disk: new Prng(seed, 3),
    clients: new Prng(seed, 4),
    faults: new Prng(seed, 5),
  };
  const kv = new SimKv(
    firstRegister(config),
    { scheduler, rng: new Prng(seed, 6) },
    { loss: config.kvLoss, twice: config.kvTwice, late: config.kvLate },
  );
  const wall = new Prng(options.wallSeed ?? seed, 7);
  const agents = new Map<NodeId, SimAgent>();
  let number = 1000;
  const world: World = {
    seed,
    config,
    rules: options.rules ?? ALL_RULES,
    scheduler,
    rng,
    net: new SimNet(scheduler, rng.net),
    kv,
    history: new History(),
    agents,
    wallMs: () => wall.range(-1e12, 1e13),
    trace: options.trace,
    next: () => ++number,
    mark: (name) => {
      marks.set(name, (marks.get(name) ?? 0) + 1);
      hash.add(name, scheduler.nowMs);
    },
  };
  for (let node = 1; node <= config.nodes; node++) {
    const agent = new SimAgent(node, world, storeIdOf(node));
    agent.store.lies = config.liar === node - 1;
    agent.store.register = kv.register; // told when it was added
    agents.set(node, agent);
    world.net.add(agent);
  }
  world.history.open(world);
  kv.onChange = (register, change) =>
    world.history.registered(register, change);
  return world;
}

function firstRegister(config: Config) {
  let register = emptyRegister("group1", storeIdOf(0xfff));
  for (let node = 1; node <= config.nodes; node++) {
    const added = changeRegister(register, {
      kind: "add",
      node,
      store: storeIdOf(node),
    });
    if (added.ok) register = added.register;
    if (!config.startsInSync) continue;
    const grown = changeRegister(register, { kind: "grow", node });
    if (grown.ok) register = grown.register;
  }
  return register;
}

/** FNV-1a over what happened and when. */
class Hash {
  value = 0x811c9dc5;

  add(name: string, atMs: number): void {
    let value = this.value;
    for (let i = 0; i < name.length; i++) {
      value = Math.imul(value ^ name.charCodeAt(i), 0x01000193);
    }
    this.value = Math.imul(value ^ Math.floor(atMs * 1000), 0x01000193) >>> 0;
  }
}
