import assert from "node:assert/strict";
import type { Pending } from "./file_actions.ts";
import { Layout } from "./layout.ts";
import { withDir } from "./store_fixture.ts";
import { run } from "../../tests/helpers/child.ts";
import { say } from "../../tests/helpers/say.ts";
import { type FileSystem, reportsErrors, WholeFlush } from "./whole_flush.ts";
import { WholeFlushes } from "./whole_flushes.ts";

/** A file system whose flushes end when a test says so. */
class SlowSystem implements FileSystem {
  readonly device = 1;
  isClosed = false;
  readonly #running: PromiseWithResolvers<void>[] = [];

  flush(): Promise<void> {
    const running = Promise.withResolvers<void>();
    this.#running.push(running);
    return running.promise;
  }

  end(): void {
    this.#running.shift()?.resolve();
  }

  fail(): void {
    this.#running.shift()?.reject(new Error("syncfs"));
  }

  close(): void {
    this.isClosed = true;
  }
  flushedHere = 0;

  flushHere(): void {
    this.flushedHere++;
  }
}

function rig() {
  const opened: SlowSystem[] = [];
  const here: SlowSystem[] = [];
  const wholes = new WholeFlushes(new Layout("/d", ["/p0", "/p1"]), () => {
    const system = new SlowSystem();
    (opened.length === here.length ? opened : here).push(system);
    return system;
  });
  const done = (pathIndex = 0): Pending => {
    const action: Pending = {
      ...{ number: 1, id: "", epoch: 1, version: 1, kind: "write" },
      ...{ pathIndex, token: "", offset: 0, replaces: false, sinceMs: 0 },
      done: true,
    };
    wholes.done(action);
    return action;
  };
  return { opened, here, wholes, done };
}

Deno.test("a flush covers what was done before it began, and nothing else", async () => {
  const { opened, wholes, done } = rig();
  const before = [done(), done()];
  assert.equal(opened.length, 1, "errors are watched for from the first on");
  assert(!wholes.areFlushed(before, 0));
  const flushing = wholes.flush(0);
  const during = done();
  assert(!wholes.areFlushed(before, 0), "it is not over");
  opened[0]?.end();
  await flushing;
  assert(wholes.areFlushed(before, 0));
  assert(!wholes.areFlushed([...before, during], 0));
  const again = { ...during, doneAs: undefined };
  const next = wholes.flush(0);
  opened[0]?.end();
  await next;
  assert(wholes.areFlushed([during], 0));
  assert(!wholes.areFlushed([again], 0), "done by nobody knows whom");
});

Deno.test("a flush that fails covers nothing, and one path is not another", async () => {
  const { opened, wholes, done } = rig();
  const [first, second] = [done(0), done(1)];
  const failing = wholes.flush(0);
  opened[0]?.fail();
  await assert.rejects(failing, /syncfs/);
  assert(!wholes.areFlushed([first], 0));
  const flushing = wholes.flush(1);
  opened[1]?.end();
  await flushing;
  assert(wholes.areFlushed([second], 1));
  assert(!wholes.areFlushed([first], 0));
});

Deno.test("a path that is renewed begins anew, whatever still runs", async () => {
  const { opened, wholes, done } = rig();
  const old = done();
  const flushing = wholes.flush(0);
  wholes.renew(0);
  assert(opened[0]?.isClosed);
  opened[0]?.end();
  await flushing;
  assert(!wholes.areFlushed([old], 0), "that was another disk");
  assert.equal(opened.length, 2);
});

Deno.test("each way of flushing hears of every error by itself", () => {
  const { opened, here, wholes, done } = rig();
  const action = done();
  wholes.flushHere(0);
  assert.deepEqual(opened.map(({ flushedHere }) => flushedHere), [0]);
  assert.deepEqual(here.map(({ flushedHere }) => flushedHere), [1]);
  assert(!wholes.areFlushed([action], 0), "that flush may know of more");
  wholes.renew(0);
  assert(opened[0]?.isClosed && here[0]?.isClosed);
});

Deno.test("a folder that could not be opened for a moment is opened again", () => {
  let left = 1;
  const wholes = new WholeFlushes(
    new Layout("/d", ["/p0"]),
    () => left-- > 0 ? undefined : new SlowSystem(),
  );
  assert(!wholes.isPossible(0));
  wholes.flushHere(0);
  const never = new WholeFlushes(new Layout("/d", ["/p0"]), () => undefined);
  assert.throws(() => never.flushHere(0), /cannot be opened/);
});

const temporary = await Deno.makeTempDir();
const here = WholeFlush.open(temporary);
here?.close();
await Deno.remove(temporary);
if (here === undefined) {
  say("SKIPPED whole_flushes: temporary files lie in memory, or elsewhere");
}

Deno.test({
  name: "a folder is flushed, and closed once that is over",
  ignore: here === undefined,
  fn: () => withDir(flushAndClose),
});

async function flushAndClose(dir: string): Promise<void> {
  const system = WholeFlush.open(dir);
  assert(system !== undefined);
  await Deno.writeTextFile(`${dir}/file`, "text");
  const files = () =>
    [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`) === dir;
      } catch {
        return false;
      }
    }).length;
  const flushing = system.flush();
  system.close();
  assert.equal(files(), 1, "its number stays taken");
  await flushing;
  assert.equal(files(), 0);
  system.close();
  assert.equal(WholeFlush.open(`${dir}/nothing`), undefined);
  assert.equal(WholeFlush.open("/proc"), undefined);
}

const isRoot = Deno.uid() === 0;
if (!isRoot) say("SKIPPED whole_flushes, read-only: needs root to mount\n");

Deno.test({
  name: "a flush of a file system that became read-only fails",
  ignore: here === undefined || !isRoot,
  fn: () => withDir(flushReadOnly),
});

async function flushReadOnly(dir: string): Promise<void> {
  const [image, mount] = [`${dir}/image`, `${dir}/mount`];
  const sh = async (...words: [string, ...string[]]) => {
    const { code, stderr } = await run(words);
    assert.equal(code, 0, stderr);
  };
  await Deno.mkdir(mount);
  await sh("truncate", "-s", "8M", image);
  await sh("mkfs.ext4", "-q", image);
  await sh("mount", "-o", "loop", image, mount);
  const system = WholeFlush.open(mount);
  try {
    await Deno.writeTextFile(`${mount}/file`, "text");
    await system?.flush();
    // The system does this by itself after an error.
    await sh("mount", "-o", "remount,ro", mount);
    assert(system !== undefined);
    await assert.rejects(system.flush(), /read-only/);
  } finally {
    system?.close();
    await sh("umount", mount);
  }
}

Deno.test("errors are told from Linux 5.8 on", () => {
  const told = ["5.8.0", "5.10.0-28-amd64", "6.1.0", "10.0"];
  const untold = ["5.7.19", "4.19.0-26", "", "unknown"];
  assert.deepEqual(told.filter(reportsErrors), told);
  assert.deepEqual(untold.filter(reportsErrors), []);
});
