/**
 * What an error of a disk, or of both, comes to as the configuration says:
 * `on-io-error`, `fencing resource-and-stonith`, `on-no-data-accessible`. Real
 * daemons, real handlers, a disk that fails.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import { eventually } from "../helpers/eventually.ts";
import {
  DISK_BYTES,
  memoryDir,
  type MirrorPair,
  RESOURCE,
  startPair,
} from "../helpers/mirror_pair.ts";
import { openExport } from "../helpers/mirror_pair_client.ts";
import { FaultDisk, hasPluginDisks } from "../helpers/mirror_pair_disk.ts";
import type { MirrorSide } from "../helpers/mirror_pair_side.ts";
import type { RawNbd } from "../helpers/nbd_raw.ts";
import { Scope } from "../helpers/scope.ts";

const EIO = 5;
const BLOCK_BYTES = 4096;

const ignore = !await hasPluginDisks("tests/scenarios/mirror_error_policies");

/** A write of one block; its error. */
function write(client: RawNbd, block: number, value: number): Promise<number> {
  const data = new Uint8Array(BLOCK_BYTES).fill(value);
  return client.errorOf({ type: 1, offset: block * BLOCK_BYTES, data });
}

async function read(client: RawNbd, block: number): Promise<number> {
  const bytes = await client.read(block * BLOCK_BYTES, BLOCK_BYTES);
  return bytes[0] ?? -1;
}

/** A handler that writes its environment down, and ends with what FILE says. */
async function handler(dir: string, name: string): Promise<string> {
  const script = `${dir}/${name}.sh`;
  await Deno.writeTextFile(
    script,
    `#!/bin/sh
env | grep ^DRBD_ | sort >${dir}/${name}.env.new
mv ${dir}/${name}.env.new ${dir}/${name}.env
until [ -s ${dir}/${name}.exit ]; do sleep 0.05; done
exit $(cat ${dir}/${name}.exit)
`,
  );
  await Deno.chmod(script, 0o755);
  return `${name} "${script}";`;
}

/** What the handler was told, once it has been called. */
async function calledWith(dir: string, name: string): Promise<string[]> {
  const path = `${dir}/${name}.env`;
  const text = await eventually(
    () => Deno.readTextFile(path),
    { what: `the handler ${name}` },
  );
  await Deno.remove(path);
  return text.trim().split("\n");
}

/** Let the handler end; an empty word: it waits. */
async function exitWith(dir: string, name: string, code: string) {
  await Deno.writeTextFile(`${dir}/${name}.exit.new`, code);
  await Deno.rename(`${dir}/${name}.exit.new`, `${dir}/${name}.exit`);
}

/** What a handler of `a` is told by DRBD's rules. */
function environmentOf({ a }: MirrorPair): string[] {
  const { config, disk } = a.parts;
  const address = config.peers[0]?.paths[0].remote;
  return [
    `DRBD_CONF=${config.mainFile}`,
    `DRBD_LL_DISK=${disk}`,
    "DRBD_MINOR=199",
    "DRBD_PEER=b",
    "DRBD_PEERS=b",
    `DRBD_PEER_ADDRESS=${address?.ip}`,
    "DRBD_PEER_AF=ipv4",
    `DRBD_RESOURCE=${RESOURCE}`,
    "DRBD_VOLUME=0",
  ];
}

async function configure(
  side: MirrorSide,
  change: (config: ResourceConfig) => ResourceConfig,
): Promise<void> {
  const reply = await side.configure(change);
  equal(reply.code, 1, JSON.stringify(reply));
}

function onIoError(policy: "call-local-io-error") {
  return (config: ResourceConfig): ResourceConfig => {
    const [first, ...others] = config.volumes;
    const options = { ...first.options, onIoError: policy };
    return { ...config, volumes: [{ ...first, options }, ...others] };
  };
}

// 4 s
Deno.test({
  name: "on-io-error pass_on, then call-local-io-error",
  ignore,
  async fn() {
    await using scope = new Scope();
    const dir = await memoryDir(scope);
    const disk = await FaultDisk.make(scope, `${dir}/faulty`, DISK_BYTES);
    const pair = await startPair(scope, {
      protocol: "C",
      disks: { a: disk.path },
      metadata: "equal",
      disk: "on-io-error pass_on; resync-rate 1G;",
      handlers: await handler(dir, "local-io-error"),
    });
    const { a, b } = pair;
    const { sizeBytes } = await a.volume();
    using client = await openExport(a.exportSocket, RESOURCE);
    equal(await write(client, 1, 1), 0);

    // Beside a good copy the application sees nothing of it.
    await disk.set("write", sizeBytes);
    equal(await write(client, 1, 2), 0);
    const { state, outOfSyncBytes } = await a.volume();
    deepEqual([state.disk, state.peerDisk], ["Inconsistent", "UpToDate"]);
    equal(outOfSyncBytes, BLOCK_BYTES);
    equal(await read(client, 1), 2, "the peer serves");
    await disk.heal();
    await a.must({ kind: "detach", force: false });
    await a.must({ kind: "attach" });
    await Promise.all([a.untilEqual(), b.untilEqual()]);

    // Of the only copy it does, and the copy stays what it is.
    await b.kill();
    await a.until("no peer", (each) => each.state.peerDisk === "DUnknown");
    await disk.set("write", sizeBytes);
    equal(await write(client, 2, 3), EIO);
    equal((await a.volume()).state.disk, "UpToDate");
    await disk.heal();
    equal(await write(client, 2, 4), 0);
    equal(await read(client, 2), 4);
    await b.up();
    await Promise.all([a.untilEqual(), b.untilEqual()]);

    // The handler is told while the disk is still there.
    await configure(a, onIoError("call-local-io-error"));
    await disk.set("write", sizeBytes);
    equal(await write(client, 3, 5), 0);
    deepEqual(await calledWith(dir, "local-io-error"), environmentOf(pair));
    await exitWith(dir, "local-io-error", "0");
    await a.child.line(/drbdadm local-io-error minor-199 exit code 0/);
    await a.until("no disk", (each) => each.state.disk === "Diskless");
    equal(await read(client, 3), 5);
  },
});

/** I/O that must wait: it has no answer while the volume is as it was said. */
async function waits(
  side: MirrorSide,
  flag: "suspendedFencing" | "suspendedNoData",
  answer: Promise<number>,
): Promise<void> {
  let isAnswered = false;
  answer.then(() => isAnswered = true, () => isAnswered = true);
  await side.until(
    `I/O to wait (${flag})`,
    ({ state, applicationPending }) => state[flag] && applicationPending > 0,
  );
  equal(isAnswered, false);
}

// 5 s
Deno.test("fencing resource-and-stonith, then on-no-data-accessible suspend-io", async () => {
  await using scope = new Scope();
  const dir = await memoryDir(scope);
  const pair = await startPair(scope, {
    protocol: "C",
    metadata: "equal",
    disk: "fencing resource-and-stonith; resync-rate 1G;",
    options: "on-no-data-accessible suspend-io;",
    handlers: await handler(dir, "fence-peer"),
  });
  const { a, b } = pair;
  using client = await openExport(a.exportSocket, RESOURCE);
  equal(await write(client, 1, 1), 0);

  // A handler that could not fence: I/O waits until the peer is here again.
  await b.kill();
  let answer = write(client, 1, 2);
  deepEqual(await calledWith(dir, "fence-peer"), environmentOf(pair));
  await waits(a, "suspendedFencing", answer);
  await exitWith(dir, "fence-peer", "1");
  await a.child.line(/fence-peer helper broken, returned 1/);
  await waits(a, "suspendedFencing", answer);
  await exitWith(dir, "fence-peer", "");
  await b.up();
  equal(await answer, 0);
  await Promise.all([a.untilEqual(), b.untilEqual()]);

  // One that switched the peer off.
  await b.kill();
  answer = write(client, 1, 3);
  await calledWith(dir, "fence-peer");
  await waits(a, "suspendedFencing", answer);
  await exitWith(dir, "fence-peer", "7");
  equal(await answer, 0);
  const { state } = await a.volume();
  deepEqual([state.suspendedFencing, state.peerDisk], [false, "Outdated"]);
  await b.up();
  await Promise.all([a.untilEqual(), b.untilEqual()]);

  // Both copies are gone.
  await a.must({ kind: "detach", force: false });
  equal(await write(client, 1, 4), 0, "the peer's copy is enough");
  await b.must({ kind: "disconnect", force: true });
  answer = write(client, 1, 5);
  await calledWith(dir, "fence-peer"); // ended with 7, it does not help
  await waits(a, "suspendedNoData", answer);
  await b.connect();
  equal(await answer, 0);
  equal(await read(client, 1), 5);
  const now = (await a.volume()).state;
  deepEqual([now.suspendedNoData, now.disk], [false, "Diskless"]);
});
