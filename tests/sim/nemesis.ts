/**
 * Carries out the faults of a plan, and only what the promises allow: a disk is
 * not destroyed while it may be the only good one (the *fault atlas* of
 * design/testing.md).
 *
 * @module
 */

import type { GroupRegister, NodeId } from "@kedge/schema";
import { changeRegister } from "@kedge/schema/register";
import type { Fault } from "./plan.ts";
import type { SimAgent } from "./sim_agent.ts";
import { storeIdOf } from "./setup.ts";
import type { World } from "./world.ts";

/** Schedule the faults of a plan. */
export function startNemesis(world: World): void {
  for (const fault of world.config.faults) {
    world.scheduler.after(fault.atMs, () => strike(world, fault));
  }
}

/** Undo whatever still lasts, and start what is down. */
export function healEverything(world: World): void {
  world.net.heal();
  world.kv.heal();
  for (const agent of world.agents.values()) {
    agent.disk.slowMs = 0;
    agent.disk.failsNext = false;
    agent.unpause();
    if (!agent.isUp) agent.start();
    else if (agent.disk.isBroken) {
      agent.stop("kill");
      agent.start();
    }
  }
  if (world.agents.values().some((agent) => isForeign(world, agent))) {
    confirmGeneration(world);
  }
}

/**
 * The last node in sync came back empty: two faults at once (a wipe while the
 * other one was leaving the set). The group stands still, as it must, until an
 * operator declares the node in sync that was so before.
 */
export function forceIfStuck(world: World): void {
  const { kv, agents } = world;
  const { register } = kv;
  const isOf = (old: GroupRegister) => (node: NodeId) =>
    old.members.some((member) =>
      member.node === node && member.store === agents.get(node)?.store.id
    );
  if (register.insync.some(isOf(register))) return;
  const before = kv.history.findLast((old) => old.insync.some(isOf(old)));
  const node = before?.insync.find(isOf(before));
  if (node === undefined) return;
  const forced = changeRegister(register, { kind: "force", node });
  if (forced.ok) kv.overwrite(forced.register);
  world.mark("operator forced");
}

function strike(world: World, fault: Fault): void {
  const agents = [...world.agents.values()];
  const a = agents[fault.a % agents.length];
  const b = agents[(fault.a + fault.b) % agents.length];
  if (a === undefined || b === undefined) return;
  a.note(`FAULT ${fault.kind} ${b.node} ${fault.ms} ms`);
  world.mark(`fault ${fault.kind}`);
  const later = (work: () => void) => world.scheduler.after(fault.ms, work);
  switch (fault.kind) {
    case "kill":
      a.stop("kill");
      return later(() => a.start());
    case "stop":
      a.stop("clean");
      return later(() => a.start());
    case "pause":
      return a.pause(fault.ms);
    case "power":
      return losePower(world, [a], fault.ms);
    case "power-all":
      return losePower(world, agents, fault.ms);
    case "wipe":
      return wipe(world, a, fault.ms);
    case "set-back":
      return setBack(world, a, fault.ms);
    case "disk-error":
      a.disk.failsNext = true;
      return later(() => restartBroken(world, a));
    case "slow-disk":
      a.disk.slowMs = 300;
      return later(() => a.disk.slowMs = 0);
    default:
      return cut(world, fault, a.node, b.node);
  }
}

function cut(world: World, fault: Fault, a: NodeId, b: NodeId): void {
  const { net, kv, scheduler } = world;
  const later = (work: () => void) => scheduler.after(fault.ms, work);
  const others = [...world.agents.keys()].filter((node) => node !== a);
  switch (fault.kind) {
    case "cut":
      both(world, a, b, "block");
      return later(() => both(world, a, b, "unblock"));
    case "one-way":
      net.block(a, b);
      return later(() => net.unblock(a, b));
    case "isolate":
      kv.block(a);
      for (const other of others) both(world, a, other, "block");
      return later(() => {
        kv.unblock(a);
        for (const other of others) both(world, a, other, "unblock");
      });
    case "no-tracker":
      kv.block(a);
      return later(() => kv.unblock(a));
    case "flap":
      return flap(world, a, b, scheduler.nowMs + fault.ms);
    case "clog":
      net.clog(a, fault.ms / 10);
      return later(() => net.clog(a, 0));
    case "kv-outage":
      kv.isOut = true;
      return later(() => kv.isOut = false);
    case "kv-restore":
      return restore(world, fault.ms);
    default:
      throw new Error(`no such fault: ${fault.kind}`);
  }
}

function both(
  world: World,
  a: NodeId,
  b: NodeId,
  what: "block" | "unblock",
): void {
  world.net[what](a, b);
  world.net[what](b, a);
}

function flap(world: World, a: NodeId, b: NodeId, untilMs: number): void {
  const { scheduler } = world;
  if (scheduler.nowMs >= untilMs) return;
  both(world, a, b, "block");
  scheduler.after(200, () => {
    both(world, a, b, "unblock");
    scheduler.after(200, () => flap(world, a, b, untilMs));
  });
}

function losePower(world: World, agents: SimAgent[], ms: number): void {
  const before = world.history.existing();
  for (const agent of agents) agent.losePower();
  const [first] = agents;
  const kind = agents.length > 1 ? "power-all" : "power";
  world.history.lost(before, kind, first?.node ?? 0);
  for (const agent of agents) {
    const delayMs = ms * world.rng.faults.range(0.5, 1);
    world.scheduler.after(delayMs, () => agent.start());
  }
}

/** Somebody else has everything. */
function isSpare(world: World, agent: SimAgent): boolean {
  return [...world.agents.values()].some((other) =>
    other !== agent && other.isUp && other.core.isWhole() &&
    world.kv.register.insync.includes(other.node)
  );
}

function wipe(world: World, agent: SimAgent, ms: number): void {
  if (!isSpare(world, agent)) return;
  const before = world.history.existing();
  agent.wipe(storeIdOf(world.next()));
  world.history.lost(before, "wipe", agent.node);
  world.scheduler.after(ms, () => agent.start());
}

/** A copy that was made after a clean stop comes back after another one. */
function setBack(world: World, agent: SimAgent, ms: number): void {
  if (!agent.isUp || !agent.core.isWhole()) return;
  agent.stop("clean");
  const copy = agent.store.clean ? agent.store.copy() : undefined;
  agent.start();
  world.scheduler.after(ms, () => {
    const { id } = agent.store;
    if (copy?.id !== id || !isSpare(world, agent)) return;
    // No more faults when everything is to heal.
    if (world.scheduler.nowMs >= world.config.workMs) return;
    const before = world.history.existing();
    agent.setBack(copy);
    world.history.lost(before, "set-back", agent.node);
    world.mark("set back");
    const delayMs = world.rng.faults.range(10, 2000);
    world.scheduler.after(delayMs, () => agent.start());
  });
}

function restartBroken(world: World, agent: SimAgent): void {
  agent.disk.failsNext = false;
  if (!agent.isUp || !agent.disk.isBroken) return;
  world.mark("restart after a disk error");
  agent.stop("kill");
  agent.start();
}

function isForeign(world: World, agent: SimAgent): boolean {
  const ours = agent.core.register;
  return ours !== undefined && ours.gen !== world.kv.register.gen;
}

/** An old copy of the KV comes back under a new generation; a person helps. */
function restore(world: World, ms: number): void {
  const { kv } = world;
  const latest = kv.register;
  // Once per run: a person is at work then.
  if (latest.gen !== kv.history[0]?.gen) return;
  const old = world.rng.faults.pick(kv.history.slice(-4));
  kv.overwrite({ ...old, gen: storeIdOf(world.next()) });
  world.scheduler.after(ms, () => {
    // The operator picks a node that was in sync when the KV was lost.
    const isUsed = [...world.agents.values()].some((agent) =>
      agent.core.register?.gen === kv.register.gen
    );
    const insync = (isUsed ? kv.register : latest).insync;
    const node = insync.find((candidate) => {
      const agent = world.agents.get(candidate);
      return agent?.isUp && agent.core.register?.epoch === latest.epoch;
    }) ?? insync[0];
    if (node === undefined) return;
    const highest = Math.max(
      ...[...world.agents.values()].map((agent) =>
        agent.core.register?.epoch ?? 0
      ),
    );
    // The stores of the members are what the nodes have now.
    const { members } = latest;
    do {
      const forced = changeRegister(kv.register, { kind: "force", node });
      if (!forced.ok) return;
      kv.overwrite({ ...forced.register, members });
    } while (kv.register.epoch <= highest);
    confirmGeneration(world);
  });
}

function confirmGeneration(world: World): void {
  world.mark("generation confirmed");
  for (const agent of world.agents.values()) {
    const register = world.kv.register;
    // An agent asks a tracker what it is to confirm.
    if (!world.kv.isReachable(agent.node)) continue;
    agent.run(() => agent.feed({ kind: "confirm", register }));
  }
  const left = [...world.agents.values()].some((agent) =>
    isForeign(world, agent)
  );
  if (left) world.scheduler.after(500, () => confirmGeneration(world));
}
