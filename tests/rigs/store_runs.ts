/**
 * Runs a child that uses a store, with faults, and checks what it left.
 *
 * @module
 */

import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import { TestStore } from "../../node-agent/files/store_fixture.ts";
import type { StoreOptions } from "../../node-agent/files/store.ts";
import { type Fault, FaultShim, readCount } from "./fault_shim.ts";
import type { RecordedDisk } from "./power_loss.ts";
import type { Line } from "./store_child.ts";

/** The program that has a scenario. */
function childOf(scenario: string): string {
  const name = scenario.startsWith("early") ? "early_child" : "store_child";
  return new URL(`./${name}.ts`, import.meta.url).pathname;
}

/** What a child said and how it ended. */
export interface Outcome {
  readonly lines: readonly Line[];
  readonly isKilled: boolean;
  readonly count: number;
  readonly errors: string;
}

/** Run a scenario of `store_child.ts` in `dir` with a fault. */
export async function run(
  shim: FaultShim,
  dir: string,
  scenario: string,
  fault: Fault,
): Promise<Outcome> {
  await Deno.mkdir(`${dir}/store`);
  await Deno.writeTextFile(`${dir}/store/arm`, "");
  const counter = `${dir}/count`;
  const child = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", "--cached-only"]
      .concat([childOf(scenario), `${dir}/store`, scenario]),
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

/**
 * Run a scenario of `store_child.ts` on a recorded disk, with a fault or none;
 * its lines say when each was said.
 */
export async function recordStore(
  disk: Pick<RecordedDisk, "mount" | "log">,
  scenario: string,
  environment: Record<string, string>,
): Promise<Line[]> {
  const dir = `${disk.mount}/store`;
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(`${dir}/arm`, "");
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", "--cached-only"]
      .concat([childOf(scenario), dir, scenario, disk.log]),
    env: { ...environment, NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n")
    .map((line): Line => JSON.parse(line));
  const errors = new TextDecoder().decode(stderr);
  assert.equal(lines.at(-1)?.what, "end", errors);
  return lines;
}

/** Assert the promises about a store that was used by a child. */
export async function check(
  dir: string,
  lines: readonly Line[],
  more: Partial<StoreOptions> = {},
): Promise<void> {
  const acked = new Map<string, FileEntry>();
  const tried = new Map<string, FileEntry[]>();
  for (const { what, entry } of lines) {
    if (entry === undefined) continue;
    if (what === "did") acked.set(entry.id, entry);
    else tried.set(entry.id, [...tried.get(entry.id) ?? [], entry]);
  }
  const store = await TestStore.open(`${dir}/store`, more);
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

/** Assert that every log has records without a gap. */
export async function checkLog(store: TestStore): Promise<void> {
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

/** Whether the shim can be used here; says so when not. */
export function skipsWithoutShim(what: string): boolean {
  if (FaultShim.isPossible()) return false;
  say(`SKIPPED ${what}: no gcc here\n`);
  return true;
}

/** Print a line for people who read the test's output. */
export function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(line));
}
