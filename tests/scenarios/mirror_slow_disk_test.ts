/**
 * A disk that stops for seconds: the connection stays, writes go on afterwards.
 *
 * The Secondary's disk is a file behind FUSE whose server can be paused. Its
 * Worker hangs in a write meanwhile and answers no ping.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type MirrorNode, startPair } from "../bench/mirror_pair.ts";
import { Child, isInstalled, run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const IMAGE_BYTES = 64 * 1024 * 1024;
/** Pings each second, with half a second to answer. */
const NET = "ping-int 1; ping-timeout 5;";
const PAUSE_MS = 4_000;

const needs = ["nbdkit", "nbdfuse", "fio", "fusermount3"];
const missing: string[] = [];
for (const program of needs) {
  if (!await isInstalled(program)) missing.push(program);
}
const fuse = await Deno.stat("/dev/fuse").then(() => true, () => false);
if (!fuse) missing.push("/dev/fuse");
if (missing.length > 0) say(`skipped: slow disks (no ${missing.join(", ")})`);

/** A file that stops being written and read when it is told to. */
async function pausableDisk(scope: Scope) {
  const dir = await scope.tempDir();
  const at = (name: string) => `${dir}/${name}`;
  await Deno.writeFile(at("store"), new Uint8Array(IMAGE_BYTES));
  await Deno.writeFile(at("disk"), new Uint8Array(0));
  const server = ["nbdkit", "-f", "-U", at("sock"), "--filter=pause", "file"];
  Child.start(scope, {
    command: [
      ...server as [string, ...string[]],
      ...[at("store"), `pause-control=${at("pause")}`],
    ],
  });
  const uri = `nbd+unix:///?socket=${at("sock")}`;
  await eventually(
    async () => (await run(["nbdinfo", "--size", uri])).code === 0,
    { what: "nbdkit to serve" },
  );
  Child.start(scope, { command: ["nbdfuse", at("disk"), uri] });
  scope.defer(() => run(["fusermount3", "-u", "-z", at("disk")]));
  await eventually(
    async () => (await Deno.stat(at("disk"))).size === IMAGE_BYTES,
    { what: "nbdfuse to mount" },
  );
  const control = async (word: "p" | "r") => {
    using conn = await Deno.connect({ path: at("pause"), transport: "unix" });
    await conn.write(new TextEncoder().encode(word));
    await conn.read(new Uint8Array(1));
  };
  scope.defer(() => control("r"));
  return {
    path: at("disk"),
    pause: () => control("p"),
    resume: async () => await control("r"),
  };
}

/** A pair in sync whose Secondary's disk has just stopped. */
async function pausedPair(scope: Scope, diskOptions?: string) {
  const disk = await pausableDisk(scope);
  const pair = await startPair(scope, {
    protocol: "C",
    dir: await scope.tempDir(),
    imageBytes: IMAGE_BYTES,
    disks: { b: disk.path },
    net: NET,
    ...(diskOptions === undefined ? {} : { disk: diskOptions }),
  });
  await disk.pause();
  return { disk, pair };
}

/** A hundred small writes, eight at a time. */
function someWrites({ uri }: { readonly uri: string }) {
  return run([
    "fio",
    ...["--name=w", "--ioengine=nbd", `--uri=${uri}`, "--rw=randwrite"],
    ...["--bs=4k", "--iodepth=8", "--number_ios=100", "--norandommap"],
  ], { cwd: "/" });
}

Deno.test({
  name: "a Secondary whose disk stops for seconds stays connected",
  ignore: missing.length > 0,
  fn: async () => {
    await using scope = new Scope();
    const { disk, pair } = await pausedPair(scope);
    // Nobody can end a process that hangs in the disk.
    await using _resumed = { [Symbol.asyncDispose]: disk.resume };
    const writes = someWrites(pair);
    const endMs = performance.now() + PAUSE_MS;
    while (performance.now() < endMs) {
      const { state } = await pair.a.volume();
      assert.equal(state.connection, "Connected");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { peerPending } = await pair.a.volume();
    assert.ok(peerPending > 0, "the peer's disk did not stop");
    await disk.resume();
    const { code, stderr } = await writes;
    assert.equal(code, 0, stderr);
    assert.deepEqual(await states(pair.a), ["Connected", "UpToDate"]);
  },
});

Deno.test({
  name: "a Secondary whose disk stops longer than disk-timeout is let go",
  ignore: missing.length > 0,
  fn: async () => {
    await using scope = new Scope();
    const { disk, pair } = await pausedPair(scope, "disk-timeout 10;");
    await using _resumed = { [Symbol.asyncDispose]: disk.resume };
    // They end although the disk never answers: the Primary goes on alone.
    const { code, stderr } = await someWrites(pair);
    assert.equal(code, 0, stderr);
    const { state } = await pair.a.volume();
    assert.equal(state.connection, "WFConnection");
    await disk.resume();
    // Its answer came too late: the disk is detached as failed.
    await eventually(
      async () => (await pair.b.volume()).state.disk === "Diskless",
      { what: "the detached disk" },
    );
    await eventually(
      async () => (await states(pair.a)).join() === "Connected,Diskless",
      { what: "the connection" },
    );
  },
});

async function states(node: MirrorNode): Promise<string[]> {
  const { state } = await node.volume();
  return [state.connection, state.peerDisk];
}
