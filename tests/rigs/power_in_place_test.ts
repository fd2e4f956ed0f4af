/**
 * Power loss and `kill -9` in the middle of `kedge import fastdfs --in-place`:
 * every file of FastDFS is whole where it lay, what was acknowledged is there,
 * and running the import again takes all of them in. 10 s
 *
 * @module
 */

import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { TestStore } from "../../node-agent/files/store_fixture.ts";
import { Scope } from "../helpers/scope.ts";
import { inPlaceFiles, takeIn } from "./foreign_files.ts";
import { FaultShim } from "./fault_shim.ts";
import { canRecord, RecordedDisk, withImage } from "./power_loss.ts";
import type { Line } from "./store_child.ts";
import { recordStore, run, say, skipsWithoutShim } from "./store_runs.ts";

const DISK_BYTES = 48 << 20;
const CUTS = Number(Deno.env.get("KEDGE_POWER_CUTS") ?? 12);
const SEED = Number(Deno.env.get("KEDGE_SEED") ?? 20261122);

const ignore = !await canRecord();
if (ignore) {
  say("SKIPPED tests/rigs/power_in_place: needs root, nbdkit, nbdfuse, loop\n");
}

/** Asserts the promises about an image, then imports again. */
async function checkImage(
  dir: string,
  lines: readonly Line[],
  position: number,
): Promise<void> {
  const files = inPlaceFiles(dir);
  const mustBeWhole = () => {
    for (const { path, bytes } of files) {
      const found = Deno.readFileSync(path);
      assert.equal(crc32(found), crc32(bytes), `${path} has other bytes`);
    }
  };
  mustBeWhole();
  const store = await TestStore.open(dir);
  try {
    const { store: { files: stored, linker } } = store;
    for (const { what, entry, at = Infinity } of lines) {
      if (what !== "did" || entry === undefined || at > position) continue;
      const now = stored.lookup(entry.id);
      assert(now !== undefined, `${entry.id} was acknowledged and is gone`);
      assert.equal(crc32(await store.read(now)), now.crc32);
    }
    mustBeWhole();
    await linker.takeOver(0);
    for (const file of files) {
      if (stored.lookup(file.id) === undefined) await takeIn(store, file);
    }
    await store.store.settle(0);
    await linker.allTaken(0);
    for (const { id, bytes } of files) {
      const now = stored.lookup(id);
      assert(now !== undefined);
      assert.equal(crc32(await store.read(now)), crc32(bytes), id);
    }
    mustBeWhole();
    const left = [...Deno.readDirSync(`${dir}/p0/data/.tmp`)];
    assert.deepEqual(left, [], "no second names are left");
  } finally {
    await store.close();
  }
}

Deno.test({
  name: "power loss during an import in place loses no file, and a repeat ends",
  ignore,
  async fn() {
    await using scope = new Scope();
    const { dir, disk } = await RecordedDisk.within(scope, DISK_BYTES);
    const lines = await recordStore(disk, "in-place", {});
    const begin = lines.find(({ slug }) => slug === "begin")?.at ?? 0;
    const acks = lines.filter(({ what }) => what === "did").length;
    assert(begin > 0 && acks === inPlaceFiles("").length);
    const mount = `${dir}/cut-mount`;
    await Deno.mkdir(mount);
    const options = { fromPosition: begin, seed: SEED, into: `${dir}/cut` };
    const lost: string[] = [];
    for await (const { image, position } of disk.images(CUTS, options)) {
      await withImage(image, mount, async () => {
        await checkImage(`${mount}/store`, lines, position).catch((error) => {
          lost.push(`cut at ${position}: ${error}`);
        });
      });
    }
    assert.deepEqual(lost, []);
  },
});

/** Visit every n-th call that moves or removes a name. */
const STEP = Number(Deno.env.get("KEDGE_RIG_STEP") ?? 13);

Deno.test({
  name: "kill -9 before a name moves or goes: no file is lost, a repeat ends",
  ignore: skipsWithoutShim("tests/rigs/power_in_place"),
  async fn() {
    await using scope = new Scope();
    const root = await scope.tempDir();
    const shim = await FaultShim.compile(root);
    const calls = ["rename", "unlink", "mkdir"] as const;
    const base = { path: `${root}/`, not: "/arm", arm: "/store/arm" };
    for (let at = 1;; at += STEP) {
      const dir = `${root}/${at}`;
      await Deno.mkdir(dir);
      const fault = { ...base, mode: "kill-before", at, calls } as const;
      const { lines, isKilled, errors } = await run(
        shim,
        dir,
        "in-place",
        fault,
      );
      await checkImage(`${dir}/store`, lines, Infinity).catch((error) => {
        throw new Error(`killed at call ${at}: ${error}`, { cause: error });
      });
      if (isKilled) continue;
      assert.equal(lines.at(-1)?.what, "end", errors);
      assert(at > 10, "the import was not interrupted often");
      return;
    }
  },
});
