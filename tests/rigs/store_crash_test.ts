import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { parseFileId } from "@kedge/schema/file-id";
import { ALL_CALLS, type Fault, FaultShim } from "./fault_shim.ts";
import { rebuildIndex } from "../../node-agent/files/rebuild.ts";
import type { StoreOptions } from "../../node-agent/files/store.ts";
import { TestStore } from "../../node-agent/files/store_fixture.ts";
import { canFlushWhole } from "../../node-agent/files/whole_flush.ts";
import { PACKING } from "./store_child.ts";
import { check, run, say, skipsWithoutShim } from "./store_runs.ts";

const ignore = skipsWithoutShim("tests/rigs/store_crash");

async function everyCall(
  scenario: string,
  modes: readonly Fault["mode"][],
  step: number,
  alsoCheck: (dir: string) => Promise<void> = () => Promise.resolve(),
  more: Partial<StoreOptions> = {},
): Promise<number> {
  const root = await Deno.makeTempDir({ prefix: "kedge-rig-" });
  try {
    const shim = await FaultShim.compile(root);
    const base = { path: `${root}/`, not: "/arm", arm: "/store/arm" };
    const dirOf = async (name: string) => {
      await Deno.mkdir(`${root}/${name}`);
      return `${root}/${name}`;
    };
    const dir = await dirOf("count");
    const free = await run(shim, dir, scenario, {
      ...base,
      mode: "count",
      at: 0,
      calls: ALL_CALLS,
    });
    assert.equal(free.lines.at(-1)?.what, "end", free.errors);
    if (scenario === "early" && canFlushWhole(root)) {
      const hasSeen = free.lines.some(({ slug }) => slug === "early");
      assert(hasSeen, "no body was written into its file at once");
    }
    await check(dir, free.lines, more);
    await alsoCheck(dir);
    let runs = 0;
    const startMs = performance.now();
    for (const mode of modes) {
      const calls = mode === "torn" ? ["write"] as const : ALL_CALLS;
      for (let at = 1; at < 1000; at += step) {
        const dir = await dirOf(`${mode}-${at}`);
        const fault = { ...base, mode, at, calls };
        const outcome = await run(shim, dir, scenario, fault);
        try {
          await check(dir, outcome.lines, more);
          await alsoCheck(dir);
        } catch (error) {
          throw new Error(`${scenario}: ${mode} at call ${at}: ${error}`, {
            cause: error,
          });
        }
        runs++;
        if (!outcome.isKilled) break; // there are no more calls
      }
    }
    const seconds = Math.round((performance.now() - startMs) / 1000);
    say(`${scenario}: ${free.count} calls, ${runs} runs in ${seconds} s\n`);
    return runs;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Visit every n-th call; what interrupts a plain upload is visited whole. */
const STEP = Number(Deno.env.get("KEDGE_RIG_STEP") ?? 0);

function stepOf(scenario: string): number {
  if (STEP > 0) return STEP;
  // Each run opens the store four times and rebuilds the index.
  if (scenario === "pack" || scenario === "compact") return 40;
  if (scenario === "quick") return 5;
  if (scenario === "early") return 7;
  return scenario === "uploads" ? 1 : 2;
}

Deno.test({
  name: `S01 S02 S03 kill -9 before every call of "links"`,
  ignore,
  async fn() {
    assert(
      await everyCall("links", ["kill-before"], stepOf("links"), foreignFiles) >
        5,
    );
  },
});

/** What was there before is there afterwards, acknowledged or not. */
async function foreignFiles(dir: string): Promise<void> {
  const folder = `${dir}/store/p0/data/00/00`;
  const paths = [...Deno.readDirSync(folder)].map(({ name }) => ({
    path: `${folder}/${name}`,
    id: `group1/M00/00/00/${name}`,
  }));
  const foreign = paths.map(({ path, id }) => ({ path, is: parseFileId(id) }))
    .filter(({ is }) => is?.origin === "10.0.0.1");
  assert(foreign.length >= 2, "a file of FastDFS is gone");
  for (const { path, is } of foreign) {
    assert.equal(crc32(await Deno.readFile(path)), is?.crc32);
  }
  const elsewhere = await Deno.stat(`${dir}/store/elsewhere`);
  assert.equal(elsewhere.size, 150_001);
}

Deno.test({
  name: `S01 S02 S03 kill -9 before every call of "duplicates"`,
  ignore,
  async fn() {
    const step = stepOf("duplicates");
    assert(await everyCall("duplicates", ["kill-before"], step) > 5);
  },
});

for (const scenario of ["pack", "compact"]) {
  Deno.test({
    name: `S01 S02 S03 kill -9 before every call of "${scenario}"`,
    ignore,
    async fn() {
      const step = stepOf(scenario);
      const more = { ...PACKING, settleDelayMs: 1e9 };
      const modes = ["kill-before"] as const;
      const runs = await everyCall(scenario, modes, step, rebuilt, more);
      assert(runs > 2);
    },
  });
}

/** An index that is made from the files alone has the same files. */
async function rebuilt(dir: string): Promise<void> {
  const read = async () => {
    const store = await TestStore.open(`${dir}/store`);
    try {
      const files = store.store.files.list({ limit: 1000 });
      for (const file of files) {
        assert.equal(crc32(await store.read(file)), file.crc32);
      }
      return files.map(({ id }) => id);
    } finally {
      await store.close();
    }
  };
  const before = await read();
  const identity = { node: 1, group: "group1" };
  const dirs = {
    dataDir: `${dir}/store/data`,
    storePaths: [`${dir}/store/p0`],
  };
  await rebuildIndex({ ...dirs, identity }, () => {});
  assert.deepEqual(await read(), before);
}

for (const scenario of ["uploads", "changes", "applied", "quick", "early"]) {
  Deno.test({
    name: `S01 S02 S03 kill -9 before every call of "${scenario}"`,
    ignore,
    async fn() {
      assert(await everyCall(scenario, ["kill-before"], stepOf(scenario)) > 10);
    },
  });
  Deno.test({
    name: `S01 S02 S03 kill -9 in the middle of every write of "${scenario}"`,
    ignore,
    async fn() {
      assert(await everyCall(scenario, ["torn"], stepOf(scenario)) > 5);
    },
  });
}
