import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import { TestStore } from "../../node-agent/files/store_fixture.ts";
import { Scope } from "../helpers/scope.ts";
import { type Fault, FaultShim } from "./fault_shim.ts";
import { canRecord, RecordedDisk, withImage } from "./power_loss.ts";
import type { Line } from "./store_child.ts";
import { checkLog, recordStore, say } from "./store_runs.ts";

const DISK_BYTES = 96 << 20;
const CUTS = Number(Deno.env.get("KEDGE_POWER_CUTS") ?? 100);
const SEED = Number(Deno.env.get("KEDGE_SEED") ?? 20261122);

const ignore = !await canRecord() || !FaultShim.isPossible();
if (ignore) {
  say("SKIPPED tests/rigs/power_loss: needs root, nbdkit, nbdfuse, loop\n");
}

/** What must be on an image: by file the state that was acknowledged. */
function expected(lines: readonly Line[], position: number) {
  const acked = new Map<string, FileEntry>();
  const tried = new Set<string>();
  for (const { what, entry, at = Infinity } of lines) {
    if (entry === undefined) continue;
    tried.add(entry.id);
    // Uploads of 500 bytes were not asked to be durable.
    const isDurable = entry.sizeBytes !== 500;
    if (what === "did" && isDurable && at <= position) {
      acked.set(entry.id, entry);
    }
  }
  return { acked, tried };
}

/** Says what was lost; "" is nothing. */
async function lossOn(
  dir: string,
  lines: readonly Line[],
  position: number,
): Promise<string> {
  const { acked, tried } = expected(lines, position);
  const store = await TestStore.open(dir);
  try {
    const { files } = store.store;
    for (const [id, entry] of acked) {
      const now = files.lookup(id);
      if (now === undefined) return `${id} is gone`;
      if (compareEntries(now, entry) < 0) return `${id} is older than acked`;
      if (now.state === "tombstone") continue;
      const bytes = await store.read(now).catch((error) => error);
      if (!(bytes instanceof Uint8Array)) return `${id}: ${bytes}`;
      if (crc32(bytes) !== now.crc32) return `${id} has other bytes`;
    }
    for (const { id } of files.list({ limit: 10_000 })) {
      if (!tried.has(id)) return `${id} was never uploaded`;
    }
    await checkLog(store);
    await store.upload(new Uint8Array(9));
    return "";
  } finally {
    await store.close();
  }
}

async function losses(
  cuts: number,
  fault: Omit<Fault, "arm"> | undefined,
  scenario = "power",
): Promise<string[]> {
  await using scope = new Scope();
  const { dir, disk } = await RecordedDisk.within(scope, DISK_BYTES);
  const environment = fault === undefined
    ? {}
    : (await FaultShim.compile(dir)).environment(fault, `${dir}/count`);
  const lines = await recordStore(disk, scenario, environment);
  const acks = lines.filter(({ what }) => what === "did");
  const fromPosition = acks[0]?.at ?? 0;
  const lost: string[] = [];
  const into = `${dir}/cut`;
  const mount = `${dir}/cut-mount`;
  await Deno.mkdir(mount);
  const options = { fromPosition, seed: SEED, into };
  for await (const { image, position } of disk.images(cuts, options)) {
    await withImage(image, mount, async () => {
      const loss = await lossOn(`${mount}/store`, lines, position)
        .catch((error) => `the store does not open: ${error}`);
      if (loss !== "") lost.push(`cut at ${position}: ${loss}`);
    });
  }
  say(
    `power loss: ${acks.length} acks, ${cuts} cuts, ${lost.length} with loss\n`,
  );
  return lost;
}

Deno.test({
  name: "S06 power loss at any moment loses nothing acknowledged at level C",
  ignore,
  async fn() {
    assert.deepEqual(await losses(CUTS, undefined), []);
  },
});

Deno.test({
  name: "S06 power loss while many files are flushed at once loses nothing",
  ignore,
  async fn() {
    assert.deepEqual(await losses(CUTS / 5, undefined, "many"), []);
    const where = { path: "/p0/data", not: "/p0/data/" };
    const fault = { mode: "lie", at: 0, calls: ["sync"], ...where } as const;
    assert.notDeepEqual(await losses(15, fault, "many"), []);
  },
});

/** Each flush is needed: without it the rig must see a loss. */
const NEEDED = {
  "of the database": { path: "kedge.db" },
  "of staging files": { path: "/.tmp" },
  "of journals": { path: "/.tmp/bodies-" },
  "of files that are settled": { path: "/p0/data", not: "/.tmp" },
  "of segments": { path: "/.segments" },
};

for (const [what, where] of Object.entries(NEEDED)) {
  Deno.test({
    name: `S06 the rig sees what is lost without the flushes ${what}`,
    ignore,
    async fn() {
      const fault = { mode: "lie", at: 0, calls: ["sync"], ...where } as const;
      assert.notDeepEqual(await losses(15, fault), []);
    },
  });
}
