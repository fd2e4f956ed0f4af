/**
 * Makes the faults of a plan happen, and ends them.
 *
 * @module
 */

import type { MirrorFault } from "./plan.ts";
import { growDisks } from "./growth.ts";
import type { World } from "./world.ts";

/** Schedule every fault. */
export function startFaults(world: World): void {
  const { scheduler, plan } = world;
  for (const fault of plan.faults) {
    scheduler.after(fault.atMs, () => {
      if (world.isHealing) return;
      world.trace?.(
        `${scheduler.nowMs.toFixed(1)} fault ${fault.kind} ` +
          `${fault.a === 0 ? "A" : "B"} ${fault.ms} ms n=${fault.n}`,
      );
      world.mark(`fault ${fault.kind}`);
      happen(world, fault);
    });
  }
}

/** End everything that goes wrong; every process is started. */
export function healEverything(world: World): void {
  world.isHealing = true;
  const { network, register, nodes } = world;
  growDisks(world);
  network.heal();
  register.isHealing = true;
  register.unreachable.all = 0;
  register.unreachable.nodes = [0, 0];
  for (const node of nodes) {
    node.disk.bad.clear();
    node.flushFactor = 1;
    node.crashIn = undefined;
    Object.assign(node.hangs, { flush: undefined, write: undefined });
    node.hangs.meta = undefined;
    Object.assign(node.errorIn, { write: -1, read: -1, flush: -1, meta: -1 });
    node.pause(false);
    node.start();
  }
}

function happen(world: World, fault: MirrorFault): void {
  const { scheduler, network, register, nodes } = world;
  const node = nodes[fault.a];
  const later = (work: () => void) =>
    scheduler.after(fault.ms, () => {
      if (!world.isHealing) work();
    });
  const back = (each = node) => later(() => each.start());
  switch (fault.kind) {
    case "kill":
    case "power":
      node.die(fault.kind === "power");
      return back();
    case "power-both":
      for (const each of nodes) {
        each.die(true);
        back(each);
      }
      return;
    case "kill-at":
    case "power-at":
      node.crashIn = {
        left: fault.n,
        isPowerLoss: fault.kind === "power-at",
      };
      return back();
    case "pause":
      node.pause(true);
      return later(() => node.pause(false));
    case "cut":
      network.cut(0, 1);
      network.cut(1, 1);
      return later(() => {
        network.cut(0, -1);
        network.cut(1, -1);
      });
    case "one-way":
      network.cut(fault.a, 1);
      return later(() => network.cut(fault.a, -1));
    case "reset":
      return network.reset();
    case "clog":
      network.slowdown = 30;
      return later(() => {
        network.slowdown = 1;
      });
    case "slow-disk":
      node.flushFactor = 20;
      return later(() => {
        node.flushFactor = 1;
      });
    case "eio-write":
      node.errorIn.write = fault.n;
      return;
    case "eio-read":
      node.errorIn.read = fault.n;
      return;
    case "eio-flush":
      node.errorIn.flush = Math.floor(fault.n / 4);
      return;
    case "eio-meta":
      node.errorIn.meta = Math.floor(fault.n / 4);
      return;
    case "no-register":
      register.unreachable.nodes[fault.a] =
        (register.unreachable.nodes[fault.a] ?? 0) + 1;
      return later(() => {
        register.unreachable.nodes[fault.a] =
          (register.unreachable.nodes[fault.a] ?? 1) - 1;
      });
    case "register-down":
      register.unreachable.all++;
      return later(() => {
        register.unreachable.all--;
      });
  }
}
