import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import { TestStore } from "../../node-agent/files/store_fixture.ts";
import { ALL_CALLS, type Fault, FaultShim, readCount } from "./fault_shim.ts";
import type { Line } from "./store_child.ts";

const CHILD = new URL("./store_child.ts", import.meta.url).pathname;
const ignore = !FaultShim.isPossible();
if (ignore) {
  say("SKIPPED tests/rigs/store_crash: no gcc here\n");
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(line));
}

/** What a child said and how it ended. */
interface Outcome {
  readonly lines: readonly Line[];
  readonly isKilled: boolean;
  readonly count: number;
  readonly errors: string;
}

async function run(
  shim: FaultShim,
  dir: string,
  scenario: string,
  fault: Fault,
): Promise<Outcome> {
  await Deno.mkdir(`${dir}/store`);
  await Deno.writeTextFile(`${dir}/store/arm`, "");
  const counter = `${dir}/count`;
  const child = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", "--cached-only", CHILD]
      .concat([`${dir}/store`, scenario]),
    env: { ...shim.environment(fault, counter), NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(child.stdout);
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return {
    lines: whole.split("\n").filter((line) => line !== "")
      .map((line): Line => JSON.parse(line)),
    isKilled: child.signal === "SIGKILL",
    count: readCount(counter),
    errors: new TextDecoder().decode(child.stderr),
  };
}

/** The promises about a store that was used by a child. */
async function check(dir: string, lines: readonly Line[]): Promise<void> {
  const acked = new Map<string, FileEntry>();
  const tried = new Map<string, FileEntry[]>();
  for (const { what, entry } of lines) {
    if (entry === undefined) continue;
    if (what === "did") acked.set(entry.id, entry);
    else tried.set(entry.id, [...tried.get(entry.id) ?? [], entry]);
  }
  const store = await TestStore.open(`${dir}/store`);
  try {
    for (const [id, versions] of tried) {
      const now = store.store.files.lookup(id);
      const least = acked.get(id);
      if (now === undefined) {
        assert.equal(least, undefined, `${id} was acknowledged and is gone`);
        continue;
      }
      assert(versions.some((one) => compareEntries(one, now) === 0));
      if (least !== undefined) {
        assert(compareEntries(now, least) >= 0, `${id} is older than acked`);
      }
      if (now.state === "tombstone") continue;
      const bytes = await store.read(now);
      assert.equal(bytes.length, now.sizeBytes);
      assert.equal(crc32(bytes), now.crc32);
    }
    for (const { id } of store.store.files.list({ limit: 1000 })) {
      assert(tried.has(id), `${id} was never uploaded`);
    }
    assert.deepEqual(await store.store.log.damaged(10), []);
    await checkLog(store);
    // Tokens of appends stay until their file is flushed.
    await store.store.settle(0);
    assert.deepEqual([...Deno.readDirSync(`${dir}/store/p0/data/.tmp`)], []);
    // It goes on working.
    const entry = await store.upload(new Uint8Array(10));
    assert.deepEqual(await store.read(entry), new Uint8Array(10));
  } finally {
    await store.close();
  }
}

async function checkLog(store: TestStore): Promise<void> {
  const { log } = store.store;
  for (const { incarnation, lastSequence } of log.incarnations()) {
    const limit = { records: 1000, bytes: 1e9 };
    const records = await log.recordsAfter(incarnation, 0, limit);
    assert.deepEqual(
      records.map(({ sequence }) => sequence),
      Array.from({ length: lastSequence }, (_, index) => index + 1),
    );
  }
}

async function everyCall(
  scenario: string,
  modes: readonly Fault["mode"][],
  step: number,
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
    await check(dir, free.lines);
    let runs = 0;
    const startMs = performance.now();
    for (const mode of modes) {
      const calls = mode === "torn" ? ["write"] as const : ALL_CALLS;
      for (let at = 1; at < 1000; at += step) {
        const dir = await dirOf(`${mode}-${at}`);
        const fault = { ...base, mode, at, calls };
        const outcome = await run(shim, dir, scenario, fault);
        try {
          await check(dir, outcome.lines);
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

// 1 kills at every single call (minutes); the default visits every third.
const STEP = Number(Deno.env.get("KEDGE_RIG_STEP") ?? 3);

for (const scenario of ["uploads", "changes", "applied"]) {
  Deno.test({
    name: `S01 S02 S03 kill -9 before every call of "${scenario}"`,
    ignore,
    async fn() {
      assert(await everyCall(scenario, ["kill-before"], STEP) > 10 / STEP);
    },
  });
  Deno.test({
    name: `S01 S02 S03 kill -9 in the middle of every write of "${scenario}"`,
    ignore,
    async fn() {
      assert(await everyCall(scenario, ["torn"], STEP) > 5 / STEP);
    },
  });
}
