/**
 * Power loss under bodies that are written into their files at once
 * (`node-agent/files/early_files.ts`): what was flushed is there, and what was
 * answered alone is there, marked damaged, or gone.
 *
 * @module
 */

import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import { TestStore } from "../../node-agent/files/store_fixture.ts";
import { Scope } from "../helpers/scope.ts";
import { type Fault, FaultShim } from "./fault_shim.ts";
import {
  canRecord,
  FILE_SYSTEMS,
  type FileSystemKind,
  RecordedDisk,
  sh,
  withImage,
} from "./power_loss.ts";
import type { Line } from "./store_child.ts";
import { checkLog, recordStore, say } from "./store_runs.ts";

const SEED = Number(Deno.env.get("KEDGE_SEED") ?? 20261123);

const ignore = !await canRecord() || !FaultShim.isPossible();
if (ignore) {
  say("SKIPPED tests/rigs/early_power: needs root, nbdkit, nbdfuse, loop\n");
}

/** By file the state that was stable before the power was lost. */
function stableAt(lines: readonly Line[], position: number) {
  const stable = new Map<string, FileEntry>();
  const said: FileEntry[] = [];
  /** How much had been answered when a flush began. */
  const began = new Map<string, number>();
  for (const { what, slug = "", entry, at = Infinity } of lines) {
    if (what === "did" && entry !== undefined) said.push(entry);
    const [word, number = ""] = slug.split(":");
    if (word === "flushing") began.set(number, said.length);
    if (word !== "flushed" || at > position) continue;
    for (const one of said.slice(0, began.get(number))) {
      stable.set(one.id, one);
    }
  }
  return stable;
}

/** Says what is wrong with the store on an image; "" is nothing. */
async function lossOn(
  dir: string,
  lines: readonly Line[],
  position: number,
): Promise<string> {
  const stable = stableAt(lines, position);
  const tried = new Set(lines.map(({ entry }) => entry?.id));
  const store = await TestStore.open(dir);
  try {
    const { files } = store.store;
    for (const [id, entry] of stable) {
      const now = files.lookup(id);
      if (now === undefined) return `${id} is gone`;
      if (compareEntries(now, entry) < 0) return `${id} is older than flushed`;
    }
    for (const { id } of files.list({ limit: 10_000 })) {
      const entry = files.lookup(id);
      if (!tried.has(id) || entry === undefined) return `${id} is nobody's`;
      const bytes = await store.read(entry).catch((error) => error);
      const isRight = bytes instanceof Uint8Array &&
        crc32(bytes) === entry.crc32;
      const mayBeDamaged = !stable.has(id) && bytes.slug === "damaged";
      if (!isRight && !mayBeDamaged) return `${id}: ${bytes}`;
    }
    await checkLog(store);
    await store.store.settle(0);
    const left = [...Deno.readDirSync(`${dir}/p0/data/.tmp`)];
    if (left.length > 0) return `${left[0]?.name} is left`;
    await store.upload(new Uint8Array(20_000), { durable: false });
    await store.store.log.flush();
    return "";
  } finally {
    await store.close();
  }
}

interface Story {
  readonly kind?: FileSystemKind;
  readonly diskBytes?: number;
  readonly cuts: number;
  /** One after the other, on the same disk. */
  readonly scenarios: readonly string[];
  readonly fault?: Omit<Fault, "arm">;
}

/** What is lost at random moments of the last scenario. */
async function losses(
  { kind = FILE_SYSTEMS.ext4, diskBytes = 96 << 20, cuts, scenarios, fault }:
    Story,
): Promise<string[]> {
  await using scope = new Scope();
  const { dir, disk } = await RecordedDisk.within(scope, diskBytes, kind);
  const environment = fault === undefined
    ? {}
    : (await FaultShim.compile(dir)).environment(fault, `${dir}/count`);
  const lines: Line[] = [];
  for (const scenario of scenarios) {
    lines.push(...await recordStore(disk, scenario, environment));
  }
  const hasSeen = lines.some(({ slug }) => slug === "early");
  assert(hasSeen || scenarios[0] === "early-journal", "no file at once");
  const isFlushed = ({ slug = "" }: Line) => slug.startsWith("flushed:");
  const fromPosition = lines.find(isFlushed)?.at;
  assert(fromPosition !== undefined, "nothing was flushed");
  const lost: string[] = [];
  const mount = `${dir}/cut-mount`;
  await Deno.mkdir(mount);
  const options = { fromPosition, seed: SEED, into: `${dir}/cut` };
  for await (const { image, position } of disk.images(cuts, options)) {
    const look = async () => {
      const loss = await lossOn(`${mount}/store`, lines, position)
        .catch((error) => `the store does not open: ${error}`);
      if (loss !== "") lost.push(`cut at ${position}: ${loss}`);
    };
    await withImage(image, mount, look, kind.mountOptions);
  }
  say(`early: ${cuts} cuts, ${lost.length} with loss\n`);
  return lost;
}

async function isInstalled(command: string): Promise<boolean> {
  return await sh(command, "-V").then(() => true, () => false);
}

/** Where files are written at once. */
const DISKS = [
  { name: "ext4", cuts: 24, diskBytes: 96 << 20 },
  { name: "btrfs", cuts: 6, diskBytes: 160 << 20 },
] as const;

for (const { name, cuts, diskBytes } of DISKS) {
  const kind = FILE_SYSTEMS[name];
  Deno.test({
    name: `S06 power loss takes no file at once that was flushed: ${name}`,
    ignore: ignore || !await isInstalled(kind.make[0]),
    async fn() {
      const scenarios = ["early-power"];
      assert.deepEqual(await losses({ kind, cuts, diskBytes, scenarios }), []);
    },
  });
}

for (const killed of ["early-killed", "early-settled", "early-journal"]) {
  Deno.test({
    name: `S06 power loss after a kill takes nothing flushed since: ${killed}`,
    ignore,
    async fn() {
      const scenarios = [killed, "early-again"];
      assert.deepEqual(await losses({ cuts: 8, scenarios }), []);
    },
  });
}

Deno.test({
  name: "S06 the rig sees what is lost without the flush of files at once",
  ignore,
  async fn() {
    const where = { path: "/p0/data", not: "/p0/data/" };
    const fault = { mode: "lie", at: 0, calls: ["sync"], ...where } as const;
    const scenarios = ["early-power"];
    assert.notDeepEqual(await losses({ cuts: 4, scenarios, fault }), []);
  },
});
