/**
 * Operators: they promote, demote, connect, force, discard, and repair what the
 * faults left. With a register they only ask for promotions.
 *
 * @module
 */

import type { CommandDone } from "../../../node-agent/mirror/core/volume_types.ts";
import type { VolumeCore } from "../../../node-agent/mirror/core/volume_core.ts";
import type { SimNode } from "./sim_node.ts";
import { ALL_OF_IT, resize } from "./growth.ts";
import { giveUpDisk } from "./disk_losses.ts";
import { createAnew } from "./meta_rot.ts";
import { needsScrub } from "./scrub.ts";
import { other, type World } from "./world.ts";

/** Let people work. They go on while the volume heals, without mischief. */
export function startPeople(world: World): void {
  const { scheduler, rng: { people: rng }, plan } = world;
  const step = () => {
    decide(world);
    const everyMs = world.isHealing ? 200 : plan.operator.everyMs;
    scheduler.after(everyMs * rng.range(0.3, 1.7), step);
  };
  scheduler.after(20, step);
  for (const { atMs, a, alExtents } of plan.optionChanges) {
    scheduler.after(atMs, () => {
      say(world.nodes[a], "options", (c, done) => {
        c.options.take({ ...c.config, alExtents });
        done({ code: 1 });
      });
    });
  }
}

function decide(world: World): void {
  const { nodes, rng: { people: rng } } = world;
  const node = rng.pick(nodes);
  if (!node.isAlive || node.isPaused) return;
  if (!world.isHealing && misbehave(world, node)) return;
  repair(world, node);
  if (world.plan.isFenced) keepPrimaryByRegister(world, node);
  else keepPrimary(world, node);
}

/** A person lets application I/O go on, whatever it comes to. */
function resumeIo(node: SimNode): void {
  node.failedAnswers.release();
  say(node, "resume-io", (c, done) => c.roles.resumeIo(done));
}

type Command = (core: VolumeCore, done: CommandDone) => void;

function say(node: SimNode, name: string, command: Command): void {
  node.run((core) => {
    node.trace(`command ${name}`);
    command(core, ({ code }) => {
      node.trace(`command ${name}: ${code}`);
      node.world.mark(`${name}${code === 1 ? "" : " refused"}`);
    });
  });
}

/** Forced until the answer: a plain command meanwhile takes nothing back. */
function promote(node: SimNode, force: boolean): void {
  if (force) node.forced.begin();
  say(node, force ? "primary --force" : "primary", (core, done) => {
    core.roles.primary(force, (result) => {
      if (force) node.forced.end();
      done(result);
    });
  });
}

/** What people do that is not repair. True: something was done. */
function misbehave(world: World, node: SimNode): boolean {
  const { plan: { operator, isFenced }, rng: { people: rng } } = world;
  const peer = world.nodes[other(node.id)];
  const core = node.core;
  if (core === undefined) return false;
  const { state } = core;
  const does = (rate: number) => rate > 0 && rng.chance(rate);
  if (does(operator.demote) && state.role === "Primary") {
    say(node, "secondary", (c, done) => c.roles.secondary(done));
    return true;
  }
  if (does(operator.disconnect)) {
    const force = rng.chance(0.3);
    say(node, "disconnect", (c, done) => c.roles.disconnect(force, done));
    return true;
  }
  if (does(operator.verify)) {
    say(node, "verify", (c, done) => c.verify.start({}, done));
    return true;
  }
  if (does(operator.pause)) {
    if (state.pausedByUser) {
      say(node, "resume-sync", (c, done) => c.roles.resumeSync(done));
    } else say(node, "pause-sync", (c, done) => c.roles.pauseSync(done));
    return true;
  }
  if (does(operator.detach)) {
    const force = rng.chance(0.3);
    say(node, "detach", (c, done) => c.disk.detach(force, done));
    return true;
  }
  if (does(operator.suspend)) {
    if (state.suspendedByUser) {
      resumeIo(node);
    } else say(node, "suspend-io", (c, done) => c.roles.suspendIo(done));
    return true;
  }
  if (isFenced) return false;
  if (does(operator.outdate)) {
    say(node, "outdate", (c, done) => c.roles.outdate(done));
    return true;
  }
  if (does(operator.invalidate) && state.role === "Secondary") {
    // Only a person who sees both nodes may throw one away.
    const isSafe = peer.core?.state.disk === "UpToDate" && peer.isAttached;
    if (!isSafe) return false;
    node.give();
    say(node, "invalidate", (c, done) => c.roles.invalidate(done));
    return true;
  }
  if (does(operator.split) && state.role === "Secondary") {
    promote(node, false);
    return true;
  }
  // Nobody forces a disk that may be new, without anything on it.
  const mayBeNew = world.plan.losses.some(({ kind }) => kind === "wipe");
  const forces = does(operator.force) && !mayBeNew;
  if (forces && state.role === "Secondary") {
    peer.give();
    promote(node, true);
    return true;
  }
  return false;
}

/** Attach, connect, resolve split brains. */
function repair(world: World, node: SimNode): void {
  const { rng: { people: rng }, isHealing } = world;
  const core = node.core;
  if (core === undefined) return;
  const { state } = core;
  const eager = isHealing || rng.chance(0.5);
  const isStuck = isHealing &&
    (state.disk === "Diskless" || state.disk === "Inconsistent") &&
    state.role === "Primary" && state.peerDisk !== "UpToDate";
  if (isStuck) {
    resumeIo(node);
    say(node, "secondary", (c, done) => c.roles.secondary(done));
  }
  if (isHealing) {
    if (state.pausedByUser) {
      say(node, "resume-sync", (c, done) => c.roles.resumeSync(done));
    }
    if (state.suspendedByUser) {
      resumeIo(node);
    }
  }
  if (state.disk === "Diskless" && !node.isAttached && eager) {
    if (node.mustDemote && state.role === "Primary") {
      node.mustDemote = false;
      say(node, "secondary", (c, done) => c.roles.secondary(done));
    }
    if (node.disk.isSuperblockRotten) return createAnew(node);
    return node.attach();
  }
  if (eager && isPassedOn(node)) return replaceInPlace(node);
  const isSmall = isHealing && state.connection === "Connected" &&
    core.sizeBytes < node.disk.sizeBytes;
  if (isSmall) return resize(node, ALL_OF_IT);
  const isMarked = isHealing && state.connection === "Connected" &&
    state.disk === "UpToDate" && state.peerDisk === "UpToDate" &&
    (core.bitmap?.count ?? 0) > 0 && core.writes.isIdle;
  if (isMarked) {
    // What a verify has marked is copied at the next connect. A fenced pair
    // lets nobody go without force.
    const force = world.plan.fencing !== "dont-care";
    return say(
      node,
      "disconnect",
      (c, done) => c.roles.disconnect(force, done),
    );
  }
  const mayVerify = isHealing && needsScrub(world) &&
    state.connection === "Connected" && state.disk === "UpToDate" &&
    state.peerDisk === "UpToDate";
  if (mayVerify) {
    node.isScrubbing = true;
    return say(node, "verify", (c, done) => c.verify.start({}, done));
  }
  if (state.connection === "StandAlone" && eager) {
    const peer = world.nodes[other(node.id)];
    const bothAlone = peer.core?.state.connection === "StandAlone";
    // A person saw that plain connecting leads nowhere.
    const isSplit = world.lastDrop !== undefined &&
      world.scheduler.nowMs - world.lastDrop < 5_000;
    const discard = (!world.plan.isFenced || isHealing) && bothAlone &&
      isSplit &&
      state.role === "Secondary" && rng.chance(isHealing ? 0.7 : 0.3);
    // Nobody gives up good data for those of half a resync.
    const isBetter = state.disk !== "Inconsistent" &&
      peer.core?.state.disk === "Inconsistent";
    const isForeign = isHealing && bothAlone && isSplit &&
      world.areUnrelated && !isBetter;
    if (isForeign && state.role === "Secondary") return giveUpDisk(node);
    if (discard) {
      node.give();
      say(
        node,
        "connect --discard-my-data",
        (c, done) =>
          c.roles.connect({ discardMyData: true, tentative: false }, done),
      );
      say(
        peer,
        "connect",
        (c, done) =>
          c.roles.connect({ discardMyData: false, tentative: false }, done),
      );
      return;
    }
    if (isHealing && isSplit && state.role === "Primary" && rng.chance(0.5)) {
      // Frozen, it holds writes that nobody will ever answer otherwise.
      if (state.suspendedFencing || state.suspendedNoData) {
        resumeIo(node);
      }
      return say(node, "secondary", (c, done) => c.roles.secondary(done));
    }
    say(
      node,
      "connect",
      (c, done) =>
        c.roles.connect({ discardMyData: false, tentative: false }, done),
    );
  }
}

/** An error was passed on: the disk lacks something, and stays. */
function isPassedOn({ core, world: { plan } }: SimNode): boolean {
  const { connection, disk, peerDisk } = core?.state ?? {};
  return plan.onIoError === "pass_on" && connection === "Connected" &&
    disk === "Inconsistent" && peerDisk === "UpToDate";
}

/** It is taken out, and comes back with a resync; or is copied at once. */
function replaceInPlace(node: SimNode): void {
  const draw = node.world.rng.people.next();
  if (draw < 0.2) {
    return say(node, "invalidate", (c, done) => c.roles.invalidate(done));
  }
  say(node, "detach", (c, done) => c.disk.detach(draw < 0.5, done));
}

/** Somebody should serve; a careful person looks at both nodes first. */
function keepPrimary(world: World, node: SimNode): void {
  const { rng: { people: rng }, nodes } = world;
  const peer = nodes[other(node.id)];
  const core = node.core;
  if (core === undefined) return;
  if (core.state.role === "Primary") {
    const { disk, peerDisk } = core.state;
    const isHopeless = world.isHealing && disk === "Inconsistent" &&
      peerDisk === "Inconsistent";
    if (!isHopeless) return;
    return say(node, "secondary", (c, done) => c.roles.secondary(done));
  }
  if (peer.core?.state.role === "Primary") return;
  if (!world.isHealing && rng.chance(0.4)) return;
  const isJoined = core.state.connection === "Connected";
  if (world.isHealing && !isJoined && rng.chance(0.95)) return;
  const isNew = nodes.every((each) =>
    each.core?.state.disk === "Inconsistent" || !each.isAlive
  );
  if (isNew && nodes.every((each) => each.isAlive) && rng.chance(0.5)) {
    peer.give();
    node.give();
    return promote(node, true);
  }
  promote(node, false);
}

/** The register decides: anybody may ask. */
function keepPrimaryByRegister(world: World, node: SimNode): void {
  const { rng: { people: rng }, nodes, scheduler } = world;
  const core = node.core;
  if (core === undefined || core.state.role === "Primary") return;
  const peer = nodes[other(node.id)];
  const serves = peer.core?.state.role === "Primary" && !peer.isPaused &&
    node.side !== undefined;
  if (serves || rng.chance(0.3)) return;
  const isNew = nodes.every((each) => each.core?.state.disk === "Inconsistent");
  // A person gives up when nobody was promoted for long after the faults.
  const isStuck = world.isHealing &&
    scheduler.nowMs > world.plan.workMs + 8_000 && rng.chance(0.2);
  const force = isNew && (scheduler.nowMs < 1_000 || world.isHealing) ||
    isStuck;
  if (force) peer.give();
  promote(node, force);
}
