/**
 * One simulated run of a mirrored volume: two nodes, clients and people while
 * faults happen; then everything heals, and what was promised is checked.
 *
 * @module
 */

import { Prng } from "../prng.ts";
import { Scheduler } from "../scheduler.ts";
import { startDiskLosses } from "./disk_losses.ts";
import { startMetaRots } from "./meta_rot.ts";
import { healEverything, startFaults } from "./faults.ts";
import { startGrowth } from "./growth.ts";
import { startHangs } from "./hangs.ts";
import { LyingMeta } from "./lying_meta.ts";
import { Lineage } from "./lineage.ts";
import { Network } from "./network.ts";
import { startPeople } from "./people.ts";
import { drawPlan, type MirrorPlan } from "./plan.ts";
import { mustBecomeWell } from "./quiesce.ts";
import { SimDisk } from "./sim_disk.ts";
import { SimNode } from "./sim_node.ts";
import { memberOf, SimRegister } from "./sim_register.ts";
import { mustCoverDifferences, mustSurvivePowerLoss } from "./step_checks.ts";
import { mustGoOnBeside, StuckFlush } from "./stuck.ts";
import { Taints } from "./taints.ts";
import { resetValues, startVolumeClients } from "./volume_clients.ts";
import { VolumeHistory } from "./volume_history.ts";
import { firstContents, firstState } from "./volume_options.ts";
import {
  PIECES_PER_BLOCK,
  type Sabotage,
  Violation,
  type World,
} from "./world.ts";

/** What a run found. */
export interface MirrorRun {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly events: number;
  readonly simulatedMs: number;
  readonly answers: number;
  readonly hash: number;
  readonly marks: ReadonlyMap<string, number>;
}

/** How to run. */
export interface MirrorRunOptions {
  readonly plan?: MirrorPlan;
  readonly sabotage?: Sabotage;
  readonly trace?: (line: string) => void;
  /** A piece whose changes are traced. */
  readonly watched?: number;
}

/** An image of what a loss of power would leave is taken every so many steps. */
const CRASH_STEPS = 16;

/** Run one seed. */
export function runMirror(
  seed: number,
  options: MirrorRunOptions = {},
): MirrorRun {
  const marks = new Map<string, number>();
  const world = buildWorld(seed, options, marks);
  let violation: Violation | undefined;
  try {
    play(world);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error;
  }
  return {
    seed,
    violation,
    events: world.scheduler.events,
    simulatedMs: world.scheduler.nowMs,
    answers: world.history.answers,
    hash: hashOf(marks, world),
    marks,
  };
}

function play(world: World): void {
  const { scheduler, plan } = world;
  for (const node of world.nodes) {
    scheduler.after(world.rng.faults.range(0, 40), () => node.start());
  }
  meetAgain(world);
  startPeople(world);
  startFaults(world);
  startDiskLosses(world);
  startGrowth(world);
  startHangs(world);
  world.stuck.start();
  startMetaRots(world);
  startVolumeClients(world, plan.workMs);
  for (let step = 1; scheduler.nowMs < plan.workMs; step++) {
    scheduler.runUntil(Math.min(plan.workMs, scheduler.nowMs + 5));
    mustCoverDifferences(world);
    if (step % CRASH_STEPS === 0) mustSurvivePowerLoss(world);
  }
  healEverything(world);
  mustGoOnBeside(world);
  world.stuck.end();
  mustBecomeWell(world);
  world.history.check();
}

/** The nodes look for one another, all the time. */
function meetAgain(world: World): void {
  const [a, b] = world.nodes;
  world.network.meet(a, b);
  world.scheduler.after(world.rng.net.range(10, 60), () => meetAgain(world));
}

function buildWorld(
  seed: number,
  options: MirrorRunOptions,
  marks: Map<string, number>,
): World {
  const plan = options.plan ?? drawPlan(seed);
  const scheduler = new Scheduler();
  const rng = {
    net: new Prng(seed, 102),
    disk: new Prng(seed, 103),
    clients: new Prng(seed, 104),
    faults: new Prng(seed, 105),
    people: new Prng(seed, 106),
    crashes: new Prng(seed, 108),
  };
  const sabotage = options.sabotage ?? {};
  const history = new VolumeHistory();
  const taints = new Taints();
  const nodes: SimNode[] = [];
  const world: World = {
    get stuck() {
      return stuck;
    },
    seed,
    plan,
    scheduler,
    rng,
    get nodes() {
      return nodes as unknown as readonly [SimNode, SimNode];
    },
    network: new Network(scheduler, rng.net, plan.netMs),
    register: new SimRegister(scheduler, new Prng(seed, 107), {
      loss: plan.registerLoss,
      isOnDisk: plan.protocol === "C",
      forgetsBoots: sabotage.forgetsBoots ?? false,
    }),
    lineage: new Lineage(plan.blocks * PIECES_PER_BLOCK, [1, 2], {
      taints,
      newFrom: (plan.growth?.firstBlocks ?? plan.blocks) * PIECES_PER_BLOCK,
    }),
    taints,
    history,
    sabotage,
    trace: options.trace,
    isHealing: false,
    isScrubbed: false,
    areUnrelated: false,
    lastDrop: undefined,
    watched: options.watched,
    mark: (name) => {
      marks.set(name, (marks.get(name) ?? 0) + 1);
    },
    fail: (promise, detail) => {
      throw new Violation(promise, detail, scheduler.nowMs);
    },
  };
  const stuck = new StuckFlush(world);
  resetValues();
  history.world = world;
  for (const id of [0, 1] as const) {
    const disk = new SimDisk(plan.blocks, plan.extentBlocks, {
      state: firstState(plan),
      value: firstContents(plan, id),
      room: plan.growth?.rooms[id],
    });
    if (plan.metaLiar === id) {
      disk.lyingMeta = new LyingMeta(new Prng(seed, 125));
    }
    disk.isLiar = plan.liar === id || sabotage.bothLie === true;
    if (plan.startsNew) disk.bitmap.fill(0xff); // as create-md does
    nodes.push(new SimNode(id, world, disk, new Prng(seed, 110 + id)));
  }
  if (!plan.startsNew) {
    world.register.begin(
      nodes.map((node) => memberOf(node.id, node.bootName(0, 1))),
    );
  }
  return world;
}

/** FNV-1a over what happened. */
function hashOf(marks: ReadonlyMap<string, number>, world: World): number {
  const text = [...marks].map(([name, count]) => `${name}${count}`).join() +
    `${world.scheduler.hash} ${world.scheduler.events} ` +
    `${world.history.answers}`;
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  }
  return value >>> 0;
}
