/**
 * Device nodes over a real export: they appear, tell who holds them, go, and
 * are cleared away when their daemon or their export was killed.
 *
 * @module
 */

import assert from "node:assert/strict";
import { HostDeviceNodes } from "../../node-agent/mirror/host/device_node.ts";
import { blockOf } from "../../node-agent/mirror/host/device_node_holders.ts";
import { Child, run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { whyNoDeviceNodes } from "../helpers/mirror_hosts_needs.ts";
import { type NbdProcess, startNbdProcess } from "../helpers/nbd_process.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;
const lack = await whyNoDeviceNodes();
if (lack !== undefined) say(`SKIPPED device nodes: ${lack}`);

class Rig {
  readonly log: string[] = [];
  readonly device = `/dev/drbd${9000 + Math.floor(Math.random() * 900_000)}`;

  private constructor(
    readonly runDir: string,
    readonly server: NbdProcess,
    readonly scope: Scope,
  ) {}

  static async start(scope: Scope): Promise<Rig> {
    const server = await startNbdProcess(scope, { sizeBytes: 64 * MIB });
    return new Rig(await scope.tempDir(), server, scope);
  }

  /** The nodes of a daemon; what they leave goes with the scope. */
  nodes(): HostDeviceNodes {
    const note = (text: string, facts?: unknown) => {
      this.log.push(`${text} ${JSON.stringify(facts)}`);
    };
    const log = { info: note, warn: note };
    const nodes = new HostDeviceNodes({ runDir: this.runDir, log });
    this.scope.defer(() => nodes.close());
    return nodes;
  }

  get volume() {
    return {
      resource: "r",
      volume: 0,
      device: this.device,
      minor: 7,
      socket: this.server.socket,
      exportName: "disk",
    };
  }
}

Deno.test({ name: "device nodes", ignore: lack !== undefined }, async (t) => {
  await t.step("a node appears, is used, and goes", async () => {
    await using scope = new Scope();
    const rig = await Rig.start(scope);
    const nodes = rig.nodes();
    assert.equal(await nodes.appear(rig.volume), rig.device);
    assert.equal(nodes.pathOf(rig.volume), rig.device);
    const loop = blockOf(rig.device) ?? "";
    const text = "written through the node\n";
    await succeed(["dd", `of=${rig.device}`, "conv=fsync"], text);
    assert.equal(await nodes.heldBy(rig.volume), undefined);
    await nodes.vanish(rig.volume);
    assert.equal(nodes.pathOf(rig.volume), undefined);
    await assert.rejects(Deno.lstat(rig.device));
    assert.deepEqual(await leftIn(rig.runDir), []);
    assert(!await isOurs(loop, rig.runDir), "the loop device is free");
    const image = (await Deno.readFile(rig.server.image))
      .subarray(0, text.length);
    assert.equal(new TextDecoder().decode(image), text);
  });

  await t.step("who holds it is told, and it stays", async () => {
    await using scope = new Scope();
    const rig = await Rig.start(scope);
    const nodes = rig.nodes();
    await nodes.appear(rig.volume);
    await succeed(["mkfs.ext4", "-q", rig.device]);
    const place = await scope.tempDir();
    await succeed(["mount", rig.device, place]);
    scope.defer(() => run(["umount", place]));
    const held = await nodes.heldBy(rig.volume);
    assert.equal(held, `${rig.device} is mounted on ${place}: umount it first`);
    await assert.rejects(nodes.vanish(rig.volume), /is mounted on/);
    await Deno.writeTextFile(`${place}/file`, "still there");
    await succeed(["umount", place]);

    const holding = `exec sleep 60 <${rig.device}`;
    const holder = Child.start(scope, { command: ["sh", "-c", holding] });
    const who = await eventually(
      () => nodes.heldBy(rig.volume),
      { what: "the process that has it open" },
    );
    assert.match(who, /is open in process \d+ \((sleep|sh)\)/);
    await assert.rejects(nodes.vanish(rig.volume), /is open in process/);
    await holder.kill();
    await nodes.appear(rig.volume);
    await succeed(["mount", rig.device, place]);
    assert.equal(await Deno.readTextFile(`${place}/file`), "still there");
    await succeed(["umount", place]);
    assert.equal(await nodes.heldBy(rig.volume), undefined);
    await nodes.vanish(rig.volume);
  });

  await t.step("the next daemon clears a killed one's nodes away", async () => {
    await using scope = new Scope();
    const rig = await Rig.start(scope);
    await rig.nodes().appear(rig.volume);
    const loop = blockOf(rig.device) ?? "";
    const place = await scope.tempDir();
    await succeed(["mkfs.ext4", "-q", rig.device]);
    await succeed(["mount", rig.device, place]);
    scope.defer(() => run(["umount", "-l", place]));
    await rig.server.child.kill();
    await assert.rejects(syncedFile(`${place}/file`), "it gives errors");
    const next = rig.nodes();
    await next.cleanUp();
    assert.match(rig.log.join("\n"), /daemon that was killed/);
    await assert.rejects(Deno.lstat(rig.device));
    assert.deepEqual(await leftIn(rig.runDir), []);
    const server = await startNbdProcess(scope, { sizeBytes: 64 * MIB });
    await next.appear({ ...rig.volume, socket: server.socket });
    assert.equal(await next.heldBy(rig.volume), undefined, "the old one is");
    await next.vanish(rig.volume);
    await succeed(["umount", place]);
    assert(!await isOurs(loop, rig.runDir), "the loop device is free");
  });

  await t.step("a node whose nbdfuse was killed is made anew", async () => {
    await using scope = new Scope();
    const rig = await Rig.start(scope);
    const nodes = rig.nodes();
    await nodes.appear(rig.volume);
    const [folder] = await Array.fromAsync(Deno.readDir(`${rig.runDir}/nodes`));
    const pidFile = `${rig.runDir}/nodes/${folder?.name}/nbdfuse.pid`;
    Deno.kill(Number(await Deno.readTextFile(pidFile)), "SIGKILL");
    await eventually(async () => {
      const copied = await run(["dd", `if=${rig.device}`, "iflag=direct"]);
      return copied.code !== 0;
    }, { what: "errors" });
    await nodes.appear(rig.volume);
    await succeed(["dd", `if=${rig.device}`, "of=/dev/null", "count=8"]);
    await nodes.vanish(rig.volume);
    assert.deepEqual(await leftIn(rig.runDir), []);
  });

  await t.step("what it cannot do is said", async () => {
    await using scope = new Scope();
    const rig = await Rig.start(scope);
    const nodes = rig.nodes();
    const nowhere = { ...rig.volume, socket: `${rig.runDir}/nowhere` };
    await assert.rejects(nodes.appear(nowhere), /nbdfuse cannot use .*nowhere/);
    assert.equal(nodes.pathOf(rig.volume), undefined);
    await Deno.writeTextFile(rig.device, "");
    scope.defer(() => Deno.remove(rig.device));
    await assert.rejects(nodes.appear(rig.volume), /of somebody else/);
    assert.deepEqual(await leftIn(rig.runDir), []);
  });
});

/** The number may already be somebody else's. */
async function isOurs(loop: string, runDir: string): Promise<boolean> {
  return (await run(["losetup", loop])).stdout.includes(runDir);
}

async function leftIn(runDir: string): Promise<string[]> {
  const mounts = await Deno.readTextFile("/proc/self/mountinfo");
  const nodes = await Array.fromAsync(Deno.readDir(`${runDir}/nodes`));
  return [
    ...nodes.map(({ name }) => name),
    ...mounts.split("\n").filter((line) => line.includes(runDir)),
  ];
}

async function syncedFile(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  await file.write(new Uint8Array(100_000));
  await file.sync();
}

async function succeed(
  command: [string, ...string[]],
  stdin?: string,
): Promise<void> {
  const options = stdin === undefined ? {} : { stdin };
  const { code, stderr } = await run(command, options);
  assert.equal(code, 0, `${command.join(" ")}: ${stderr}`);
}
