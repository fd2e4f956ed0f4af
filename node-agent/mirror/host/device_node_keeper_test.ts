/** Nodes go before the role does, and come back when it does not. */

import assert from "node:assert/strict";
import {
  type DeviceNodeOf,
  type DeviceNodes,
  NodeKeeper,
  type WithNodes,
} from "./device_node_keeper.ts";

/** Nodes that only note what is done with them. */
class NotedNodes implements DeviceNodes {
  readonly done: string[] = [];
  readonly made = new Set<string>();
  held: string | undefined;
  broken: string | undefined;
  missing: string | undefined;
  sizeBytes = 1024 * 1024;

  appear({ device }: DeviceNodeOf): Promise<string> {
    this.done.push(`appear ${device}`);
    if (this.missing !== undefined) {
      return Promise.reject(new Error(this.missing));
    }
    this.made.add(device);
    return Promise.resolve(device);
  }

  heldBy(): Promise<string | undefined> {
    return Promise.resolve(this.held);
  }

  vanish({ device }: DeviceNodeOf): Promise<void> {
    this.done.push(`vanish ${device}`);
    if (this.broken !== undefined) {
      return Promise.reject(new Error(this.broken));
    }
    this.made.delete(device);
    return Promise.resolve();
  }

  abandon({ device }: DeviceNodeOf): Promise<void> {
    this.done.push(`abandon ${device}`);
    this.made.delete(device);
    return Promise.resolve();
  }

  sizeOf({ device }: DeviceNodeOf): number | undefined {
    return this.made.has(device) ? this.sizeBytes : undefined;
  }

  pathOf({ device }: DeviceNodeOf): string | undefined {
    return this.made.has(device) ? device : undefined;
  }
}

/** A resource with two Primary volumes; nodes hold the export open. */
function primary(nodes: NotedNodes): WithNodes {
  const devices = ["/dev/drbd1", "/dev/drbd2"];
  const spec = {
    resource: "r",
    volumes: devices.map((device, volume) => ({
      volume,
      device,
      minor: volume + 1,
    })),
  };
  let asked = 0;
  const status = () => {
    // Our own client is seen to be gone a little later.
    const openCount = nodes.made.size > 0 || asked++ < 2 ? 1 : 0;
    return Promise.resolve(
      devices.map((_, volume) => ({
        resource: "r",
        volume,
        state: { role: "Primary" },
        sizeBytes: 2 * 1024 * 1024,
        openCount,
      })),
    );
  };
  const process = { spec, status } as unknown as WithNodes["process"];
  const exports = ["nbd+unix:///r/0?socket=s"];
  return { process, socket: "s", exports, usesNodes: true };
}

Deno.test("every Primary volume gets a node; a demotion takes them", async () => {
  const nodes = new NotedNodes();
  const keeper = new NodeKeeper(nodes);
  const running = primary(nodes);
  assert.equal(await keeper.make(running), undefined);
  assert.equal(keeper.pathOf(running, 1), "/dev/drbd2");
  assert.equal(await keeper.release(running), undefined);
  assert.deepEqual([...nodes.made], []);
  const [{ openCount } = { openCount: -1 }] = await running.process.status();
  assert.equal(openCount, 0, "waited until the export saw it");
});

Deno.test("clients of an export without a node hold it open, too", async () => {
  const nodes = new NotedNodes();
  const keeper = new NodeKeeper(nodes);
  const running = primary(nodes);
  const text = await keeper.openedBy(running);
  assert.match(text ?? "", /^An NBD client has r\/0 open: end that first/);
  await keeper.make(running);
  assert.equal(await keeper.openedBy(running), undefined, "that is the node");
});

Deno.test("a node that is held refuses before anything is done", async () => {
  const nodes = new NotedNodes();
  const keeper = new NodeKeeper(nodes);
  const running = primary(nodes);
  await keeper.make(running);
  nodes.done.length = 0;
  nodes.held = "/dev/drbd1 is mounted on /mnt: umount it first";
  assert.equal(await keeper.release(running), nodes.held);
  assert.deepEqual(nodes.done, []);
});

Deno.test("a node that was opened meanwhile: all come back", async () => {
  const nodes = new NotedNodes();
  const keeper = new NodeKeeper(nodes);
  const running = primary(nodes);
  await keeper.make(running);
  nodes.broken = "/dev/drbd1 is in use";
  assert.equal(await keeper.release(running), nodes.broken);
  assert.deepEqual([...nodes.made], ["/dev/drbd1", "/dev/drbd2"]);
});

Deno.test("a volume that has grown gets its node again, unless held", async () => {
  const nodes = new NotedNodes();
  const keeper = new NodeKeeper(nodes);
  const running = primary(nodes);
  await keeper.make(running);
  nodes.done.length = 0;
  assert.equal(await keeper.renew(running), undefined);
  assert.deepEqual(nodes.done, [
    "vanish /dev/drbd1",
    "vanish /dev/drbd2",
    "appear /dev/drbd1",
    "appear /dev/drbd2",
  ]);
  nodes.done.length = 0;
  nodes.held = "/dev/drbd1 is mounted on /mnt: umount it first";
  assert.match(
    await keeper.renew(running) ?? "",
    /umount it first\. \/dev\/drbd1 keeps its old size.*resize r" once more/,
  );
  assert.ok(!nodes.done.some((each) => each.startsWith("vanish")));
  nodes.held = undefined;
  nodes.sizeBytes = 2 * 1024 * 1024;
  assert.equal(await keeper.renew(running), undefined);
  assert.ok(!nodes.done.some((each) => each.startsWith("vanish")));
});

Deno.test("what is missing is told with the way without a node", async () => {
  const nodes = new NotedNodes();
  nodes.missing = "nbdfuse is not installed: install the package libnbd-bin";
  const told = await new NodeKeeper(nodes).make(primary(nodes));
  assert.match(
    told ?? "",
    /^Primary, but \/dev\/drbd1 could not be made: nbdf/,
  );
  assert.match(told ?? "", /The export is at nbd\+unix/);
});

Deno.test("without nodes, or when none are wanted, nothing is done", async () => {
  const nodes = new NotedNodes();
  const running = { ...primary(nodes), usesNodes: false };
  assert.equal(await new NodeKeeper(nodes).make(running), undefined);
  assert.equal(await new NodeKeeper(nodes).release(running), undefined);
  assert.equal(await new NodeKeeper(undefined).release(running), undefined);
  assert.match(
    await new NodeKeeper(nodes).renew(running) ?? "",
    /NBD clients that are connected keep the old size/,
  );
  assert.deepEqual(nodes.done, []);
});

Deno.test("a promotion on a slow disk gets its nodes as well", async () => {
  const nodes = new NotedNodes();
  const running = primary(nodes);
  const { process } = running;
  const slow = {
    spec: process.spec,
    // Answers after 5 s; who waits no longer gets what it said before.
    status: (waitMs = 1_000) =>
      waitMs < 5_000 ? Promise.resolve([]) : process.status(),
  };
  assert.equal(
    await new NodeKeeper(nodes).make({ ...running, process: slow }),
    undefined,
  );
  assert.deepEqual([...nodes.made], ["/dev/drbd1", "/dev/drbd2"]);
});
