import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { rebuildIndex } from "./rebuild.ts";
import { someBytes, TestStore } from "./store_fixture.ts";

/** A file as it must be. */
interface Model {
  readonly id: string;
  entry: FileEntry;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const PATHS = ["p0", "p1"];

/** Random uploads and deletes of small files, against a plain model. */
class Play {
  readonly #dir: string;
  readonly #files: Model[] = [];
  #state: number;
  #store: TestStore | undefined;
  #isPacking = true;
  /** Segments that were seen, and those that were gone later. */
  readonly seen = new Set<string>();

  constructor(dir: string, seed: number) {
    this.#dir = dir;
    this.#state = seed;
  }

  #below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1103515245) + 12345) >>> 0;
    return Math.floor((this.#state >>> 8) / 2 ** 24 * limit);
  }

  async #open(): Promise<TestStore> {
    this.#store ??= await TestStore.open(this.#dir, {
      storePaths: PATHS.map((path) => `${this.#dir}/${path}`),
      smallFileMax: this.#isPacking ? 3000 : 0,
      segmentBytes: 12_000,
      settleDelayMs: 1e9,
      subdirCount: 2,
      rotateCount: 3,
    });
    return this.#store;
  }

  async close(): Promise<void> {
    await this.#store?.close(this.#below(2) === 0);
    this.#store = undefined;
    this.#isPacking = this.#below(5) > 0;
  }

  segments(): string[] {
    return PATHS.flatMap((path) => {
      try {
        return [...Deno.readDirSync(`${this.#dir}/${path}/data/.segments`)]
          .map(({ name }) => `${path}/${name}`);
      } catch {
        return []; // nothing was packed there yet
      }
    });
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) await this.#step();
    await this.#checkAll();
    await this.#deleteMost();
    await this.#checkAll();
    await this.close();
    await this.#checkAll();
    await this.#rebuild();
  }

  #present(): Model[] {
    return this.#files.filter(({ entry }) => entry.state === "present");
  }

  async #step(): Promise<void> {
    const store = await this.#open();
    const models = this.#present();
    const model = models[this.#below(models.length)];
    const action = this.#below(100);
    if (model === undefined || action < 45) return await this.#upload(store);
    if (action < 70) return await this.#delete(store, model);
    if (action < 78) {
      return await this.#settle(store);
    }
    // Reads go on while a compaction moves what they read.
    if (action < 84) {
      const settled = store.store.settle(0);
      for (const one of models) await this.#check(store, one);
      return await settled;
    }
    // Files go while their bytes are being copied.
    if (action < 90) {
      const settled = store.store.settle(0);
      const some = models.filter(() => this.#below(3) === 0);
      await Promise.all(some.map((one) => this.#delete(store, one)));
      return await settled;
    }
    if (action < 93) return await this.close();
    await this.#check(store, model);
  }

  async #upload(store: TestStore): Promise<void> {
    const bytes = someBytes(this.#below(4000), this.#state);
    const durable = this.#below(2) === 0;
    const entry = await store.upload(bytes, { durable });
    this.#files.push({ id: entry.id, entry, bytes });
  }

  async #delete(store: TestStore, model: Model): Promise<void> {
    model.entry = await store.delete(model.entry, this.#below(2) === 0);
  }

  async #settle(store: TestStore): Promise<void> {
    await store.store.settle(0);
    for (const path of this.segments()) this.seen.add(path);
  }

  async #deleteMost(): Promise<void> {
    const store = await this.#open();
    await this.#settle(store);
    for (const model of this.#present()) {
      if (this.#below(4) > 0) await this.#delete(store, model);
    }
    await store.store.settle(0);
    await store.store.settle(0);
  }

  async #check(store: TestStore, { entry, bytes }: Model): Promise<void> {
    assert.deepEqual(store.store.files.lookup(entry.id), entry);
    if (entry.state === "tombstone") return;
    assert.deepEqual(await store.read(entry), bytes);
    const from = this.#below(bytes.length + 1);
    const lengthBytes = this.#below(bytes.length - from + 1);
    const part = await store.read(entry, { from, lengthBytes });
    assert.deepEqual(part, bytes.subarray(from, from + lengthBytes));
  }

  async #checkAll(): Promise<void> {
    const store = await this.#open();
    for (const model of this.#files) await this.#check(store, model);
    const ids = store.store.files.list({ limit: 1e6 }).map(({ id }) => id);
    const wanted = this.#present().map(({ id }) => id);
    assert.deepEqual(ids.sort(), wanted.sort());
    assert.deepEqual(await store.store.log.damaged(10), []);
  }

  /** The files alone say the same. */
  async #rebuild(): Promise<void> {
    const store = await this.#open();
    await store.store.settle(0);
    await this.close();
    const storePaths = PATHS.map((path) => `${this.#dir}/${path}`);
    const identity = { node: 1, group: "group1" };
    const dataDir = `${this.#dir}/data`;
    await rebuildIndex({ dataDir, storePaths, identity }, () => {});
    const rebuilt = await this.#open();
    const found = rebuilt.store.files.list({ limit: 1e6 });
    const wanted = this.#present();
    assert.deepEqual(
      found.map(({ id }) => id).sort(),
      wanted.map(({ id }) => id).sort(),
    );
    for (const entry of found) {
      const model = wanted.find(({ id }) => id === entry.id);
      assert.deepEqual(await rebuilt.read(entry), model?.bytes);
    }
  }
}

const SEEDS = Number(Deno.env.get("KEDGE_SEEDS") ?? 2);

for (let seed = 1; seed <= SEEDS; seed++) {
  Deno.test(`packed files do what a plain model does, seed ${seed}`, async () => {
    const dir = await Deno.makeTempDir({ prefix: "kedge-pack-" });
    const play = new Play(dir, seed * 7919);
    try {
      await play.run(200);
      const now = new Set(play.segments());
      const gone = [...play.seen].filter((path) => !now.has(path));
      // How many there are depends on what was deleted while it was packed.
      assert(gone.length > 0, "nothing was compacted");
    } finally {
      await play.close();
      await Deno.remove(dir, { recursive: true });
    }
  });
}
