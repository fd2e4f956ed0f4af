import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { QuietLog, someBytes, TestStore, withDir } from "./store_fixture.ts";
import { scanSegment } from "./segments.ts";

const PACKING = {
  smallFileMax: 8192,
  settleDelayMs: 1e9,
  segmentBytes: 10_000,
};

async function withStore<Result>(
  dir: string,
  log: QuietLog,
  act: (store: TestStore) => Promise<Result>,
): Promise<Result> {
  const store = await TestStore.open(dir, { ...PACKING, log });
  try {
    return await act(store);
  } finally {
    await store.close();
  }
}

function segments(dir: string): string[] {
  return [...Deno.readDirSync(`${dir}/p0/data/.segments`)]
    .map(({ name }) => `${dir}/p0/data/.segments/${name}`).sort();
}

/** Upload and pack one after the other, 4000 bytes each. */
async function uploadAll(
  store: TestStore,
  seeds: readonly number[],
): Promise<FileEntry[]> {
  const files: FileEntry[] = [];
  for (const seed of seeds) {
    files.push(await store.upload(someBytes(4000, seed)));
    await store.store.settle(0);
  }
  return files;
}

Deno.test("a segment that is gone stops no compaction, and costs no segment", () =>
  withDir(async (dir) => {
    const log = new QuietLog();
    await withStore(dir, log, async (store) => {
      // Two segments of three files, and a third one that is written to.
      const files = await uploadAll(store, [1, 2, 3, 4, 5, 6, 7]);
      const [path] = segments(dir);
      assert(path !== undefined);
      await Deno.remove(path);
      const dead = [0, 1, 3, 4].flatMap((at) => files[at] ?? []);
      for (const file of dead) await store.delete(file);
      for (let round = 0; round < 3; round++) await store.store.settle(0);
      const left = segments(dir);
      const ids = left.flatMap((one) => [...scanSegment(one)])
        .map(({ id }) => id);
      assert.deepEqual(ids.sort(), [files[5]?.id, files[6]?.id].sort());
      const said = log.warnings.length;
      await store.store.settle(0);
      assert.equal(log.warnings.length, said, log.warnings.at(-1));
      await store.upload(someBytes(10, 8));
      await store.store.settle(0);
      assert.deepEqual(segments(dir), left);
    });
  }));

Deno.test("records that an older database lost are not compacted away", () =>
  withDir(async (dir) => {
    const log = new QuietLog();
    const [first] = await withStore(
      dir,
      log,
      (store) => uploadAll(store, [1]),
    );
    assert(first !== undefined);
    await Deno.mkdir(`${dir}/copy`);
    for (const { name } of Deno.readDirSync(`${dir}/data`)) {
      await Deno.copyFile(`${dir}/data/${name}`, `${dir}/copy/${name}`);
    }
    const [second] = await withStore(
      dir,
      log,
      (store) => uploadAll(store, [2]),
    );
    for (const { name } of Deno.readDirSync(`${dir}/copy`)) {
      await Deno.copyFile(`${dir}/copy/${name}`, `${dir}/data/${name}`);
    }
    await withStore(dir, log, async (store) => {
      await uploadAll(store, [3]); // into another segment
      await store.delete(first);
      await store.store.settle(0);
      const live = segments(dir).flatMap((one) => [...scanSegment(one)])
        .filter(({ isLive }) => isLive).map(({ id }) => id);
      assert(live.includes(second?.id ?? ""), "it waits for rebuild-index");
    });
  }));
