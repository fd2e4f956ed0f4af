import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import {
  DEAD,
  encodeRecord,
  RECORD_STATE_AT,
} from "@kedge/schema/disk/segment";
import { encodeFileName } from "@kedge/schema/file-id";
import { rebuildIndex } from "./rebuild.ts";
import { factsOf, newEntry, someBytes, TestStore } from "./store_fixture.ts";

const IDENTITY = { node: 1, group: "group1" };

/** Segments of two store paths that a rebuild finds. */
class Disks {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  get #paths(): string[] {
    return [`${this.#dir}/p0`, `${this.#dir}/p1`];
  }

  /** Write a segment of these records. */
  async segment(
    path: number,
    segment: number,
    records: readonly Uint8Array[],
  ): Promise<void> {
    const folder = `${this.#dir}/p${path}/data/.segments`;
    await Deno.mkdir(folder, { recursive: true });
    const bytes = new Uint8Array(records.flatMap((record) => [...record]));
    const name = String(segment).padStart(6, "0");
    await Deno.writeFile(`${folder}/${name}.seg`, bytes);
  }

  async rebuild() {
    return await rebuildIndex({
      dataDir: `${this.#dir}/data`,
      storePaths: this.#paths,
      identity: IDENTITY,
    }, () => {});
  }

  /** What the new index says that a file is, read. */
  async read({ id }: FileEntry): Promise<Uint8Array> {
    const options = { storePaths: this.#paths };
    const store = await TestStore.open(this.#dir, options);
    try {
      const entry = store.store.files.lookup(id);
      assert(entry !== undefined);
      return await store.read(entry);
    } finally {
      await store.close();
    }
  }
}

async function withDisks(act: (disks: Disks) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-pack-" });
  try {
    for (const name of ["data", "p0/data", "p1/data"]) {
      await Deno.mkdir(`${dir}/${name}`, { recursive: true });
    }
    await act(new Disks(dir));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A file of these bytes; a slave does not say what its bytes are. */
function fileOf(bytes: Uint8Array, isSlave = false): FileEntry {
  const name = encodeFileName({
    ...factsOf(bytes),
    ...{ origin: 1, createdS: 1_800_000_000, appender: false },
    ...{ random: 1, digits: 0, extension: "" },
  });
  const id = `group1/M00/00/00/${name}${isSlave ? "-small" : ""}`;
  return newEntry(id, factsOf(bytes));
}

/** A record of which the last bytes never came to the disk. */
function torn(record: Uint8Array): Uint8Array {
  return record.slice().fill(0, record.length - 500);
}

function dead(record: Uint8Array): Uint8Array {
  const copy = record.slice();
  copy[RECORD_STATE_AT] = DEAD;
  return copy;
}

Deno.test("a torn copy of a packed file does not take the place of a good one", () =>
  withDisks(async (disks) => {
    const bytes = someBytes(1000, 1);
    const slaveBytes = someBytes(1000, 2);
    const file = fileOf(bytes);
    const slave = fileOf(slaveBytes, true);
    const records = [
      encodeRecord(file, bytes),
      encodeRecord(slave, slaveBytes),
    ];
    await disks.segment(0, 1, records);
    await disks.segment(0, 2, records.map(torn));
    const report = await disks.rebuild();
    assert.deepEqual(report, { files: 2, damaged: 0, strange: 0 });
    assert.deepEqual(await disks.read(file), bytes);
    assert.deepEqual(await disks.read(slave), slaveBytes);
  }));

Deno.test("a packed slave of which the bytes rotted is damaged, not another file", () =>
  withDisks(async (disks) => {
    const bytes = someBytes(1000, 2);
    const slave = fileOf(bytes, true);
    await disks.segment(0, 1, [torn(encodeRecord(slave, bytes))]);
    const report = await disks.rebuild();
    assert.deepEqual(report, { files: 1, damaged: 1, strange: 0 });
    await assert.rejects(disks.read(slave), { slug: "damaged" });
  }));

Deno.test("a dead record says nothing about a file on another store path", () =>
  withDisks(async (disks) => {
    const bytes = someBytes(1000, 1);
    const file = fileOf(bytes);
    const record = encodeRecord(file, bytes);
    await disks.segment(0, 1, [record]);
    await disks.segment(1, 1, [dead(record)]);
    assert.equal((await disks.rebuild()).files, 1);
    assert.deepEqual(await disks.read(file), bytes);
  }));
