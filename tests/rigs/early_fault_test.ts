/**
 * Disks that fail under bodies which are written into their files at once
 * (`node-agent/files/early_files.ts`): nothing that was answered is lost, the
 * disk is left alone from then on, and the other one goes on.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { TestStore } from "../../node-agent/files/store_fixture.ts";
import { canFlushWhole } from "../../node-agent/files/whole_flush.ts";
import { type Fault, FaultShim } from "./fault_shim.ts";
import { inTemp } from "./store_disks.ts";
import { checkLog, type Outcome, run, say } from "./store_runs.ts";
import { crc32 } from "node:zlib";

const ignore = !FaultShim.isPossible() || !canFlushWhole("/tmp");
if (ignore) {
  say("SKIPPED tests/rigs/early_fault: needs gcc, and /tmp on a disk\n");
}

const EARLY = "/p0/data/.tmp/early-";
const WHOLE = { path: "/p0/data", not: "/p0/data/" };

function words({ lines }: Outcome, what: string): string[] {
  return lines.filter((line) => line.what === what)
    .map((line) => line.slug ?? "");
}

/** What was answered, as it was answered last. */
function answered({ lines }: Outcome): FileEntry[] {
  const last = new Map<string, FileEntry>();
  for (const { what, entry } of lines) {
    if (what === "did" && entry !== undefined) last.set(entry.id, entry);
  }
  return [...last.values()];
}

async function readAll(store: TestStore, all: FileEntry[]): Promise<void> {
  for (const entry of all) {
    assert.equal(crc32(await store.read(entry)), entry.crc32, entry.id);
  }
}

async function runWith(
  scenario: string,
  fault: Omit<Fault, "arm">,
  act: (outcome: Outcome, dir: string) => Promise<void>,
): Promise<void> {
  await inTemp(async (dir) => {
    const shim = await FaultShim.compile(dir);
    const whole = { ...fault, arm: "/store/arm" };
    const outcome = await run(shim, dir, scenario, whole);
    assert.equal(outcome.lines.at(-1)?.what, "end", outcome.errors);
    assert(words(outcome, "state").includes("early"), "no file at once");
    await act(outcome, `${dir}/store`);
  });
}

/** As a failed flush leaves them, and a loss of power what was not flushed. */
async function spoil(dir: string): Promise<void> {
  for (const top of Deno.readDirSync(`${dir}/p0/data`)) {
    if (top.isFile) continue;
    const walk = async (folder: string): Promise<void> => {
      for (const { name, isFile } of Deno.readDirSync(folder)) {
        if (isFile) await Deno.truncate(`${folder}/${name}`, 100);
        else await walk(`${folder}/${name}`);
      }
    };
    await walk(`${dir}/p0/data/${top.name}`);
  }
}

/** What a start makes of it, then with the failed disk in use again. */
async function startAgain(outcome: Outcome, dir: string): Promise<void> {
  const all = answered(outcome);
  const storePaths = [`${dir}/p0`, `${dir}/p1`];
  const more = { storePaths, settleDelayMs: 1e9 };
  const states = words(outcome, "state").filter((word) => !word.includes(":"));
  for (const clean of [false, true]) {
    const store = await TestStore.open(dir, more);
    const now = store.store.files.storePaths().map(({ state }) => state);
    assert.deepEqual(now, states.filter((word) => word !== "early"));
    await readAll(store, all);
    await checkLog(store);
    await store.close(clean);
  }
  const store = await TestStore.open(dir, more);
  await store.store.openPath(0);
  await store.store.settle(0);
  await readAll(store, all);
  assert.deepEqual(await store.store.log.damaged(10), []);
  await store.close();
  const last = await TestStore.open(dir, more);
  await readAll(last, all);
  for (const path of storePaths) {
    assert.deepEqual([...Deno.readDirSync(`${path}/data/.tmp`)], []);
  }
  await last.close();
}

/** The disk was left alone: nothing of it is open, and the other one works. */
function assertFenced(outcome: Outcome, why: RegExp): void {
  const states = words(outcome, "state");
  const open = states.filter((word) => word.startsWith("open:"));
  assert(open.every((word) => word.includes("/p1/")), `${open}`);
  assert.deepEqual(
    states.filter((word) => !word.includes(":") && word !== "early"),
    ["fenced", "writable"],
  );
  assert.match(words(outcome, "alarm").join(), why);
  // One at most met the fault; those after it went to the other disk.
  assert.deepEqual(words(outcome, "refused"), []);
  assert.equal(answered(outcome).length, 8);
}

for (const scenario of ["early-fault", "early-apart"]) {
  for (const call of ["open", "write"] as const) {
    for (const at of call === "open" ? [2] : [1, 2]) {
      const fault = { mode: "error", at, calls: [call], path: EARLY } as const;
      Deno.test({
        name: `EIO on ${call} of file ${at} at once loses nothing: ${scenario}`,
        ignore,
        fn: () =>
          runWith(scenario, fault, async (outcome, dir) => {
            assertFenced(outcome, /fenced.*staging file/);
            // Nothing on that disk was flushed after the fault.
            await spoil(dir);
            await startAgain(outcome, dir);
          }),
      });
    }
  }
}

for (const [nth, what] of ["syncfs", "the flush of its folder"].entries()) {
  for (const scenario of ["early-fault", "early-apart"]) {
    Deno.test({
      name: `a failure of ${what} loses nothing: ${scenario}`,
      ignore,
      fn: () =>
        runWith(scenario, {
          ...{ mode: "error", at: nth + 1, calls: ["sync"], ...WHOLE },
        }, async (outcome, dir) => {
          assertFenced(outcome, /fenced.*syncfs/);
          assert.equal(outcome.count, nth + 1, "a flush was tried again");
          await spoil(dir);
          await startAgain(outcome, dir);
        }),
    });
  }
}

for (const call of ["open", "write", "rename"] as const) {
  Deno.test({
    name: `ENOSPC on ${call} of files at once fences nothing, loses nothing`,
    ignore,
    fn: () => {
      const where = call === "rename"
        ? { path: "/p0/data/", not: "/.tmp" }
        : { path: EARLY };
      return runWith("early-fault", {
        ...{ mode: "error", errno: "ENOSPC", at: 0, calls: [call], ...where },
      }, async (outcome, dir) => {
        assert(outcome.count > 0);
        const states = words(outcome, "state");
        assert(!states.includes("fenced"));
        assert.equal(answered(outcome).length, 8);
        await startAgain(outcome, dir);
      });
    },
  });
}

Deno.test({
  name: "EIO when a file at once gets its name fences the path, loses nothing",
  ignore,
  fn: () =>
    runWith("early-apart", {
      ...{ mode: "error", at: 1, calls: ["rename"], path: "/p0/data/" },
      not: "/.tmp",
    }, async (outcome, dir) => {
      assertFenced(outcome, /fenced.*rename/);
      await spoil(dir);
      await startAgain(outcome, dir);
    }),
});

const COUNT = { mode: "count", at: 0, calls: ["sync"], ...WHOLE } as const;

Deno.test({
  name: "a stop flushes files at once before the records, also when not clean",
  ignore,
  fn: () =>
    runWith("early-left", COUNT, async (outcome, dir) => {
      assert.equal(outcome.count, 2, "one of the file system, one of a folder");
      const store = await TestStore.open(dir);
      await readAll(store, answered(outcome));
      await store.close();
    }),
});

Deno.test({
  name: "files at once are flushed once when their commit fails",
  ignore,
  fn: () =>
    runWith("early-commit", COUNT, async (outcome, dir) => {
      assert.equal(outcome.count, 2, "one of the file system, one of a folder");
      const all = answered(outcome);
      assert.equal(all.length, 2);
      assert.deepEqual(words(outcome, "refused"), ["read-only"]);
      const store = await TestStore.open(dir);
      await readAll(store, all);
      await checkLog(store);
      await store.close();
      assert.deepEqual([...Deno.readDirSync(`${dir}/p0/data/.tmp`)], []);
    }),
});

for (const isOpened of [false, true]) {
  const how = isOpened ? "opened again" : "there at a later start";
  Deno.test({
    name: `files at once of a failed commit wait for a disk that is ${how}`,
    ignore,
    fn: () =>
      runWith("early-commit", COUNT, async (outcome, dir) => {
        const all = answered(outcome);
        await Deno.rename(`${dir}/p0`, `${dir}/away`);
        let store = await TestStore.open(dir);
        const [path] = store.store.files.storePaths();
        assert.equal(path?.state, "missing");
        for (const { id } of all) assert(store.store.files.lookup(id));
        await store.store.log.flush();
        assert.deepEqual(await store.store.log.damaged(10), []);
        if (!isOpened) await store.close(false);
        await Deno.rename(`${dir}/away`, `${dir}/p0`);
        if (isOpened) await store.store.openPath(0);
        else store = await TestStore.open(dir);
        await readAll(store, all);
        await store.store.settle(0);
        assert.deepEqual([...Deno.readDirSync(`${dir}/p0/data/.tmp`)], []);
        await store.close();
      }),
  });
}

Deno.test({
  name: "a failed flush of files whose commit failed is told, and not repeated",
  ignore,
  fn: () =>
    runWith("early-commit", {
      ...{ mode: "error", at: 1, calls: ["sync"], ...WHOLE },
    }, async (outcome, dir) => {
      assert.equal(outcome.count, 1);
      // The bytes are still in memory, so the process loses nothing.
      const store = await TestStore.open(dir);
      await readAll(store, answered(outcome));
      await store.close();
    }),
});
