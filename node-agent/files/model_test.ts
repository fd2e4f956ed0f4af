import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { FileEntry } from "@kedge/schema/change";
import { someBytes, TestStore } from "./store_fixture.ts";

/** Sizes around every border that the store knows. */
const SIZES = [
  0,
  1,
  4095,
  65_535,
  65_536,
  65_537,
  200_000,
  1 << 20,
  (1 << 20) + 1,
];

/** A file as it must be. */
interface Model {
  entry: FileEntry;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Random changes of random files, with restarts, against a plain model. */
class Play {
  readonly #dir: string;
  readonly #files = new Map<string, Model>();
  #state: number;
  #store: TestStore | undefined;

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
      storePaths: [`${this.#dir}/p0`, `${this.#dir}/p1`],
      checkpointBytes: 500_000,
      subdirCount: 2,
      rotateCount: 3,
    });
    return this.#store;
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) await this.#step();
    await this.#checkAll();
    await this.close();
    await this.#checkAll();
    await this.close();
  }

  async close(): Promise<void> {
    await this.#store?.close(this.#below(2) === 0);
    this.#store = undefined;
  }

  async #step(): Promise<void> {
    const store = await this.#open();
    const models = [...this.#files.values()]
      .filter(({ entry }) => entry.state === "present");
    const model = models[this.#below(models.length)];
    const action = this.#below(100);
    if (model === undefined || action < 25) return await this.#upload(store);
    if (action < 50) return await this.#write(store, model);
    if (action < 58) return await this.#truncate(store, model);
    if (action < 64) {
      model.entry = await store.delete(model.entry, this.#below(2) === 0);
      return;
    }
    if (action < 68) return await store.store.settle(0);
    if (action < 71) return await this.close();
    if (action < 74) return await this.#giveUp(store, model);
    await this.#check(store, model);
  }

  #size(): number {
    return SIZES[this.#below(SIZES.length)] ?? 0;
  }

  async #upload(store: TestStore): Promise<void> {
    const bytes = someBytes(this.#size(), this.#state);
    const durable = this.#below(2) === 0;
    const inRecord = this.#below(2) === 0;
    const how = { appender: true, durable, inRecord };
    const entry = await store.upload(bytes, how);
    this.#files.set(entry.id, { entry, bytes });
  }

  async #write(store: TestStore, model: Model): Promise<void> {
    const isAppend = this.#below(2) === 0;
    const { bytes } = model;
    const offset = isAppend ? bytes.length : this.#below(bytes.length + 1);
    const patch = someBytes(this.#size(), this.#state);
    const durable = this.#below(2) === 0;
    model.entry = await store.write(model.entry, offset, patch, durable);
    const length = Math.max(bytes.length, offset + patch.length);
    const next = new Uint8Array(length);
    next.set(bytes);
    next.set(patch, offset);
    model.bytes = next;
  }

  async #truncate(store: TestStore, model: Model): Promise<void> {
    const length = this.#size();
    model.entry = await store.truncate(model.entry, length);
    const next = new Uint8Array(length);
    next.set(model.bytes.subarray(0, length));
    model.bytes = next;
  }

  /** A change that is prepared and never made. */
  async #giveUp(store: TestStore, model: Model): Promise<void> {
    const staged = await store.stage(someBytes(70_000, this.#state));
    const offset = this.#below(model.bytes.length + 1);
    const edit = { kind: "range", offset, staged } as const;
    await store.store.files.foresee(model.entry, edit);
    await store.store.files.discard(staged);
  }

  async #check(store: TestStore, model: Model): Promise<void> {
    const { entry, bytes } = model;
    assert.deepEqual(store.store.files.lookup(entry.id), entry);
    if (entry.state === "tombstone") return;
    assert.equal(entry.crc32, crc32(bytes));
    const from = this.#below(bytes.length + 1);
    const lengthBytes = this.#below(bytes.length - from + 1);
    const part = await store.read(entry, { from, lengthBytes });
    assert.deepEqual(part, bytes.subarray(from, from + lengthBytes));
    assert.deepEqual(await store.read(entry), bytes);
  }

  async #checkAll(): Promise<void> {
    const store = await this.#open();
    for (const model of this.#files.values()) await this.#check(store, model);
    const present = [...this.#files.values()]
      .filter(({ entry }) => entry.state === "present");
    assert.equal(store.store.files.list({ limit: 1e6 }).length, present.length);
    await store.store.log.digests(); // every row is counted
    await store.store.settle(0);
    assert.equal(store.store.files.fileCount(), present.length);
    assert.deepEqual(await store.store.log.damaged(10), []);
  }
}

const SEEDS = Number(Deno.env.get("KEDGE_SEEDS") ?? 4);

for (let seed = 1; seed <= SEEDS; seed++) {
  Deno.test(`a store does what a plain model does, seed ${seed}`, async () => {
    const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
    const play = new Play(dir, seed * 7919);
    try {
      await play.run(120);
    } finally {
      await play.close();
      await Deno.remove(dir, { recursive: true });
    }
  });
}
